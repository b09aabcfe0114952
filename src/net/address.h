// An address to listen on or to connect to: "127.0.0.1:7100", "[::1]:7100", "localhost:7100",
// "db1.example:7100" or "unix:/run/bop.sock".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::net {

struct Address {
  std::string host;   // a name, or a numeric address without brackets; empty for a UNIX socket
  uint16_t port = 0;  // to listen on 0 means: on any free port
  std::string path;   // of a UNIX socket; else empty

  bool is_unix() const { return !path.empty(); }
  // Whether only this host can reach it.
  bool is_local() const;
  bool is_unspecified() const { return host == "0.0.0.0" || host == "::"; }  // all, to listen on
  std::string to_string() const;
  friend bool operator==(const Address&, const Address&) = default;
};

// BAD_ADDRESS, with a text that says what is wrong.
Result<Address> parse_address(std::string_view text);

// Resolves the host's name, which blocks. BAD_ADDRESS: the host is unknown.
Status check_host(const Address& address);

}  // namespace bop::net

#include "net/address.h"

#include <charconv>

namespace bop::net {

namespace {

std::unexpected<Error> bad(std::string_view text, const char* why) {
  return fail(BOP_E_BAD_ADDRESS, "\"" + std::string(text) + "\": " + why);
}

}  // namespace

bool Address::is_local() const {
  if (is_unix() || host == "localhost" || host == "::1") return true;
  // Not a name that only begins like one: 127.0.0.1.example.org.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

std::string Address::to_string() const {
  if (is_unix()) return "unix:" + path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with("unix:")) {
    Address address;
    address.path = text.substr(5);
    if (address.path.empty()) return bad(text, "the path is empty");
    // sun_path of Linux, with its terminating zero.
    if (address.path.size() > 107) return bad(text, "the path is longer than 107 bytes");
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return bad(text, "there is no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return bad(text, "an IPv6 address stands in brackets");
  }
  if (host.empty()) return bad(text, "the host is empty");
  Address address;
  address.host = host;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) {
    return bad(text, "the port is not a number up to 65535");
  }
  return address;
}

}  // namespace bop::net

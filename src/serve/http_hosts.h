// By which names a server may be called, and from which pages. A browser lets a page of any site send
// requests to loopback, and read the answers once the site's own name resolves to loopback (DNS
// rebinding). Then the Host field has that name, and the Origin field that of the page.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bop::serve {

class HttpHosts {
 public:
  // Localhost alone.
  HttpHosts() = default;
  // `listener`: the host that the server listens on. One that stands for all addresses ("0.0.0.0", "::")
  // allows every numeric address, which no name service can redirect; empty (a UNIX socket, which no
  // page reaches) allows any name. `names`: further ones, without ports; "*" allows any.
  HttpHosts(std::string_view listener, const std::vector<std::string>& names);

  // `host`: HOST or HOST:PORT, of valid form; the port is not looked at: forwarding changes it. Empty:
  // the client named none, which no browser does.
  bool allows(std::string_view host) const;
  // "localhost, 127.0.0.1", for people.
  std::string known() const;

  // Whether an Origin field (RFC 6454) is that of the server at `host`. Behind a proxy that ends TLS
  // its scheme may be https.
  static bool is_same_origin(std::string_view origin, std::string_view host);

 private:
  void add(std::string_view name);

  bool any_ = false;
  bool any_address_ = false;
  std::set<std::string, std::less<>> names_{"localhost"};  // normal forms
};

}  // namespace bop::serve

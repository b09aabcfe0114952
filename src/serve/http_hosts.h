// Which host names a server accepts, and requests of which pages. A browser lets a page of any site send requests to
// loopback, and read the responses if the site's own name resolves to loopback (DNS rebinding). In such a request the
// Host field has that name, and the Origin field the origin of the page.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bop::serve {

class HttpHosts {
 public:
  // Only localhost.
  HttpHosts() = default;
  // `listener`: the host that the server listens on. A wildcard ("0.0.0.0", "::") allows every numeric address, which no
  // name service can redirect; empty (a UNIX socket, which no page reaches) allows any name. `names`: further ones,
  // without ports; "*" allows any.
  HttpHosts(std::string_view listener, const std::vector<std::string>& names);

  // `host`: HOST or HOST:PORT, syntactically valid. The port is ignored, because port forwarding changes it. Empty: the
  // request has no host, which no browser sends.
  bool allows(std::string_view host) const;
  // For messages: "localhost, 127.0.0.1".
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

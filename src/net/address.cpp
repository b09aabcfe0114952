#include "net/address.h"

#include <algorithm>
#include <charconv>

namespace bop::net {

namespace {

std::unexpected<Error> bad(std::string_view text, const std::string& why) {
  return fail(BOP_E_BAD_ADDRESS, "\"" + std::string(text) + "\": " + why);
}

constexpr const char* form = "write HOST:PORT, such as 127.0.0.1:7100";

bool is_ipv6(std::string_view host) {
  return host.find_first_not_of("0123456789abcdefABCDEF:.%") == host.npos &&
         std::count(host.begin(), host.end(), ':') >= 2;
}

// Characters of names and of numeric addresses; '%' begins the zone of an IPv6 address.
bool is_host(std::string_view host) {
  return std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '%' || static_cast<unsigned char>(c) >= 0x80;
  });
}

// Names common mistakes in a text that is not an address.
Status check_form(std::string_view text) {
  if (text.empty()) return bad(text, std::string("the address is empty; ") + form);
  const size_t scheme = text.find("://");
  if (scheme != text.npos) {
    return bad(text, "this is a URL; " + std::string(form) + ", without \"" +
                         std::string(text.substr(0, scheme + 3)) + "\"");
  }
  if (is_ipv6(text)) return bad(text, "write an IPv6 address in brackets: [::1]:7100");
  if (text.find(':') == text.npos) return bad(text, std::string("the port is missing; ") + form);
  return {};
}

}  // namespace

bool Address::is_local() const {
  if (is_unix() || host == "localhost" || host == "::1") return true;
  // Only numeric addresses, not a name such as 127.0.0.1.example.org.
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
    // sun_path of Linux has 108 bytes, with the terminating zero.
    if (address.path.size() > 107) return bad(text, "the path is longer than 107 bytes");
    return address;
  }
  BOP_TRY(check_form(text));
  const size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return bad(text, std::string("there is more than one colon; ") + form);
  }
  if (host.empty()) return bad(text, std::string("the host is empty; ") + form);
  if (!is_host(host)) return bad(text, "\"" + std::string(host) + "\" is not the name of a host");
  Address address;
  address.host = host;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) {
    return bad(text, "the port \"" + std::string(port) + "\" is not a number up to 65535");
  }
  return address;
}

}  // namespace bop::net

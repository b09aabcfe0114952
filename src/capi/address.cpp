#include <charconv>

#include "capi/config.h"

namespace bop::capi {
namespace {

bool is_host(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  for (const char c : host) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_') return false;
  }
  return true;
}

bool is_ipv6(std::string_view host) {
  if (host.size() < 2 || host.size() > 64) return false;
  return host.find(':') != host.npos &&
         host.find_first_not_of("0123456789abcdefABCDEF:.") == host.npos;
}

bool is_ipv4_loopback(std::string_view host) {
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  const auto bad = [&] {
    return fail(BOP_E_BAD_ADDRESS, "\"" + std::string(text) + "\" is not HOST:PORT");
  };
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!is_ipv6(host)) return bad();
  } else if (!is_host(host)) {
    return bad();
  }
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size()) return bad();
  return Address{std::string(host), number};
}

bool is_loopback(const Address& address) {
  return address.host == "localhost" || address.host == "::1" || is_ipv4_loopback(address.host);
}

}  // namespace bop::capi

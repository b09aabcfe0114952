#include "net/http_syntax.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace bop::net {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_alphanumeric(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f'); }

// RFC 3986: unreserved (without letters and digits) and sub-delims.
constexpr std::string_view unreserved = "-._~";
constexpr std::string_view sub_delims = "!$&'()*+,;=";

bool is_name(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
      i += 2;
    } else if (c == ',' || (!is_alphanumeric(c) && unreserved.find(c) == unreserved.npos &&
                            sub_delims.find(c) == sub_delims.npos)) {
      return false;
    }
  }
  return true;
}

bool is_ip_v6(std::string_view text) {
  return text.find(':') != text.npos && normal_ip_address(text).has_value();
}

// An empty port is valid (RFC 3986 section 3.2.3).
bool is_port(std::string_view text) {
  if (text.empty()) return true;
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

std::unexpected<Error> bad_target(const char* why) { return fail(BOP_E_PROTOCOL, why); }

Result<HttpTarget> parse_absolute(std::string_view method, std::string_view target) {
  const size_t colon = target.find("://");
  if (colon == target.npos) return bad_target("a request target must begin with '/' or a scheme");
  const std::string_view scheme = target.substr(0, colon);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) {
    return bad_target("the scheme of a request target must be http or https");
  }
  target.remove_prefix(colon + 3);
  const std::string_view authority = target.substr(0, target.find_first_of("/?"));
  if (authority.empty() || !is_http_host(authority)) {
    return bad_target("the authority of the request target must be HOST or HOST:PORT");
  }
  target.remove_prefix(authority.size());
  // RFC 9112 section 3.2.4: in absolute-form, an empty path stands for "*".
  if (target.empty() && method == "OPTIONS") target = "*";
  return HttpTarget{target, authority};
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string> normal_ip_address(std::string_view text) {
  if (text.find('%') != text.npos)
    return std::nullopt;  // a zone is only valid on the client's host
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(text), error);
  return error ? std::nullopt : std::optional(address.to_string());
}

bool is_http_host(std::string_view text) {
  if (text.empty()) return true;
  std::string_view port;
  if (text.front() == '[') {
    const size_t end = text.find(']');
    if (end == text.npos || !is_ip_v6(text.substr(1, end - 1))) return false;
    port = text.substr(end + 1);
  } else {
    const std::string_view host = text.substr(0, text.find(':'));
    if (host.empty() || !is_name(host)) return false;
    port = text.substr(host.size());
  }
  return port.empty() || (port.front() == ':' && is_port(port.substr(1)));
}

Result<HttpTarget> parse_http_target(std::string_view method, std::string_view target) {
  if (target.find('#') != target.npos) {
    return bad_target(
        "a request target must not have a fragment; encode '#' in a path or query as %23");
  }
  if (method == "CONNECT") {
    const bool has_port = target.find(':') != target.npos && target.back() != ':';
    if (!has_port || !is_http_host(target)) return bad_target("CONNECT takes HOST:PORT");
    return HttpTarget{target, target};
  }
  if (target.starts_with('/')) return HttpTarget{target, std::nullopt};
  if (target != "*") return parse_absolute(method, target);
  if (method != "OPTIONS") return bad_target("the request target * is only valid with OPTIONS");
  return HttpTarget{target, std::nullopt};
}

std::optional<std::string_view> next_http_element(std::string_view& list) {
  constexpr std::string_view blank = " \t";
  while (!list.empty()) {
    bool quoted = false;
    size_t end = 0;
    while (end < list.size() && (quoted || list[end] != ',')) {
      if (list[end] == '"') quoted = !quoted;
      ++end;
    }
    std::string_view element = list.substr(0, end);
    list.remove_prefix(std::min(list.size(), end + 1));
    element.remove_prefix(std::min(element.size(), element.find_first_not_of(blank)));
    element = element.substr(0, element.find_last_not_of(blank) + 1);
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

bool has_http_token(std::string_view list, std::string_view token) {
  while (const auto element = next_http_element(list)) {
    if (equal_ignoring_case(*element, token)) return true;
  }
  return false;
}

}  // namespace bop::net

// Parts of a request that RFC 9110 and 9112 restrict and the parser does not look at.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::net {

// uri-host [":" port] (RFC 9110 section 7.2): a name, an IPv4 address or an IPv6 address in brackets. A
// comma, which a name could have by the grammar, is refused: it joins the values of two Host fields.
// Empty text is valid: it stands for a target without an authority.
bool is_http_host(std::string_view text);

struct HttpTarget {
  // "/path?query"; "*"; of an absolute-form without a path "" or "?query"; "host:port" of CONNECT.
  std::string_view text;
  std::optional<std::string_view> authority;  // of an absolute-form: it replaces the Host field
};

// The four forms of RFC 9112 section 3.2. PROTOCOL, in words, for a target of no form that its method
// allows, or with a fragment.
Result<HttpTarget> parse_http_target(std::string_view method, std::string_view target);

// An IPv4 or IPv6 address, without brackets, in the one form that its value has; nothing: it is none.
std::optional<std::string> normal_ip_address(std::string_view text);

// The next element of a comma-separated list without its white space (RFC 9110 section 5.6.1), which is
// removed from `list` with its comma. Empty elements are skipped; nothing at the end. Commas within
// double quotes belong to the element.
std::optional<std::string_view> next_http_element(std::string_view& list);

// Whether a list has that token, in whatever case.
bool has_http_token(std::string_view list, std::string_view token);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace bop::net

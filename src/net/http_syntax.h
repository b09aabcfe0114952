// Checks that RFC 9110 and 9112 require of a request and the parser does not make.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::net {

// Whether `text` is uri-host [":" port] (RFC 9110 section 7.2): a name, an IPv4 address, or an IPv6 address
// in brackets. A comma, which the grammar allows in a name, is refused, since it may come from joining two
// Host fields. Empty text is valid: it stands for a target without an authority.
bool is_http_host(std::string_view text);

struct HttpTarget {
  // "/path?query"; "*"; "" or "?query" for an absolute-form without a path; "host:port" for CONNECT.
  std::string_view text;
  std::optional<std::string_view>
      authority;  // of an absolute-form or CONNECT: replaces the Host field
};

// Parses the four forms of RFC 9112 section 3.2. PROTOCOL, with an explanation: the form is not one that
// the method allows, or the target has a fragment.
Result<HttpTarget> parse_http_target(std::string_view method, std::string_view target);

// The canonical text of an IPv4 or IPv6 address without brackets; nullopt: `text` is not an address.
std::optional<std::string> normal_ip_address(std::string_view text);

// Removes the next element of a comma-separated list (RFC 9110 section 5.6.1) and its comma from `list`,
// and returns it without surrounding white space. Empty elements are skipped; nullopt at the end. Commas
// within double quotes belong to the element.
std::optional<std::string_view> next_http_element(std::string_view& list);

// Whether a list contains that token (case-insensitive).
bool has_http_token(std::string_view list, std::string_view token);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace bop::net

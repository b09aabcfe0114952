// The head of an HTTP response.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"

namespace bop::net {

// "Not Found"; empty for a status that it does not know.
std::string_view http_reason(unsigned status);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(int64_t second);

// Whether the connection stays open after a response, and how the response says so (RFC 9112 section 9.3).
enum class HttpPersistence : uint8_t {
  implied,  // stays open: the default of HTTP/1.1
  stated,   // stays open: a client of HTTP/1.0 needs "Connection: keep-alive"
  close,    // is closed: "Connection: close"
};

// Status line and fields, up to and including the empty line; without Date when `date` is empty. CR, LF and
// NUL are removed from names and values, so that input which a handler repeats cannot add a field.
std::string http_head(const HttpResponse& response, std::string_view date,
                      HttpPersistence persistence);

// Whether a response with that status has neither a body nor a length (RFC 9110 section 8.6).
bool http_has_no_body(unsigned status);

}  // namespace bop::net

// The head of an HTTP response.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"

namespace bop::net {

// "Not Found"; empty for a status that RFC 9110 does not name.
std::string_view http_reason(unsigned status);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(int64_t second);

// What a response says of the connection after it (RFC 9112 section 9.3).
enum class HttpPersistence : uint8_t {
  implied,  // stays open, as a client of HTTP/1.1 expects
  stated,   // stays open, which a client of HTTP/1.0 does not know unless it is told
  close,
};

// Status line and fields, through the empty line; without Date when `date` is empty. CR, LF and NUL are
// left out of names and values, so that what a handler was sent cannot become a field of its own.
std::string http_head(const HttpResponse& response, std::string_view date,
                      HttpPersistence persistence);

// A response of that status has neither a body nor a length (RFC 9110 section 8.6).
bool http_has_no_body(unsigned status);

}  // namespace bop::net

// The head of an HTTP answer.
#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace bop::net {

// "Not Found"; empty for a number that RFC 9110 does not name.
std::string_view http_reason(unsigned status);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(int64_t second);

// Status line and fields, through the empty line; no Date when it is empty. Bytes that would end a field early are left out of
// its value, so that what a handler was sent cannot become a field of its own.
std::string http_head(const HttpResponse& response, std::string_view date, bool keep_alive);

// An answer of that status never has a body, nor a length (RFC 9110 section 8.6).
bool http_has_no_body(unsigned status);

}  // namespace bop::net

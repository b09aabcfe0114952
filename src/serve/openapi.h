// The HTTP API described for machines (OpenAPI 3.1): GET /v1/openapi.json.
#pragma once

#include <string_view>

namespace bop::serve {

std::string_view openapi_text();

}  // namespace bop::serve

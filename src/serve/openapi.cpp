#include "serve/openapi.h"

namespace bop::serve {

namespace {

constexpr unsigned char bytes[] = {
#include "openapi.json.inc"
};

}  // namespace

std::string_view openapi_text() { return {reinterpret_cast<const char*>(bytes), sizeof bytes}; }

}  // namespace bop::serve

// A node's status as JSON, for GET /v1/status and the native status reply. Its names are an interface:
// docs/formats/http.md.
#pragma once

#include <string>

#include "node/service.h"

namespace bop::serve {

std::string status_json(const node::NodeStatus& status);

}  // namespace bop::serve

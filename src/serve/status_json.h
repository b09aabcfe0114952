// A node's status as JSON: GET /v1/status, and the body of a native status reply. Other tools rely on
// its names: docs/formats/http.md.
#pragma once

#include <string>

#include "node/service.h"

namespace bop::serve {

std::string status_json(const node::NodeStatus& status);

}  // namespace bop::serve

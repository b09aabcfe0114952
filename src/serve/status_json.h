// A node's status as JSON, for GET /v1/status and the native status reply. Its names are an interface:
// docs/formats/http.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/service.h"

namespace bop::serve {

std::string status_json(const node::NodeStatus& status);

// Some of a group's snapshots on a node (docs/formats/client.md).
std::string snapshots_json(NodeId node, std::string_view group,
                           const std::vector<node::SnapshotStatus>& snapshots);

}  // namespace bop::serve

// The contents of INFO and CONFIG GET: only values that are true for this server.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/service.h"
#include "proto/resp.h"
#include "serve/client_connections.h"

namespace bop::serve {

// Names and values, ordered by name. Only Redis's parameters that have the same meaning here.
std::vector<std::pair<std::string, std::string>> resp_settings(const Options& options,
                                                               const proto::RespLimits& limits);

// `wanted`: names of sections, each between spaces; empty: all.
std::string resp_info(std::string_view wanted, const node::NodeStatus& status,
                      ClientConnections& connections);

std::string lower(std::string_view text);

}  // namespace bop::serve

// The metrics of a node that are computed when they are requested.
#pragma once

#include <string>

#include "base/metrics.h"
#include "io/process_stats.h"
#include "node/service.h"

namespace bop::serve {

// Copies the numbers of `status` into the registry.
void follow_status(metrics::Registry& registry, const node::NodeStatus& status);

// Prometheus's conventional process_* metrics, as text that follows the registry's.
std::string process_metrics_text(const io::ProcessStats& stats);

}  // namespace bop::serve

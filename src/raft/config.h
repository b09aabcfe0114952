// The options of the core, from the configuration of the node.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "base/time.h"

namespace bop::raft {

struct Config {
  NodeId self = 0;
  // Seeds the election jitter and the numbers of read requests. It must differ at each start (derive it
  // from node, group and the log's epoch): a reply to a request sent before a restart must not match one
  // sent after it.
  uint64_t seed = 0;
  Duration election_timeout = 1 * seconds;  // drawn from [timeout, 2 * timeout)
  Duration heartbeat_interval = 100 * milliseconds;
  size_t max_append_bytes = 1 << 20;  // entries of one append_request
  size_t max_append_entries = 4096;
  size_t max_inflight_bytes = 8 << 20;  // sent to one peer and not acknowledged yet
  size_t max_inflight_appends = 64;
  // Entries not committed or not applied yet; further proposals are refused with OVERLOADED.
  size_t max_uncommitted_bytes = 64 << 20;
  size_t max_pending_reads = 65536;
  size_t cache_bytes = 32 << 20;  // applied entries kept in memory for slow peers
  // The host lets at most so many bytes wait for a peer. A peer that received more than that lost what it
  // lacks.
  uint64_t max_queued_bytes = 64 << 20;
  bool quiesce = true;  // an idle group sends no heartbeats
  // The least time between two handovers of a group by leaders that are hindered (raft::Hindered), so that
  // nodes whose disks fill up and drain in turn do not pass the leadership to and fro.
  Duration handover_interval = 60 * seconds;
};

}  // namespace bop::raft

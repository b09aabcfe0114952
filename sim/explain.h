// Explains a run to people, in Raft's terms: one line per event, with simulated time and node. Events are what a node
// logs, frames between nodes, faults, and the violation that ends the run. Heartbeats between nodes are left out.
//
//   12.310000000 fault 14: kill
//   12.345678901 node 2 info group kv1, term 5: following node 3
//   12.345801234 3 -> 2 control arrives: group 1 append_request term 5 index 17 commit 17 round 9
#pragma once

#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

#include "base/logging.h"
#include "port/transport.h"
#include "proto/peer.h"
#include "sim/scheduler.h"

namespace bop::sim {

// A frame's items except heartbeats, "; " between them; of one that cannot be decoded the error.
std::string describe_frame(const mem::Buffer& frame);

class Explainer {
 public:
  // The caller closes `file`. Without `frames`, what nodes log is all.
  Explainer(std::FILE* file, bool frames) : file_(file), frames_(frames) {}
  bool explains_frames() const { return frames_; }
  // Only events of this simulated time, both ends included.
  void between(Instant from, Instant to) {
    from_ = from;
    to_ = to;
  }

  // Whose time and threads the lines have from now on; nullptr: there are no lines.
  void follow(const Scheduler* scheduler) { scheduler_ = scheduler; }

  void log(logging::Level level, std::string_view text);
  // An event of no node: a fault, or a violation.
  void remark(std::string_view text);
  void frame(NodeId from, NodeId to, port::Channel channel, Bytes frame, std::string_view fate);

 private:
  bool is_wanted() const;
  void write_time();

  std::FILE* const file_;
  const bool frames_;
  Instant from_ = 0;
  Instant to_ = std::numeric_limits<Instant>::max();
  const Scheduler* scheduler_ = nullptr;
};

}  // namespace bop::sim

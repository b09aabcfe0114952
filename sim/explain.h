// Tells a run to people: every line that a node logs, and every frame between nodes as one line, with
// simulated time and node.
//
//   12.345678901 node 2 info node 2, group kv1, term 5: following node 3
//   12.345801234 3 -> 2 control arrives: group 1 append_request term 5 index 17 commit 17 round 9
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "base/logging.h"
#include "port/transport.h"
#include "proto/peer.h"
#include "sim/scheduler.h"

namespace bop::sim {

// A frame's items, "; " between them; of one that cannot be decoded the error.
std::string describe_frame(const mem::Buffer& frame);

class Explainer {
 public:
  // The caller closes `file`. Without `frames`, what nodes log is all.
  Explainer(std::FILE* file, bool frames) : file_(file), frames_(frames) {}
  bool explains_frames() const { return frames_; }

  // Whose time and threads the lines have from now on; nullptr: there are no lines.
  void follow(const Scheduler* scheduler) { scheduler_ = scheduler; }

  void log(logging::Level level, std::string_view text);
  void frame(NodeId from, NodeId to, port::Channel channel, Bytes frame, std::string_view fate);

 private:
  void write_time();

  std::FILE* const file_;
  const bool frames_;
  const Scheduler* scheduler_ = nullptr;
};

}  // namespace bop::sim

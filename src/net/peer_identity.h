// Tells a peer that was started again from a second process that runs as the same node.
//
// Both channels to a peer lead to one process, known by the random number (`instance`) of its introduction.
// A hello with another number is of the node's next process, whose predecessor is gone and falls silent,
// or of a second one: then the first goes on being heard.
//
//                      no channel is up, or the process behind it is silent for `patience`
//   another instance ─┬────────────────────────────────────────────────────────────────► next
//                     │ a channel is up and heard                      heard on, half of `patience` later
//                     └───────────────────────────────────► wait ──────────────────────► second
#pragma once

#include <cstdint>

#include "base/time.h"

namespace bop::net {

class PeerIdentity {
 public:
  enum class Verdict : uint8_t { same, next, wait, second };

  explicit PeerIdentity(Duration patience) : patience_(patience) {}

  // `up`: a channel to the known process is up, which was last heard at `heard_at`. An instance of 0 (a
  // version that does not tell it) passes for the known one.
  Verdict judge(uint64_t instance, bool up, Instant heard_at, Instant now) {
    if (instance == 0 || instance == instance_) return Verdict::same;
    if (instance_ == 0 || !up || now - heard_at >= patience_) {
      instance_ = instance;
      other_ = 0;
      return Verdict::next;
    }
    if (instance != other_) {
      other_ = instance;
      other_since_ = now;
    }
    return heard_at >= other_since_ + patience_ / 2 ? Verdict::second : Verdict::wait;
  }

 private:
  const Duration patience_;
  uint64_t instance_ = 0;  // of the process that the channels lead to, or led to last
  uint64_t other_ = 0;     // of one that was told to wait
  Instant other_since_ = 0;
};

}  // namespace bop::net

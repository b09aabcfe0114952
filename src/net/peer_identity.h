// Distinguishes a peer that was restarted from a second process with the same node id.
//
// Both channels to a peer lead to one process, identified by the random number (`instance`) in its
// introduction. A hello with another number comes from the node's next process, after the old one ended and
// fell silent; or from a second process, while the first one is still heard.
//
//                      no channel is up, or nothing was heard on it for `patience`
//   other instance ──┬───────────────────────────────────────────────────────────► next
//                    │ a channel is up                       still heard, patience / 2 later
//                    └────────────────────────────► wait ────────────────────────► second
#pragma once

#include <cstdint>

#include "base/time.h"

namespace bop::net {

class PeerIdentity {
 public:
  enum class Verdict : uint8_t { same, next, wait, second };

  explicit PeerIdentity(Duration patience) : patience_(patience) {}

  // `up`: a channel to the known process is up; it was last heard at `heard_at`. Instance 0 (of a version
  // that does not send it) counts as the known process.
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
  uint64_t instance_ = 0;  // of the process that the channels are, or last were, connected to
  uint64_t other_ = 0;     // of another process, whose verdict was `wait`; 0: none
  Instant other_since_ = 0;
};

}  // namespace bop::net

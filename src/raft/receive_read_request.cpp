#include "raft/reads.h"
#include "raft/receive.h"

namespace bop::raft {

void receive_read_request(State& s, Progress& from, const Message& m) {
  if (!s.leads()) {
    send(s, m.from, MessageKind::read_reply).round = m.round;
    return;
  }
  if (from.read_request == m.round) return;  // a repetition of one that waits for its round
  // Dropped rather than denied: the follower repeats it.
  if (reads_waiting(s) >= s.config.max_pending_reads) return;
  from.read_request = m.round;
  s.reads.gathering.push_back({m.from, m.round});
  s.wake_cause = Cause::read;
}

}  // namespace bop::raft

#include "raft/become.h"
#include "raft/election.h"
#include "raft/receive.h"

namespace bop::raft {

void receive_step_down_notice(State& s, const Message& m) {
  if (s.leads() || (s.leader != 0 && s.leader != m.from)) return;
  if (m.hindered) s.handover_after = s.now + s.config.handover_interval;
  if (s.leader == m.from) forget_leader(s, Cause::step_down_notice);
  const bool idle = s.role == Role::follower;
  if (m.ok && idle) campaign(s, {Cause::transfer, m.from});
}

}  // namespace bop::raft

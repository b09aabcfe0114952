#include "raft/propose.h"

#include "raft/configuration.h"
#include "raft/handover.h"
#include "raft/members.h"
#include "raft/quiesce.h"
#include "raft/quorum.h"

namespace bop::raft {

namespace {

bop_status refusal_of_configuration(const State& s, const Propose& event) {
  if (event.kind != EntryKind::configuration) return BOP_OK;
  const Result<Configuration> proposed = decode_configuration(event.payload.bytes());
  return proposed ? refusal_of_change(s, *proposed) : proposed.error().code;
}

// What a peer that lacks no entry reported is outdated: an append may have come late, and there is none to send that
// would bring a newer report.
bool is_full(const State& s, const Progress& peer) {
  return peer.log_capacity != LogCapacity::available && peer.match < s.last();
}

// An entry that no quorum has capacity for would end with an unknown outcome. Once a voter has reported
// that its log is full, voters that do not reply count as full, too.
bop_status capacity_of_quorum(const State& s) {
  LogCapacity missing = LogCapacity::available;
  for (const Progress& peer : s.peers)
    if (peer.voter() && is_full(s, peer)) missing = peer.log_capacity;
  if (missing == LogCapacity::available) return BOP_OK;
  const auto has_capacity = [&s](const Progress& peer) {
    return !is_full(s, peer) && peer.stage == Progress::Stage::replicating;
  };
  if (quorum_is(s, true, has_capacity)) return BOP_OK;
  return missing == LogCapacity::log_full ? BOP_E_LOG_FULL : BOP_E_DISK_FULL;
}

bop_status validate(const State& s, const Propose& event) {
  if (!s.leads() || hands_over(s)) return BOP_E_NOT_LEADER;
  if (const bop_status refusal = refusal_of_configuration(s, event); refusal != BOP_OK)
    return refusal;
  const size_t cost = Entry::cost_of(event.payload.size());
  if (s.log.open_bytes() + cost > s.config.max_uncommitted_bytes) return BOP_E_OVERLOADED;
  return capacity_of_quorum(s);
}

}  // namespace

EntryId append_own(State& s, const Propose& event) {
  BOP_ASSERT(s.leads());
  Entry entry;
  entry.term = s.hard.term;
  entry.index = s.last() + 1;
  entry.time_ns = std::max(s.wall_ns, s.log.last_time_ns());
  entry.session = event.session;
  entry.sequence = event.sequence;
  entry.machine_version = event.machine_version;
  entry.kind = event.kind;
  entry.payload = event.payload;
  const EntryId id{entry.term, entry.index};
  append_entry(s, std::move(entry));
  return id;
}

void propose(State& s, const Propose& event) {
  const bop_status verdict = validate(s, event);
  if (verdict == BOP_OK) {
    s.update->proposed.push_back({event.token, append_own(s, event)});
    s.wake_cause = Cause::proposal;
    return;
  }
  s.update->refused.push_back({event.token, verdict, false});
  // The group has work: a quiesced follower has to find out whether its leader is alive.
  wake_follower(s, Cause::proposal);
}

}  // namespace bop::raft

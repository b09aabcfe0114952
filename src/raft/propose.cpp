#include "raft/propose.h"

#include "raft/configuration.h"
#include "raft/handover.h"
#include "raft/quiesce.h"

namespace bop::raft {

namespace {

// Membership is static: a configuration entry may only repeat the configuration in force.
bool changes_configuration(const State& s, const Propose& event) {
  if (event.kind != EntryKind::configuration) return false;
  const Result<Configuration> proposed = decode_configuration(event.payload.bytes());
  return !proposed || *proposed != s.configuration;
}

// An entry that no quorum has capacity for would end with an unknown outcome. Once a voter has reported
// that its log is full, voters that do not reply count as full, too.
bop_status capacity_of_quorum(const State& s) {
  LogCapacity missing = LogCapacity::available;
  size_t with_capacity = s.voter ? 1 : 0;
  for (const Progress& peer : s.peers) {
    if (!peer.voter) continue;
    if (peer.log_capacity != LogCapacity::available)
      missing = peer.log_capacity;
    else if (peer.stage == Progress::Stage::replicating)
      ++with_capacity;
  }
  if (missing == LogCapacity::available || with_capacity >= s.quorum()) return BOP_OK;
  return missing == LogCapacity::log_full ? BOP_E_LOG_FULL : BOP_E_DISK_FULL;
}

bop_status validate(const State& s, const Propose& event) {
  if (!s.leads() || hands_over(s)) return BOP_E_NOT_LEADER;
  if (changes_configuration(s, event)) return BOP_E_UNSUPPORTED;
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
  s.log.append(std::move(entry));
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

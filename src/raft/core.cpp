#include "raft/core.h"

#include <utility>

#include "raft/become.h"
#include "raft/configuration.h"
#include "raft/election.h"
#include "raft/handover.h"
#include "raft/install.h"
#include "raft/invariants.h"
#include "raft/members.h"
#include "raft/persist.h"
#include "raft/propose.h"
#include "raft/quiesce.h"
#include "raft/quorum.h"
#include "raft/reads.h"
#include "raft/receive.h"
#include "raft/replicate.h"
#include "raft/seeded_bugs.h"
#include "raft/state.h"

namespace bop::raft {

namespace {

// A machine ahead of its log acts as a snapshot, whose term may be higher than any in the log.
HardState at_least(HardState hard, Term term) {
  return hard.term >= term ? hard : HardState{term, 0};
}

// ---- events ----

void on(State& s, const Propose& event) { propose(s, event); }
void on(State& s, const Receive& event) {
  if (event.log_capacity != LogCapacity::available || !event.message.entries.empty())
    s.log_capacity = event.log_capacity;
  if (event.log_capacity != LogCapacity::available)
    record_rejection(
        s, event.message,
        event.log_capacity == LogCapacity::log_full ? Cause::log_full : Cause::disk_full);
  receive(s, event.message);
}
void on(State& s, const Persisted& event) { persisted(s, event.mark); }
void on(State& s, const Read& event) { read(s, event.token); }
void on(State& s, const Loaded& event) { loaded(s, event); }

void on(State& s, const NodeLost& event) {
  std::erase(s.alive_nodes, event.node);
  Progress* peer = s.find_peer(event.node);
  if (peer != nullptr) peer->alive = false;
  if (s.leader == event.node) return forget_leader(s, Cause::node_lost);
  if (peer == nullptr || !s.leads()) return;
  peer->log_capacity = LogCapacity::available;
  if (peer->stage != Progress::Stage::snapshot) {
    start_probing(s, *peer, peer->match + 1);
    peer->paused = true;  // until it answers a heartbeat
  }
  wake(s, Cause::peer_lost);
}

void on(State& s, const NodeAlive& event) {
  const auto at = std::ranges::lower_bound(s.alive_nodes, event.node);
  if (at == s.alive_nodes.end() || *at != event.node) s.alive_nodes.insert(at, event.node);
  if (Progress* peer = s.find_peer(event.node)) peer->alive = true;
}

void on(State& s, const ForwardFailed& event) {
  if (s.leader == event.leader) wake_follower(s, Cause::forward_failed);
}

void on(State& s, const ForwardDenied& event) {
  const bool believed = !s.leads() && s.leader != 0 && s.leader == event.leader;
  if (believed && s.hard.term == event.term) forget_leader(s, Cause::leadership_denied);
}

void on(State& s, const Delivered& event) {
  if (Progress* peer = s.find_peer(event.node); peer != nullptr && s.leads())
    delivered(s, *peer, event.bytes);
}

void on(State& s, const Health& event) {
  s.healthy = event.healthy;
  if (!s.healthy && s.leads()) step_down(s, event.cause, best_successor(s));
  const bool campaigns = s.role == Role::pre_candidate || s.role == Role::candidate;
  if (!s.healthy && campaigns) become_follower(s, s.hard.term, 0, {event.cause});
  if (s.healthy && may_stand(s) && s.election_at == never && !s.leads() && !s.quiesced) {
    arm_election(s);
    if (s.peers.empty()) s.election_at = s.now;  // nobody else can lead
  }
}

void on(State& s, const Hindered& event) {
  s.hindrance = event.cause;
  if (s.hindrance == Cause::none) s.deferred = false;
  // Nobody else learns of it while the group is quiesced.
  if (s.hindrance != Cause::none && s.all_quiesced) wake(s, s.hindrance);
}

void on(State& s, const Transfer& event) { transfer(s, event); }
void on(State& s, const Compacted& event) { compacted(s, event.through); }

void on(State& s, const SnapshotReady& event) {
  if (s.snapshot == event.newest) return;
  s.snapshot = event.newest;
  for (Progress& peer : s.peers)
    if (peer.stage == Progress::Stage::snapshot) peer.paused = false;
}

void on(State& s, const Installed& event) { installed(s, event); }

void on(State& s, const Resign&) {
  if (s.peers.empty()) return;  // nobody could take over
  s.campaign_after = s.now + 2 * s.config.election_timeout;
  if (s.leads()) return step_down(s, Cause::resigned, best_successor(s));
  const bool campaigns = s.role == Role::pre_candidate || s.role == Role::candidate;
  if (campaigns) become_follower(s, s.hard.term, 0, {Cause::resigned});
}

// ---- time ----

// Dissertation §6.2: "a leader steps down if an election timeout elapses without a successful round
// of heartbeats to a majority of its cluster". With each heartbeat, so that a leader that hears nobody, while its
// followers hear it, leads no longer than that.
void check_quorum(State& s) {
  if (!quorum_heard(s)) step_down(s, Cause::quorum_lost, 0);
}

// Heartbeats may pass where entries do not (large packets vanish, the connection for bulk data stalls): the
// leader would lead forever and commit nothing. Another leader may reach a quorum. This replica must not
// win again at once because of entries that nobody else received, so it waits before it campaigns.
void check_progress(State& s) {
  if (quorum_makes_progress(s) || seeded(Bug::lead_without_progress)) return;
  s.campaign_after = s.now + 2 * s.config.election_timeout;
  step_down(s, Cause::no_progress, best_successor(s));
}

void send_heartbeats(State& s) {
  ++s.round;
  s.heartbeat_due = true;
  s.heartbeat_at = s.now + s.config.heartbeat_interval;
  for (Progress& peer : s.peers) peer.load_failed = false;
}

void run_timers(State& s) {
  if (!s.leads()) {
    if (s.now >= s.election_at) election_timed_out(s);
    return;
  }
  if (s.all_quiesced) return;
  if (s.now >= s.heartbeat_at) check_quorum(s);
  if (s.leads() && s.now >= s.heartbeat_at) check_progress(s);
  if (!s.leads()) return;
  if (s.now >= s.heartbeat_at) send_heartbeats(s);
  if (s.now >= s.commit_update_at) s.commit_update_due = true;
}

Instant next_deadline(const State& s) {
  Instant deadline = s.reads.ask_again_at;
  if (!s.leads()) return std::min(deadline, s.election_at);
  if (s.all_quiesced) return deadline;
  deadline = std::min({deadline, s.heartbeat_at, s.handover_ends});
  return std::min(deadline, s.commit_update_at);
}

// ---- a step ----

void begin(State& s, Instant now, int64_t wall_ns, Update& update) {
  update.clear();
  s.update = &update;
  s.now = std::max(s.now, now);
  s.wall_ns = wall_ns;
  s.heartbeat_due = s.round_due = s.commit_update_due = false;
  s.former_peers.clear();
  for (Progress& peer : s.peers) peer.loaded.clear();
  // Not earlier: the host may use these entries until the next step.
  s.log.set_applied_prefix(std::min(s.applied, s.commit));
  s.log.evict(s.persists.durable, s.config.cache_bytes);
  if (s.leads()) note_progress(s);
  s.wake_cause = Cause::none;
  if (!std::exchange(s.started, true))
    record(s, RecordKind::configuration).entry.index = s.configurations.index();
}

void lead(State& s) {
  advance_commit(s);
  advance_change(s);
  if (!s.leads()) return;
  hand_over_if_due(s);
  if (!s.leads()) return;
  s.round_due = advance_reads(s);
  start_quiescing(s);
  broadcast(s);
}

void record_first_commit(State& s) {
  if (s.commit == s.recorded_commit) return;
  s.recorded_commit = s.commit;
  if (s.recorded_commit_term == s.hard.term || s.log.term_at(s.commit) != s.hard.term) return;
  s.recorded_commit_term = s.hard.term;
  record(s, RecordKind::first_commit).entry = {s.hard.term,
                                               s.log.terms().first_of_term_at(s.commit)};
}

void finish(State& s) {
  ask_for_votes(s);
  if (s.leads()) lead(s);
  commit_configurations(s);
  send_pending_vote_reply(s);
  reply_to_leader(s);
  ask_leader(s);
  emit_persist(s);
  update_quiesced(s);
  record_quiescing(s);
  record_first_commit(s);
  s.update->commit = s.commit;
  s.update->compact = s.compact;
  s.update->deadline = next_deadline(s);
  s.update = nullptr;
}

}  // namespace

State::State(const Config& config, const Restored& restored, Instant now)
    : config(config),
      configurations(restored.configuration, restored.later_configurations),
      random(config.seed),
      hard(restored.hard),
      log(restored),
      commit(std::max(restored.commit, restored.before_first.index)),
      applied(commit),
      leader_term(log.last_term()),
      now(now) {
  BOP_ASSERT(check_configuration(configuration()).has_value());
  configurations.commit(commit);
  adopt_configuration(*this);
  role = may_stand(*this) ? Role::follower : Role::learner;
  BOP_ASSERT_NE(config.self, 0u);
  BOP_ASSERT_GT(config.heartbeat_interval, 0);
  // A single lost heartbeat must not start an election.
  BOP_ASSERT_LE(2 * config.heartbeat_interval, config.election_timeout);
  BOP_ASSERT_GT(config.max_append_bytes, 0u);
  BOP_ASSERT_GT(config.max_append_entries, 0u);
  BOP_ASSERT_GT(config.max_inflight_appends, 0u);
  BOP_ASSERT_LE(config.max_append_bytes, config.max_inflight_bytes);
  BOP_ASSERT_LE(commit, log.last());
  hard = at_least(hard, log.last_term());
  reads.request = random.next() >> 3;
  persists.written = persists.durable_hard = hard;
  persists.written_index = persists.durable = log.last();
  recorded_commit = commit;
  // At a start nobody leads yet, or the live leader's followers refuse the pre-vote: a short wait is safe.
  if (role == Role::follower)
    election_at =
        now + static_cast<Duration>(random.below(static_cast<uint64_t>(config.election_timeout)));
  if (role == Role::follower && peers.empty()) election_at = now;
}

Message& send(State& s, NodeId to, MessageKind kind) {
  Message& message = s.update->messages.emplace_back();
  message.kind = kind;
  message.from = s.config.self;
  message.to = to;
  message.term = s.hard.term;
  return message;
}

Record& record(State& s, RecordKind kind, Cause cause, NodeId node) {
  Record& record = s.update->records.emplace_back();
  record.kind = kind;
  record.cause = cause;
  record.node = node;
  record.now = {s.role, s.hard.term, s.leader};
  return record;
}

void Update::clear() {
  mark = {};
  restart = {};
  entries.clear();
  messages.clear();
  loads.clear();
  proposed.clear();
  refused.clear();
  reads.clear();
  offer.reset();
  snapshot_wanted = 0;
  records.clear();
  commit = compact = 0;
  role_changed = configuration_changed = false;
  deadline = never;
}

Core::Core(const Config& config, const Restored& restored, Instant now)
    : state_(std::make_unique<State>(config, restored, now)) {}

Core::~Core() = default;

void Core::step(Instant now, int64_t wall_ns, std::span<const Event> events, Update& update) {
  State& s = *state_;
  begin(s, now, wall_ns, update);
  for (const Event& event : events) std::visit([&s](const auto& e) { on(s, e); }, event);
  run_timers(s);
  finish(s);
#if defined(BOP_SLOW_ASSERTS)
  check_invariants(s);
#endif
}

Role Core::role() const { return state_->role; }
Term Core::term() const { return state_->hard.term; }
NodeId Core::leader() const { return state_->leader; }
Index Core::commit() const { return state_->commit; }
Index Core::first() const { return state_->before_first() + 1; }
Index Core::last() const { return state_->last(); }
Index Core::durable() const { return state_->persists.durable; }
const HardState& Core::durable_hard() const { return state_->persists.durable_hard; }
Index Core::first_cached() const { return state_->log.first_cached(); }
bool Core::quiesced() const { return state_->quiesced || state_->all_quiesced; }
bool Core::hands_over() const { return raft::hands_over(*state_); }
const Configuration& Core::configuration() const { return state_->configuration(); }
Index Core::configuration_index() const { return state_->configurations.index(); }
const Entry* Core::entry(Index index) const { return state_->log.find(index); }
std::span<const Entry> Core::entries(Index first, Index last) const {
  return state_->log.span(first, last);
}
Term Core::term_at(Index index) const { return state_->log.term_at(index); }

void Core::applied(Index index) {
  BOP_ASSERT_LE(index, state_->commit);
  state_->applied = std::max(state_->applied, index);
}

void Core::check() const {
  check_invariants(*state_);
  check_log(*state_);
}

}  // namespace bop::raft

#include "group/replica.h"

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "base/logging.h"
#include "group/seeded_bugs.h"
#include "raft/configuration.h"

namespace bop::group {

namespace {

constexpr Duration expiry_grain = 20 * milliseconds;
// The log wants a compaction: how often the machine's progress is looked at, and for how long.
constexpr Duration compaction_grain = 20 * milliseconds;
constexpr Duration compaction_patience = 1 * seconds;
// Of answers to reads. Further reads wait for the next turn: the machine does not make their answers before, and this
// node's heartbeats and its peers' messages are not late.
constexpr size_t max_answer_bytes_a_turn = 4 << 20;
// How early the machine is told of a query that waits: with fewer, its prefetches come too late.
constexpr size_t queries_ahead = 8;
// Space in the log for a checkpoint with which it restarts: its configuration has at most 286 members of 32 bytes.
constexpr size_t checkpoint_reserve = 16 << 10;

// The outcome of a proposal whose entry provably will never be committed.
Outcome superseded() {
  Outcome out;
  out.status = BOP_E_UNAVAILABLE;
  out.detail = "the leader changed before the entry was committed; nothing was executed";
  return out;
}

// The core needs a different seed at each start of the node (raft::Config::seed).
raft::Config raft_config(const ReplicaOptions& options) {
  raft::Config settings = options.raft;
  uint8_t epoch[8];
  store_le<uint64_t>(epoch, options.epoch);
  settings.seed = hash64(Bytes(epoch), options.raft.seed);
  return settings;
}

// The entries of an append before the first command that can wait for space in the log. Those of earlier terms that are
// not committed cannot: the leader's first entry comes behind them, and without it nothing commits and the log is not
// compacted (§5.4.2).
std::span<const raft::Entry> entries_that_cannot_wait(const raft::Message& append) {
  const auto can_wait = [&append](const raft::Entry& entry) {
    const bool needed = entry.term < append.term && entry.index > append.commit;
    return entry.kind == raft::EntryKind::command && !needed;
  };
  const auto first = std::ranges::find_if(append.entries, can_wait);
  return append.entries.first(static_cast<size_t>(first - append.entries.begin()));
}

// The capacity that is reported to the leader. A log that refuses entries because too many bytes are
// gathered (OVERLOADED) counts as available, since it accepts entries again soon.
raft::LogCapacity capacity_without(bop_status obstacle) {
  switch (obstacle) {
    case BOP_E_LOG_FULL: return raft::LogCapacity::log_full;
    case BOP_E_DISK_FULL: return raft::LogCapacity::disk_full;
    default: return raft::LogCapacity::available;
  }
}

// The term of the entry at `index`, which is in the log or the last one before its first.
Term term_in(const raft::Restored& log, Index index) {
  Term term = log.before_first.term;
  for (const raft::TermRun& run : log.runs)
    if (run.first <= index) term = run.term;
  return term;
}

size_t bytes_of(std::span<const raft::Entry> entries) {
  size_t bytes = 0;
  for (const raft::Entry& entry : entries) bytes += entry.cost();
  return bytes;
}

}  // namespace

// ---- opening ----

Replica::Replica(const ReplicaOptions& options, const ReplicaPorts& ports)
    : options_(options),
      ports_(ports),
      instance_(options.instance),
      machine_directory_(options.machine_directory),
      observer_(options.raft.self, options.name, ports.metrics),
      inbox_(*this, ports.host),
      proposals_(options.limits.max_open_proposals),
      forwarder_(
          {.group = options.id, .epoch = options.epoch, .capacity = options.limits.max_waiting},
          ports.host, inbox_),
      reads_(options.limits.max_waiting, inbox_),
      persister_(options.id, options.name, ports.log, inbox_),
      checkpoints_(options.id, ports.log, options.limits.checkpoint_bytes),
      apply_(options.id, ports.log, inbox_, *this),
      hash_(ports.clock, ports.timers),
      hindrances_(options.name, options.raft.election_timeout) {
  step_timer_ = ports_.timers.make_timer([this] {
    step_armed_ = never;
    inbox_.schedule();
  });
  reads_timer_ = ports_.timers.make_timer([this] { inbox_.schedule(); });
  compaction_timer_ = ports_.timers.make_timer([this] { inbox_.schedule(); });
  expiry_timer_ = ports_.timers.make_timer([this] {
    expiry_armed_ = never;
    expire();
    inbox_.schedule();
  });
}

// The log may outlive it, as when the start fails.
Replica::~Replica() { ports_.log.attach(options_.id, nullptr); }

Result<std::unique_ptr<Replica>> Replica::open(const ReplicaOptions& options,
                                               const ReplicaPorts& ports,
                                               const log::RecoveredGroup* recovered) {
  BOP_TRY(raft::check_configuration(options.configuration));
  std::unique_ptr<Replica> replica(new Replica(options, ports));
  ports.log.attach(options.id, replica.get());
  if (recovered != nullptr && recovered->health == log::Health::suspect) {
    // It may lack entries that it acknowledged, so it must not vote, acknowledge or serve.
    replica->stay_out({BOP_E_SUSPECT, recovered->reason}, recovered->location);
    return replica;
  }
  if (recovered != nullptr && recovered->health == log::Health::newer) {
    replica->stay_out({BOP_E_NEWER_FORMAT, recovered->reason}, recovered->location);
    return replica;
  }
  BOP_TRY(replica->open_machine());
  // Its first checkpoint may be durable without its first entry, which comes behind it.
  const bool formed = recovered != nullptr && (recovered->last > 0 || recovered->hard.term > 0);
  if (!formed) {
    BOP_TRY(replica->bootstrap());
  } else if (replica->keeps_snapshots() && replica->driver_->in_memory()) {
    replica->restore_machine(*recovered);
  } else {
    BOP_TRY(replica->restore(*recovered));
    replica->state_ = State::opened;
  }
  return replica;
}

std::unique_ptr<Replica> Replica::halted(const ReplicaOptions& options, const ReplicaPorts& ports,
                                         const Error& reason, const log::FileOffset& at) {
  std::unique_ptr<Replica> replica(new Replica(options, ports));
  ports.log.attach(options.id, replica.get());
  replica->stay_out(reason, at);
  return replica;
}

void Replica::stay_out(const Error& reason, const log::FileOffset& at) {
  logging::error("group {}: halted at the start: {}", options_.name, reason.to_string());
  state_ = State::halted;
  halted_ = reason;
  halted_at_ = at;
}

bop::Status Replica::open_machine() {
  machine::DriverOptions options;
  options.group = options_.name;
  options.identity = options_.machine_identity;
  options.directory = options_.machine_directory;
  options.machine = options_.machine_options;
  BOP_TRY_ASSIGN(driver_, machine::Driver::open(*options_.machine, options, ports_.offload, *this));
  return {};
}

// Of a machine without a store.
void Replica::restore_machine(const log::RecoveredGroup& recovered) {
  state_ = State::restoring;
  restorer_ = std::make_unique<SnapshotRestorer>(
      SnapshotRestorer::Options{.cluster = options_.cluster,
                                .group = options_.id,
                                .name = options_.name,
                                .directory = options_.snapshot_directory},
      *ports_.files, ports_.offload);
  restorer_->restore(*driver_, [this, recovered](const Result<SnapshotRestorer::Outcome>& result) {
    machine_restored(recovered, result);
  });
}

void Replica::machine_restored(const log::RecoveredGroup& recovered,
                               const Result<SnapshotRestorer::Outcome>& result) {
  if (state_ != State::restoring) return;  // the machine failed
  bop::Status done;
  if (result) {
    restored_ = *result;
    done = restore(recovered);
  } else {
    done = std::unexpected(result.error());
  }
  if (!done && !restored_.unusable.empty())
    done = fail(done.error().code, done.error().detail + "; " + restored_.unusable);
  if (done)
    state_ = State::opened;
  else
    stay_out(done.error(), {.file = options_.snapshot_directory, .offset = 0});
  inbox_.schedule();  // the shard waits for it
}

bop::Status Replica::restore(const log::RecoveredGroup& recovered) {
  const bop_position machine = driver_->applied();
  raft::Restored restored;
  restored.commit = machine.index;
  restored.hard = recovered.hard;
  restored.runs = recovered.runs;
  restored.before_first = recovered.before_first;
  restored.last = recovered.last;
  restored.last_time_ns = recovered.last_time_ns;
  // The machine makes permanent only entries that are durable in the log. So if it is ahead of its log, the
  // log lost entries, of which some may have been acknowledged, and perhaps votes.
  if (machine.index > restored.last)
    return fail(BOP_E_SUSPECT, place_of_machine() + "the machine holds entries up to " +
                                   std::to_string(machine.index) + ", but its log ends at " +
                                   std::to_string(restored.last) + ": the log lost entries");
  if (machine.index < restored.before_first.index)
    return fail(BOP_E_DAMAGED, place_of_machine() + "the machine holds entries up to " +
                                   std::to_string(machine.index) + ", but its log begins after " +
                                   std::to_string(restored.before_first.index));
  if (const Term term = term_in(restored, machine.index); term != machine.term)
    return fail(BOP_E_DAMAGED, place_of_machine() + "the machine holds entry " +
                                   std::to_string(machine.index) + " of term " +
                                   std::to_string(machine.term) +
                                   ", but in its log that entry has term " + std::to_string(term));
  BOP_TRY(take_checkpoint(recovered, machine.index));
  BOP_TRY(take_configurations(recovered, restored));
  warn_of_differences(restored);
  const bool again = seeded(Bug::apply_again_after_restart) && machine.index > 0;
  apply_.begin(seeded(Bug::skip_after_restart) ? restored.last : machine.index - (again ? 1 : 0));
  persister_.begin(restored.before_first.index);
  core_ = std::make_unique<raft::Core>(raft_config(options_), restored, ports_.clock.now());
  return {};
}

// The newest one that the machine's store has reached: what is after it is in the log.
bop::Status Replica::take_checkpoint(const log::RecoveredGroup& recovered, Index held) {
  const log::Checkpoint* usable = checkpoint_for(recovered.checkpoints, held);
  if (usable == nullptr)
    return fail(BOP_E_DAMAGED, place_of_machine() + "the machine holds entries up to " +
                                   std::to_string(held) +
                                   ", but its log has no checkpoint up to there");
  if (usable->at.index < recovered.before_first.index)
    return fail(BOP_E_DAMAGED, "the log of group " + options_.name + " begins after " +
                                   std::to_string(recovered.before_first.index) +
                                   ", but its checkpoint is as of entry " +
                                   std::to_string(usable->at.index));
  Result<Checkpoint> facts = decode_checkpoint(usable->at, usable->bytes);
  if (!facts && facts.error().code == BOP_E_PROTOCOL)
    return fail(BOP_E_DAMAGED,
                "the log of group " + options_.name + " has " + facts.error().detail);
  if (!facts) return std::unexpected(facts.error());
  if (options_.machine->version < facts->machine_version)
    return fail(BOP_E_NEWER_FORMAT,
                "the group agreed on version " + std::to_string(facts->machine_version) +
                    " of the machine " + facts->machine + "; this program has version " +
                    std::to_string(options_.machine->version));
  configurations_[facts->configuration_index] = facts->configuration;
  agreed_version_ = facts->machine_version;
  std::vector<Index> kept;
  for (const log::Checkpoint& checkpoint : recovered.checkpoints)
    kept.push_back(checkpoint.at.index);
  checkpoints_.begin(std::move(kept));
  return {};
}

// Those after the entries that the machine holds may not be committed: they are kept once they are applied.
bop::Status Replica::take_configurations(const log::RecoveredGroup& recovered,
                                         raft::Restored& restored) {
  const auto& [since, base] = *configurations_.begin();
  restored.configuration = {since, base};
  for (const raft::Entry& entry : recovered.configurations) {
    if (entry.index <= since) continue;
    raft::ConfigurationAt at{entry.index, {}};
    BOP_TRY_ASSIGN(at.configuration, raft::decode_configuration(entry.payload.bytes()));
    if (at.index <= restored.commit) configurations_[at.index] = at.configuration;
    restored.later_configurations.push_back(std::move(at));
  }
  return {};
}

// What the node's configuration has of a group counts only when the group is formed.
void Replica::warn_of_differences(const raft::Restored& restored) const {
  const raft::Configuration& members = restored.later_configurations.empty()
                                           ? restored.configuration.configuration
                                           : restored.later_configurations.back().configuration;
  if (members != options_.configuration)
    logging::warning("group {}: has {}; the configuration's {} are ignored", options_.name,
                     raft::describe(members), raft::describe(options_.configuration));
  if (agreed_version_ != options_.machine->version)
    logging::warning(
        "group {}: agreed on version {} of its machine {}; this program's version {} is not used",
        options_.name, agreed_version_, machine_kind(), options_.machine->version);
}

std::string Replica::place_of_machine() const {
  return (machine_directory_.empty() ? "group " + options_.name : machine_directory_) + ": ";
}

// Every replica of a new group begins with the same entry, so that the configuration is in the log
// before there is a leader to append it.
bop::Status Replica::bootstrap() {
  if (const Index applied = driver_->applied().index; applied > 0)
    return fail(BOP_E_DAMAGED, place_of_machine() + "the machine holds entries up to " +
                                   std::to_string(applied) + ", but its log is new and empty");
  configurations_[0] = configurations_[1] = options_.configuration;
  agreed_version_ = options_.machine->version;
  BOP_TRY(ports_.log.append_checkpoint(options_.id, {}, encode(checkpoint_at({}))));

  raft::Entry entry;
  entry.term = 1;
  entry.index = 1;
  entry.kind = raft::EntryKind::configuration;
  entry.payload = raft::encode_configuration(options_.configuration);
  const std::span<const raft::Entry> piece(&entry, 1);

  log::Append append;
  append.group = options_.id;
  append.hard = {.term = 1, .vote = 0};
  append.leader_term = 1;
  append.entries = {&piece, 1};
  append.number = 0;
  BOP_TRY(ports_.log.append(append));

  raft::Restored restored;
  restored.configuration = {0, options_.configuration};
  restored.later_configurations = {{1, options_.configuration}};
  restored.hard = append.hard;
  restored.runs = {{.first = 1, .term = 1}};
  restored.last = 1;
  core_ = std::make_unique<raft::Core>(raft_config(options_), restored, ports_.clock.now());
  return {};
}

void Replica::start() {
  BOP_ASSERT(state_ == State::opened || state_ == State::halted);
  if (state_ == State::halted) return;
  state_ = State::serving;
  if (keeps_snapshots()) make_snapshotter();
  make_exchange();
  if (!driver_->verified()) report_health();
  hash_.begin(*driver_);
  hash_.on_applied(apply_.applied());
  inbox_.schedule();
}

// ---- snapshots ----

void Replica::make_snapshotter() {
  snapshotter_ = std::make_unique<Snapshotter>(
      SnapshotTaker::Options{.cluster = options_.cluster,
                             .group = options_.id,
                             .name = options_.name,
                             .directory = options_.snapshot_directory},
      options_.limits,
      Snapshotter::Ports{.files = *ports_.files,
                         .offload = ports_.offload,
                         .clock = ports_.clock,
                         .timers = ports_.timers,
                         .metrics = ports_.metrics},
      [this](Index index) { return facts_at(index); }, [this] { inbox_.schedule(); });
  snapshotter_->open(*driver_, restored_.restored);
  snapshotter_->appended(core_->last() - driver_->applied().index, 0);
}

// The entry at `index` is the last one applied. If none was since the start, the one that was restored.
SnapshotTaker::Facts Replica::facts_at(Index index) const {
  const auto in_force = std::prev(configurations_.upper_bound(index));
  const mem::Buffer configuration = raft::encode_configuration(in_force->second);
  const int64_t time_ns = apply_.time_of(index);
  return {.time_ns = time_ns != 0 ? time_ns : restored_.time_ns,
          .configuration_index = in_force->first,
          .configuration = {configuration.data(), configuration.data() + configuration.size()}};
}

// D: the last entry that a restart finds the machine to have.
Index Replica::held() const {
  if (!driver_->in_memory()) return driver_->durable().index;
  return snapshotter_ == nullptr ? 0 : snapshotter_->held();
}

void Replica::take_snapshot(SnapshotTaker::Done done) {
  if (const auto keeps = snapshots(); !keeps) return done(std::unexpected(keeps.error()));
  snapshotter_->take(*driver_, std::move(done));
}

Result<SnapshotTaker*> Replica::snapshots() {
  if (halted_) return std::unexpected(*halted_);
  if (!serving()) return fail(BOP_E_UNAVAILABLE, "the node is starting");
  if (snapshotter_ == nullptr) return fail(BOP_E_UNSUPPORTED, "this node keeps no snapshots");
  return &snapshotter_->taker();
}

// ---- requests ----

void Replica::propose(Request request) {
  const Origin origin{.completion = request.completion, .token = request.token};
  if (halted_) return inbox_.complete(origin, halted_->code, halted_->detail);
  if (refuse_too_large(origin, request.payload.size())) return;
  if (!serving()) return inbox_.complete(origin, BOP_E_UNAVAILABLE, "the node is starting");
  if (const bop_status wrong = driver_->check(request.payload.bytes()); wrong != BOP_OK)
    return inbox_.complete(origin, wrong,
                           "the machine " + machine_kind() + " refused this command");
  route(std::move(request));
}

// Behind what waits, so that a connection's commands keep their order.
void Replica::route(Request request) {
  if (!aim() || forwarder_.has_waiting() || forwarder_.holds(request.connection)) {
    forwarder_.wait(std::move(request));
    route_waiting();
  } else {
    route_now(std::move(request));
  }
  arm_expiry();
}

// Whether requests have a leader to go to.
bool Replica::aim() {
  return core_->leader() != 0 && forwarder_.aim({core_->leader(), core_->term()});
}

void Replica::route_now(Request request) {
  if (leads() && !core_->hands_over()) {
    stage({.completion = request.completion,
           .token = request.token,
           .connection = request.connection},
          request.deadline, std::move(request.payload));
  } else if (!leads()) {
    forwarder_.send(ports_.clock.now(), std::move(request));
  } else {
    forwarder_.wait(std::move(request));
  }
}

// Up to the first that has to wait again.
void Replica::route_waiting() {
  if (!aim() || core_->hands_over()) return;
  std::deque<Request> waiting = forwarder_.take_waiting();
  while (!waiting.empty() && !forwarder_.has_waiting()) {
    Request request = std::move(waiting.front());
    waiting.pop_front();
    route_now(std::move(request));
  }
  forwarder_.put_back(std::move(waiting));
  arm_expiry();
}

void Replica::stage(const Origin& origin, Instant deadline, mem::Buffer payload) {
  if (payload.size() > ports_.log.largest_payload())
    return inbox_.complete(origin, BOP_E_TOO_LARGE,
                           "the command is too large for a segment of the log");
  // The ring has no place if entries before it wait for long, of whatever term.
  if (staged_.size() + proposals_.size() >= options_.limits.max_open_proposals ||
      !proposals_.fits(core_->last() + staged_.size() + 1))
    return inbox_.complete(origin, BOP_E_OVERLOADED, "too many proposals are open in this group");
  if (const auto& full = persister_.log_full())
    return inbox_.complete(origin, full->code, full->detail);
  // The command would be committed, but its client would wait in vain for the reply. If a machine that is behind
  // took further commands, it would answer all of them too late.
  if (const char* obstacle = driver_->obstacle())
    return inbox_.complete(origin, BOP_E_OVERLOADED,
                           std::string("the machine is held up: ") + obstacle);
  if (hindrances_.cause() == raft::Cause::machine_behind)
    return inbox_.complete(origin, BOP_E_OVERLOADED, hindrances_.text());
  // Last, because the space stays reserved until the end of the turn.
  if (auto reserved = ports_.log.reserve(options_.id, raft::Entry::cost_of(payload.size()));
      !reserved)
    return inbox_.complete(origin, reserved.error().code, reserved.error().detail);
  raft::Propose propose;
  propose.token = staged_.size();
  propose.machine_version = agreed_version_;
  propose.payload = std::move(payload);
  staged_.push_back({origin, deadline, inbox_.add(std::move(propose))});
}

// The leader that takes over will execute it, or this one if nobody does.
void Replica::hold(const Origin& origin, Instant deadline, mem::Buffer payload) {
  if (held_forwards_.size() >= options_.limits.max_waiting)
    return inbox_.complete(origin, BOP_E_OVERLOADED, "too many commands wait for the next leader");
  held_forwards_.push_back({origin, deadline, std::move(payload)});
}

void Replica::route_held() {
  if (held_forwards_.empty() || core_->hands_over()) return;
  for (HeldForward& held : std::exchange(held_forwards_, {})) {
    if (leads())
      stage(held.origin, held.deadline, std::move(held.payload));
    else
      inbox_.complete(held.origin, BOP_E_NOT_LEADER);
  }
}

void Replica::query(Request request) {
  const Origin origin{.completion = request.completion, .token = request.token};
  if (halted_) return inbox_.complete(origin, halted_->code, halted_->detail);
  if (refuse_too_large(origin, request.payload.size())) return;
  if (!serving()) return inbox_.complete(origin, BOP_E_UNAVAILABLE, "the node is starting");
  if (!driver_->verified())
    return inbox_.complete(
        origin, BOP_E_UNAVAILABLE,
        std::string("the machine of this node answers nothing yet: ") + driver_->obstacle());
  reads_.add(std::move(request));
}

// ---- messages of peers ----

void Replica::receive(const raft::Message& message) {
  if (!serving()) return;
  raft::Message own = message;
  raft::LogCapacity log_capacity = raft::LogCapacity::available;
  if (!own.entries.empty()) {
    // Without space in the log the entries are dropped, from the first command on if that helps: the leader sends them
    // again, and the rest of the message still acts as its heartbeat.
    const std::span<const raft::Entry> needed = entries_that_cannot_wait(own);
    const bool commands = needed.size() < own.entries.size();
    const auto reserved = ports_.log.reserve(options_.id, bytes_of(own.entries), commands);
    if (!reserved) {
      own.entries = {};
      log_capacity = capacity_without(reserved.error().code);
      if (commands && !needed.empty() && ports_.log.reserve(options_.id, bytes_of(needed), false))
        own.entries = needed;
    }
  }
  inbox_.add(raft::Receive{own, log_capacity});
}

void Replica::receive_forward(NodeId from, Forward forward) {
  const Origin origin{
      .token = forward.sequence, .node = from, .origin_epoch = forward.origin_epoch};
  if (seeded(Bug::refuse_duplicates) && (!leads() || core_->term() != forward.term))
    return inbox_.complete(origin, BOP_E_NOT_LEADER);
  // Checked first: if a duplicate of a proposed request were refused, its origin would send it again.
  if (!duplicates_.first_time(from, forward.origin_epoch, forward.sequence) &&
      !seeded(Bug::forget_duplicates))
    return;
  if (!leads() || core_->term() != forward.term) return inbox_.complete(origin, BOP_E_NOT_LEADER);
  if (refuse_too_large(origin, forward.payload.size())) return;
  const Instant deadline = ports_.clock.now() + forward.time_left;
  if (core_->hands_over()) return hold(origin, deadline, std::move(forward.payload));
  stage(origin, deadline, std::move(forward.payload));
}

void Replica::receive_forward_reply(NodeId from, const ForwardReply& reply) {
  std::optional<Forwarder::Sent> sent = forwarder_.take_sent(from, reply);
  if (!sent) return;
  const Request& request = sent->request;
  if (reply.outcome.status != BOP_E_NOT_LEADER) {
    forwarder_.decided(*sent);
    request.completion->complete(request.token, reply.outcome);
  } else if (halted_) {
    forwarder_.decided(*sent);
    inbox_.complete(request, halted_->code, halted_->detail);
  } else {
    // A leader that halts notifies its followers only once, and that notice may have been lost.
    inbox_.add(raft::ForwardDenied{from, sent->leader.term});
    forwarder_.send_again(reply.sequence, std::move(*sent));
    arm_expiry();
  }
  if (serving() && forwarder_.has_waiting()) route_waiting();
}

void Replica::receive_fetch(NodeId from, const proto::FetchItem& item) {
  if (serving() && exchange_ != nullptr) exchange_->receive_fetch(from, item);
}

void Replica::receive_chunk(NodeId from, const proto::ChunkItem& item) {
  if (serving() && exchange_ != nullptr) exchange_->receive_chunk(from, item);
}

void Replica::node_lost(NodeId node) {
  if (!serving()) return;
  inbox_.add(raft::NodeLost{node});
  if (exchange_ != nullptr) exchange_->node_lost(node);
}

void Replica::node_alive(NodeId node) {
  if (serving()) inbox_.add(raft::NodeAlive{node});
}

void Replica::channel_lost(NodeId node) {
  forwarder_.channel_lost(node);
  if (serving() && forwarder_.has_waiting()) route_waiting();
}

void Replica::set_healthy(bool healthy) {
  log_healthy_ = healthy;
  report_health();
}

// A leader whose machine answers nothing would stop the group, so while the state is verified the replica votes and
// acknowledges but does not campaign.
void Replica::report_health() {
  if (serving()) inbox_.add(raft::Health{log_healthy_ && driver_->verified()});
}

void Replica::verified() {
  report_health();
  hash_.on_applied(apply_.applied());
  inbox_.schedule();
}

void Replica::resign() {
  if (serving()) inbox_.add(raft::Resign{});
}

// ---- the turn ----

void Replica::step() {
  if (serving())
    step_core();
  else
    inbox_.begin_step();
  inbox_.end_step();
#if defined(BOP_SLOW_ASSERTS)
  check();
#endif
}

// A leader reports to its core what reached the peers, once a heartbeat. Of a peer's first report as of one
// after its connection was replaced, nothing is known to be new.
void Replica::report_delivery() {
  if (!leads()) return delivered_bytes_.clear();
  const Instant now = ports_.clock.now();
  if (now < delivery_due_) return;
  delivery_due_ = now + options_.raft.heartbeat_interval;
  for (const NodeId voter : core_->configuration().voters) {
    if (voter == options_.raft.self) continue;
    const uint64_t total = ports_.host.delivered_bytes(voter);
    const auto [known, first] = delivered_bytes_.try_emplace(voter, total);
    const uint64_t before = std::exchange(known->second, total);
    if (total > before) inbox_.add(raft::Delivered{voter, total - before});
  }
}

void Replica::report_hindrance() {
  const log::Log::Capacity log = ports_.log.capacity();
  const Hindrances::Facts facts{.now = ports_.clock.now(),
                                .commit = core_->commit(),
                                .applied = apply_.applied(),
                                .compacted = persister_.compacted(),
                                .log_full = log.full ? log.obstacle : BOP_OK,
                                .obstacle = driver_->obstacle(),
                                .verifying = !driver_->verified()};
  if (const auto cause = hindrances_.check(facts)) inbox_.add(raft::Hindered{*cause});
}

// ---- snapshots of other nodes ----

void Replica::make_exchange() {
  if (snapshotter_ == nullptr || ports_.snapshot_budget == nullptr) return;
  SnapshotExchange::Options options;
  options.installer = {.cluster = options_.cluster,
                       .group = options_.id,
                       .name = options_.name,
                       .machine = options_.machine,
                       .machine_options = options_.machine_options};
  options.self = options_.raft.self;
  options.instance = instance_;
  options.directory_of = options_.directory_of;
  exchange_ =
      std::make_unique<SnapshotExchange>(std::move(options), snapshotter_->taker().files(),
                                         SnapshotExchange::Ports{.clock = ports_.clock,
                                                                 .timers = ports_.timers,
                                                                 .host = ports_.host,
                                                                 .offload = ports_.offload,
                                                                 .budget = *ports_.snapshot_budget,
                                                                 .metrics = ports_.metrics},
                                         [this] { inbox_.schedule(); });
}

// Only with space in the log for the record that makes it count; if there is none, in a later turn.
std::optional<raft::Installed> Replica::tell_of_install() {
  if (exchange_ == nullptr) return {};
  exchange_->step();
  const std::optional<raft::Installed> ready = exchange_->ready();
  if (!ready || !ports_.log.reserve(options_.id, checkpoint_reserve, false)) return {};
  inbox_.add(*ready);
  return ready;
}

// The core adopted it: the log restarts after its entry, with the record that names the new instance, and the machine is
// replaced. What the old one was asked never gets an answer from it.
bop::Status Replica::take_install(const raft::Installed& told) {
  SnapshotInstaller::Installed machine = exchange_->take();
  Checkpoint checkpoint;
  checkpoint.at = told.at;
  checkpoint.configuration = told.configuration.configuration;
  checkpoint.configuration_index = told.configuration.index;
  checkpoint.instance = machine.instance;
  checkpoint.machine_version = agreed_version_;
  checkpoint.machine = machine_kind();
  BOP_TRY(persister_.restart(update_, told.time_ns, encode(checkpoint)));
  configurations_ = {{checkpoint.configuration_index, checkpoint.configuration}};
  checkpoints_.begin({told.at.index});
  instance_ = machine.instance;
  machine_directory_ = ports_.files->describe(machine.directory);
  apply_.restart(told.at.index);
  applied_term_ = told.at.term;
  reads_.restart();
  proposals_.expire(never, [this](Index, const Pending& pending) {
    inbox_.complete(pending.origin, BOP_E_OUTCOME_UNKNOWN,
                    "this replica installed a snapshot in place of its log");
  });
  hash_.begin(*machine.driver);
  snapshotter_->installed(told.at.index);
  driver_ = std::move(machine.driver);
  MachineEvents& events = *machine.events;
  machine_events_ = std::move(machine.events);
  events.pass_to(*this);
  if (halted_) return std::unexpected(*halted_);
  report_health();
  hash_.on_applied(told.at.index);
  return {};
}

void Replica::step_core() {
  report_delivery();
  report_hindrance();
  const std::optional<raft::Installed> install = tell_of_install();
  const bool led = leads();
  core_->step(ports_.clock.now(), ports_.clock.wall_ns(), inbox_.begin_step(), update_);
  observer_.observe(*core_, update_.records);
  register_proposals();
  if (seeded(Bug::fail_when_deposed) && update_.role_changed && !leads()) {
    proposals_.expire(never, [this](Index, const Pending& pending) {
      inbox_.complete(pending.origin, BOP_E_UNAVAILABLE);
    });
  }
  if (update_.restart.index != 0) {
    BOP_ASSERT(install && install->at == update_.restart);
    if (const bop::Status taken = take_install(*install); !taken) return halt(taken.error());
  } else if (install) {
    exchange_->discard();
  }
  if (update_.offer && exchange_ != nullptr)
    exchange_->offered(*update_.offer, core_->configuration());
  for (const auto& piece : update_.entries) {
    checkpoints_.appended(bytes_of(piece));
    if (snapshotter_ != nullptr) snapshotter_->appended(piece.size(), bytes_of(piece));
  }
  if (const bop::Status persisted = persister_.persist(update_, *core_); !persisted)
    return halt(persisted.error());
  for (const raft::Message& message : update_.messages) ports_.host.send(options_.id, message);
  load_for_peers();
  // The core and the log share the payloads now.
  inbox_.end_step();
  for (const raft::Update::ReadReady& ready : update_.reads) reads_.on_index(ready);
  if (update_.role_changed) {
    note_handover(led);
    route_waiting();
  }
  route_held();
  arm();
}

void Replica::finish() {
  if (serving()) {
    driver_->stable(stable_index());
    apply_.advance(*core_, *driver_);
    for (raft::ConfigurationAt& at : apply_.take_configurations())
      configurations_[at.index] = std::move(at.configuration);
    serve_reads();
  }
  if (serving()) compact_log();
  complete_deferred();
#if defined(BOP_SLOW_ASSERTS)
  check();
#endif
}

// The last entry that will never change in this node's log. (An entry that is durable but not committed may
// still be replaced, by one that is committed but not durable yet.)
Index Replica::stable_index() const {
  if (seeded(Bug::stable_beyond_committed)) return core_->last();
  if (seeded(Bug::stable_not_durable)) return core_->commit();
  if (seeded(Bug::stable_not_committed)) return core_->durable();
  return std::min(core_->commit(), core_->durable());
}

void Replica::register_proposals() {
  for (const raft::Update::Proposed& proposed : update_.proposed) {
    const Staged& staged = staged_[proposed.token];
    if (!proposals_.fits(proposed.id.index)) {
      inbox_.complete(staged.origin, BOP_E_OUTCOME_UNKNOWN, "too many proposals are open");
      continue;
    }
    const Pending before =
        proposals_.put(proposed.id.index, {proposed.id.term, staged.deadline, staged.origin});
    if (seeded(Bug::answer_when_proposed)) {
      (void)proposals_.take(proposed.id.index);
      inbox_.complete(staged.origin, BOP_OK);
    }
    // The entry of `before` was replaced here by a newer leader's, but other nodes may still commit it.
    if (before.term != 0) inbox_.complete(before.origin, BOP_E_OUTCOME_UNKNOWN);
  }
  for (const raft::Update::Refused& refused : update_.refused) {
    if (refused.read)
      reads_.on_refused(refused.token, refused.error);
    else
      refuse_staged(staged_[refused.token], refused.error);
  }
  staged_.clear();
}

void Replica::refuse_staged(const Staged& staged, bop_status error) {
  const Origin& origin = staged.origin;
  if (error == BOP_E_LOG_FULL || error == BOP_E_DISK_FULL)
    return inbox_.complete(origin, error, "no majority of the nodes has space for the write");
  if (origin.completion == nullptr || error != BOP_E_NOT_LEADER)
    return inbox_.complete(origin, error);
  Request request;
  request.group = options_.id;
  request.payload = std::get<raft::Propose>(inbox_.stepped()[staged.event]).payload;
  request.deadline = staged.deadline;
  request.completion = origin.completion;
  request.token = origin.token;
  request.connection = origin.connection;
  forwarder_.wait(std::move(request));
}

void Replica::durable(uint64_t number) {
  if (state_ == State::halted) return;
  if (number == 0) {
    BOP_ASSERT(state_ == State::bootstrapping);
    state_ = State::opened;
    return inbox_.schedule();  // the shard waits until it is bootstrapped
  }
  persister_.durable(number);
}

void Replica::latched(const Error& error) { halt(error); }

// Another checkpoint, as of what the machine has applied, lets it compact what the other voters have.
bool Replica::compaction_wanted() {
  if (!serving() || driver_->applied().index <= checkpoints_.newest()) return false;
  compaction_wanted_ = true;
  compaction_until_ = ports_.clock.now() + compaction_patience;
  inbox_.schedule();
  return true;
}

void Replica::load_for_peers() {
  for (const raft::Update::Load& load : update_.loads) {
    ports_.log.read(options_.id, load.first, load.max_bytes,
                    [this, load](Result<std::vector<raft::Entry>> entries) {
                      if (serving()) loaded_for_peer(load, std::move(entries));
                    });
  }
}

// A leader whose log cannot be read would keep the peer from ever getting these entries, so it hands over after
// the first failure. Other errors than these two say nothing about the log: the core tries again.
void Replica::loaded_for_peer(const raft::Update::Load& load,
                              Result<std::vector<raft::Entry>> entries) {
  raft::Loaded loaded{load.peer, load.first, {}};
  if (entries && !entries->empty()) {
    hindrances_.read(load.first, entries->back().index);
    loaded.entries = std::move(*entries);
  } else if (!entries) {
    const Error& error = entries.error();
    if (error.code == BOP_E_DAMAGED || error.code == BOP_E_IO)
      hindrances_.not_read(load.first, load.peer, error);
    else
      logging::debug("group {}: reading entry {} for node {}: {}", options_.name, load.first,
                     load.peer, error.to_string());
  }
  inbox_.add(std::move(loaded));
}

// ---- apply ----

void Replica::applied(std::span<const bop_reply> replies) {
  // Most batches of a follower have nobody to complete.
  if (proposals_.size() == 0) {
    apply_.finish_batch(replies, [](Index, Term, const Outcome&) {});
  } else {
    apply_.finish_batch(replies, [this](Index index, Term term, Outcome& outcome) {
      complete_entry(index, term, outcome);
    });
  }
  core_->applied(apply_.applied());
  complete_superseded();
  hash_.on_applied(apply_.applied());
}

void Replica::complete_entry(Index index, Term term, Outcome& outcome) {
  const Pending pending = proposals_.take(index);
  if (pending.term == 0) return;
  // Another entry was committed at this index, so the proposal's entry never will be.
  if (pending.term != term && !seeded(Bug::wrong_entry_answers)) {
    complete(pending.origin, superseded());
  } else {
    outcome.index = index;
    complete(pending.origin, outcome);
  }
}

// Terms do not decrease along a log, and every later leader has all committed entries (paper, figure 3). So
// once an entry of a newer term is applied, no proposal of an older term at a higher index can be committed
// any more.
void Replica::complete_superseded() {
  const Term term = core_->term_at(apply_.applied());
  if (term == applied_term_) return;
  applied_term_ = term;
  proposals_.take_older(term,
                        [this](const Pending& pending) { complete(pending.origin, superseded()); });
}

// ---- reads ----

void Replica::serve_reads() {
  answered_bytes_ = 0;
  while (answered_bytes_ < max_answer_bytes_a_turn) {
    const auto question = reads_.next(apply_.applied());
    if (!question) return;
    if (const Bytes later = reads_.upcoming(queries_ahead); !later.empty())
      driver_->expect_query(later);
    driver_->query(question->bytes, question->slot);
  }
  reads_timer_->arm(ports_.clock.now());
}

void Replica::answered(uint64_t token, const bop_reply& reply) {
  const std::optional<Request> request = reads_.take(static_cast<uint32_t>(token));
  if (!request) return;
  Outcome outcome;
  outcome.status = static_cast<bop_status>(reply.status);
  outcome.body = Bytes(reply.body.data, reply.body.size);
  answered_bytes_ += reply.body.size;
  std::string words;
  if (outcome.status == BOP_E_PROTOCOL || outcome.status == BOP_E_TOO_LARGE) {
    words = "the machine " + machine_kind() + " refused this query";
    outcome.detail = words;
  }
  complete({.completion = request->completion, .token = request->token}, outcome);
}

// ---- compaction and deadlines ----

void Replica::sync_machine() {
  if (!halted_) driver_->sync();
}

bool Replica::scrub(uint64_t bytes) { return serving() && driver_->scrub(bytes); }

uint64_t Replica::scrub_passes() {
  const uint64_t passes = driver_ == nullptr ? 0 : driver_->verification().scrub_passes;
  if (passes > scrub_passes_) scrub_pass_ended_ns_ = ports_.clock.wall_ns();
  return scrub_passes_ = passes;
}

void Replica::compact_log() {
  // Without a request the machine would wait for more entries before it syncs, but the log has no space
  // for those.
  const Index before = held();
  const bool wanted = compaction_wanted_ || ports_.log.crowded();
  if (snapshotter_ != nullptr)
    snapshotter_->advance(*driver_, stable_index(), wanted && before < update_.compact);
  if (before >= sync_asked_ && before < update_.compact && wanted) {
    sync_asked_ =
        driver_->applied().index;  // may be below apply_.applied(): it counts only commands
    sync_machine();
  }
  if (!serving()) return;
  // A machine may report entries as durable before it reports that it applied them. The core knows of the latter.
  const Index held = std::min(this->held(), apply_.applied());
  checkpoint_if_due(held, wanted && update_.compact > checkpoints_.newest());
  if (!serving()) return;
  const Index limit = checkpoints_.compaction_limit(held);
  persister_.compact(*core_, seeded(Bug::compact_ignores_machine)
                                 ? update_.compact
                                 : std::min({update_.compact, held, limit}));
  if (!compaction_wanted_) return;
  const Instant now = ports_.clock.now();
  compaction_wanted_ = now < compaction_until_ && held < driver_->applied().index;
  if (compaction_wanted_) compaction_timer_->arm(now + compaction_grain);
}

// As of the last command applied, which the machine's store can reach. (Behind it there may be entries that are no
// commands, of which the store knows nothing.)
void Replica::checkpoint_if_due(Index held, bool wanted) {
  const bop_position applied = driver_->applied();
  if (!checkpoints_.due(applied.index, held, wanted)) return;
  const raft::EntryId at{applied.term, applied.index};
  if (at.index > core_->durable()) return;  // its entry may wait for space in the log
  if (core_->term_at(at.index) != at.term)
    return;  // before the log's first entry: there is nothing to compact
  const bop::Status written = checkpoints_.write(at, encode(checkpoint_at(at)));
  if (written) {
    while (configurations_.size() > 1 && std::next(configurations_.begin())->first <= held)
      configurations_.erase(configurations_.begin());
    return;
  }
  switch (written.error().code) {
    case BOP_E_LOG_FULL:
    case BOP_E_DISK_FULL:
    case BOP_E_OVERLOADED: return;  // it stays due
    default: halt(written.error());
  }
}

Checkpoint Replica::checkpoint_at(raft::EntryId at) const {
  const auto in_force = std::prev(configurations_.upper_bound(at.index));
  Checkpoint out;
  out.at = at;
  out.configuration = in_force->second;
  out.configuration_index = in_force->first;
  out.instance = instance_;
  out.machine_version = agreed_version_;
  out.machine = machine_kind();
  return out;
}

// Completes requests whose deadline passed, and tries again what failed before.
void Replica::expire() {
  const Instant now = ports_.clock.now();
  proposals_.expire(now, [this](Index, const Pending& pending) {
    inbox_.complete(pending.origin,
                    seeded(Bug::unknown_as_unavailable) ? BOP_E_UNAVAILABLE : BOP_E_OUTCOME_UNKNOWN,
                    "the deadline passed before the entry was committed");
  });
  give_up_on_machine(now);
  forwarder_.expire_sent(now);
  if (!serving()) return arm_expiry();  // only forwarded requests can still be open
  forwarder_.expire_waiting(now);
  reads_.expire(now, core_->leader() != 0);
  route_waiting();
  if (const bop::Status written = persister_.write_held_back(update_, *core_); !written)
    halt(written.error());
}

void Replica::note_handover(bool led) {
  if (leads()) answers_until_ = never;
  if (led && !leads() && hindrances_.of_machine())
    answers_until_ = ports_.clock.now() + options_.raft.election_timeout / 2;
}

// The entries are committed, or soon will be, but only this machine knows whom to answer. Its clients go on with
// the new leader instead of waiting for their deadlines.
void Replica::give_up_on_machine(Instant now) {
  if (now < answers_until_) return;
  answers_until_ = never;
  if (!hindrances_.of_machine()) return;
  proposals_.expire(never, [this](Index, const Pending& pending) {
    inbox_.complete(
        pending.origin, BOP_E_OUTCOME_UNKNOWN,
        "this node handed over the leadership, because its machine is too slow to answer");
  });
}

// Completes all open requests except forwarded ones. Appended entries may still be committed by other nodes,
// so their outcome is unknown; `event` is what prevented this replica from seeing it.
void Replica::complete_open(const Error& reason, const std::string& event) {
  for (const Staged& staged : std::exchange(staged_, {})) {
    if (staged.origin.completion != nullptr)
      inbox_.complete(staged.origin, reason.code, reason.detail);
    else
      inbox_.complete(staged.origin, BOP_E_NOT_LEADER);
  }
  for (const HeldForward& held : std::exchange(held_forwards_, {}))
    inbox_.complete(held.origin, BOP_E_NOT_LEADER);
  proposals_.expire(never, [&](Index, const Pending& pending) {
    inbox_.complete(pending.origin, BOP_E_OUTCOME_UNKNOWN,
                    "the entry was not committed before " + event);
  });
  forwarder_.refuse_waiting(reason);
  reads_.refuse_all(reason);
}

void Replica::abandon() {
  complete_open({BOP_E_STOPPED, {}}, "this node stopped");
  if (snapshotter_ != nullptr) snapshotter_->cancel({BOP_E_STOPPED, "this node stopped"});
  forwarder_.abandon_sent();
}

bool Replica::idle() const {
  return proposals_.waiting() == 0 && held_forwards_.empty() && forwarder_.idle() &&
         reads_.idle() && !inbox_.has_outcomes();
}

void Replica::arm() {
  // A timer that fires too early costs one step, but arming it at every step costs a heap operation each
  // time. So it is only armed for an earlier deadline.
  if (update_.deadline < step_armed_) {
    step_armed_ = update_.deadline;
    step_timer_->arm(step_armed_);
  }
  arm_expiry();
}

void Replica::arm_expiry() {
  if (expiry_armed_ != never) return;
  const bool open =
      proposals_.waiting() > 0 || !forwarder_.idle() || !reads_.idle() || persister_.holds_back();
  if (!open) return;
  expiry_armed_ = ports_.clock.now() + expiry_grain;
  expiry_timer_->arm(expiry_armed_);
}

NodeId Replica::known_leader() const { return halted_ || core_ == nullptr ? 0 : core_->leader(); }

bool Replica::ready() const {
  if (!serving() || core_->leader() == 0 || !driver_->verified()) return false;
  return apply_.applied() >= core_->commit() && core_->term_at(core_->commit()) == core_->term();
}

Replica::Status Replica::status() const {
  Status status;
  status.halted = halted_;
  status.file = halted_at_.file;
  status.offset = halted_at_.offset;
  status.applied = apply_.applied();
  if (core_ != nullptr) {
    status.role = halted_ ? raft::Role::follower : core_->role();
    status.term = core_->term();
    status.leader = known_leader();
    status.commit = core_->commit();
    status.last = core_->last();
    status.durable = core_->durable();
    status.first = persister_.first();
    if (exchange_ != nullptr) status.installing = exchange_->progress();
    status.ready = ready();
  }
  if (driver_ != nullptr) {
    status.machine_durable = held();
    if (snapshotter_ != nullptr) status.snapshot = snapshotter_->newest();
    status.checkpoint = checkpoints_.usable(status.machine_durable);
    status.hash = hash_.latest();
    if (const char* obstacle = driver_->obstacle()) status.obstacle = obstacle;
    status.verifying = !halted_ && !driver_->verified();
    status.verification = driver_->verification();
    status.scrub_pass_ended_ns = scrub_pass_ended_ns_;
  }
  status.hindrance = hindrances_.cause();
  status.hindrance_text = hindrances_.text();
  return status;
}

// ---- outcomes ----

bool Replica::refuse_too_large(const Origin& origin, size_t bytes) {
  if (bytes <= options_.limits.max_request_bytes) return false;
  inbox_.complete(origin, BOP_E_TOO_LARGE,
                  "a request of " + std::to_string(bytes) + " bytes; the limit is " +
                      std::to_string(options_.limits.max_request_bytes));
  return true;
}

void Replica::complete_deferred() {
  for (const DeferredOutcome& deferred : inbox_.take_outcomes()) {
    Outcome outcome;
    outcome.status = deferred.status;
    outcome.detail = deferred.detail;
    complete(deferred.origin, outcome);
  }
}

void Replica::complete(const Origin& origin, Outcome outcome) {
  outcome.leader = known_leader();
  if (origin.completion != nullptr) return origin.completion->complete(origin.token, outcome);
  ports_.host.reply_forward(origin.node, options_.id, {origin.origin_epoch, origin.token, outcome});
}

void Replica::failed(const Error& error) { halt(error); }

void Replica::halt(const Error& error) {
  if (halted_) return;
  logging::error("group {}: halted: {}", options_.name, error.to_string());
  if (leads()) {
    // Sends a step-down notice, so that the other replicas need not wait for an election timeout.
    const raft::Event unhealthy = raft::Health{false, raft::Cause::halted};
    raft::Update last_update;
    core_->step(ports_.clock.now(), ports_.clock.wall_ns(), {&unhealthy, 1}, last_update);
    observer_.observe(*core_, last_update.records);
    for (const raft::Message& message : last_update.messages)
      ports_.host.send(options_.id, message);
  }
  state_ = State::halted;
  halted_ = error;
  apply_.stop();
  persister_.stop();
  hash_.stop();
  if (snapshotter_ != nullptr) snapshotter_->cancel(error);
  step_timer_->cancel();
  compaction_timer_->cancel();
  // Forwarded requests stay open: their leader still replies.
  complete_open(error, "this replica halted: " + error.to_string());
  inbox_.schedule();  // the shard may wait until it is bootstrapped
}

void Replica::check() const {
  inbox_.check_invariants();
  forwarder_.check_invariants();
  reads_.check_invariants();
  BOP_ASSERT_EQ(state_ == State::halted, halted_.has_value());
  BOP_ASSERT_LE(staged_.size() + proposals_.size(), options_.limits.max_open_proposals);
  if (state_ == State::halted) {
    BOP_ASSERT_EQ(proposals_.waiting(), 0u);
    BOP_ASSERT(staged_.empty() && held_forwards_.empty() && !forwarder_.has_waiting());
  }
  if (!serving()) return;
  persister_.check_invariants(*core_);
  checkpoints_.check_invariants();
  apply_.check_invariants(*core_);
  proposals_.check_invariants(apply_.applied());
}

}  // namespace bop::group

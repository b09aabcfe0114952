#include "group/replica.h"

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "base/logging.h"
#include "group/seeded_bugs.h"
#include "raft/configuration.h"

namespace bop::group {

namespace {

constexpr size_t max_apply_entries = 1024;
constexpr size_t max_load_bytes = 1 << 20;
constexpr Duration expiry_grain = 20 * milliseconds;
constexpr Duration quiet_after = 50 * milliseconds;
constexpr unsigned max_hash_questions = 2;

// Of a proposal whose entry provably never is committed.
Outcome superseded() {
  Outcome out;
  out.status = BOP_E_UNAVAILABLE;
  out.detail = "the leader changed before the entry was committed, nothing was executed";
  return out;
}

uint64_t seed_of(GroupId group, const raft::Entry& entry) {
  uint8_t bytes[24];
  store_le<uint64_t>(bytes, group);
  store_le<uint64_t>(bytes + 8, entry.term);
  store_le<uint64_t>(bytes + 16, entry.index);
  return hash64(Bytes(bytes));
}

// The core's seed must be another one at each start.
raft::Config raft_config(const ReplicaOptions& options) {
  raft::Config settings = options.raft;
  uint8_t epoch[8];
  store_le<uint64_t>(epoch, options.epoch);
  settings.seed = hash64(Bytes(epoch), options.raft.seed);
  return settings;
}

bop_entry machine_entry(GroupId group, const raft::Entry& entry) {
  bop_entry out{};
  out.size = sizeof out;
  out.machine_version = entry.machine_version;
  out.index = entry.index;
  out.term = entry.term;
  out.time_ns = entry.time_ns;
  out.session = entry.session;
  out.sequence = entry.sequence;
  out.seed = seed_of(group, entry);
  out.command = {entry.payload.data(), entry.payload.size()};
  return out;
}

bool any_command(std::span<const raft::Entry> entries) {
  return std::ranges::any_of(
      entries, [](const raft::Entry& entry) { return entry.kind == raft::EntryKind::command; });
}

// A log that only gathers too much has room soon.
raft::LogCapacity capacity_without(bop_status obstacle) {
  switch (obstacle) {
    case BOP_E_LOG_FULL: return raft::LogCapacity::log_full;
    case BOP_E_DISK_FULL: return raft::LogCapacity::disk_full;
    default: return raft::LogCapacity::available;
  }
}

// Of the entry before the log's first, or of one in it.
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
      observer_(options.raft.self, options.name, ports.metrics),
      proposals_(options.max_open_proposals) {
  step_timer_ = ports_.timers.make_timer([this] {
    step_armed_ = never;
    schedule();
  });
  expiry_timer_ = ports_.timers.make_timer([this] {
    expiry_armed_ = never;
    expire();
    schedule();
  });
  quiet_timer_ = ports_.timers.make_timer([this] {
    quiet_armed_ = false;
    look_for_quiet();
  });
}

Replica::~Replica() = default;

Result<std::unique_ptr<Replica>> Replica::open(const ReplicaOptions& options,
                                               const ReplicaPorts& ports,
                                               const log::RecoveredGroup* recovered) {
  BOP_TRY(raft::check_configuration(options.configuration));
  std::unique_ptr<Replica> replica(new Replica(options, ports));
  ports.log.attach(options.id, replica.get());
  if (recovered != nullptr && recovered->health == log::Health::suspect) {
    // It may lack entries that it acknowledged: it must not vote, answer or serve.
    replica->stay_out({BOP_E_SUSPECT, recovered->reason});
    replica->halted_file_ = recovered->location.file;
    replica->halted_offset_ = recovered->location.offset;
    return replica;
  }
  BOP_TRY(replica->open_machine());
  BOP_TRY(recovered != nullptr ? replica->restore(*recovered) : replica->bootstrap());
  replica->bootstrapped_ = recovered != nullptr;
  return replica;
}

std::unique_ptr<Replica> Replica::halted(const ReplicaOptions& options, const ReplicaPorts& ports,
                                         const Error& reason) {
  std::unique_ptr<Replica> replica(new Replica(options, ports));
  ports.log.attach(options.id, replica.get());
  replica->stay_out(reason);
  return replica;
}

void Replica::stay_out(const Error& reason) {
  halted_ = reason;
  bootstrapped_ = true;  // nothing of it is waited for
  logging::error("group {}: takes no part: {}", options_.name, reason.to_string());
}

bop::Status Replica::open_machine() {
  machine::DriverOptions options;
  options.group = options_.name;
  options.directory = options_.machine_directory;
  options.configuration = options_.machine_configuration;
  options.memory_bytes = options_.machine_memory_bytes;
  BOP_TRY_ASSIGN(driver_, machine::Driver::open(*options_.machine, options, ports_.offload, *this));
  return {};
}

bop::Status Replica::restore(const log::RecoveredGroup& recovered) {
  const bop_position machine = driver_->applied();
  raft::Restored restored;
  restored.configuration = options_.configuration;
  restored.commit = machine.index;
  restored.hard = recovered.hard;
  restored.runs = recovered.runs;
  restored.before_first = recovered.before_first;
  restored.last = recovered.last;
  restored.last_time_ns = recovered.last_time_ns;
  // The machine makes permanent only what is durable in the log, so that a machine ahead of its log
  // shows that the log lost entries: some of them may have been acknowledged, and votes with them.
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
  applied_ = seeded(Bug::skip_after_restart) ? restored.last : machine.index;
  released_ = restored.before_first.index;
  core_ = std::make_unique<raft::Core>(raft_config(options_), restored, ports_.clock.now());
  return {};
}

std::string Replica::place_of_machine() const {
  return (options_.machine_directory.empty() ? "group " + options_.name
                                             : options_.machine_directory) +
         ": ";
}

// Every replica of a new group begins with the same entry, so that the configuration is in the log
// before there is a leader to append it.
bop::Status Replica::bootstrap() {
  if (const Index applied = driver_->applied().index; applied > 0)
    return fail(BOP_E_DAMAGED, place_of_machine() + "the machine holds entries up to " +
                                   std::to_string(applied) + ", but its log is new and empty");
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
  restored.configuration = options_.configuration;
  restored.hard = append.hard;
  restored.runs = {{.first = 1, .term = 1}};
  restored.last = 1;
  core_ = std::make_unique<raft::Core>(raft_config(options_), restored, ports_.clock.now());
  return {};
}

void Replica::start() {
  BOP_ASSERT(bootstrapped_);
  started_ = true;
  if (!halted_) watch_for_quiet();
  schedule();
}

// ---- requests ----

void Replica::schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  ports_.host.schedule(*this);
}

void Replica::propose(Request request) {
  const Origin origin{.completion = request.completion, .token = request.token};
  if (halted_) return defer(origin, halted_->code, halted_->detail);
  if (refuse_too_large(origin, request.payload.size())) return;
  if (!started_) return defer(origin, BOP_E_UNAVAILABLE, "the node is starting");
  if (const bop_status wrong = driver_->check(request.payload.bytes()); wrong != BOP_OK)
    return defer(origin, wrong, "the machine " + machine_kind() + " does not take this command");
  route(std::move(request));
}

void Replica::route(Request request) {
  if (core_->role() == raft::Role::leader) {
    stage({.completion = request.completion, .token = request.token}, request.deadline,
          std::move(request.payload));
  } else if (core_->leader() != 0) {
    forward_to(core_->leader(), std::move(request));
  } else {
    wait_for_leader(std::move(request));
  }
}

void Replica::stage(const Origin& origin, Instant deadline, mem::Buffer payload) {
  if (payload.size() > ports_.log.largest_payload())
    return defer(origin, BOP_E_TOO_LARGE, "a command that no segment of the log can hold");
  if (no_room_) return defer(origin, no_room_->code, no_room_->detail);
  if (auto reserved = ports_.log.reserve(payload.size() + 64); !reserved)
    return defer(origin, reserved.error().code, reserved.error().detail);
  if (staged_.size() + proposals_.size() >= options_.max_open_proposals)
    return defer(origin, BOP_E_OVERLOADED, "too many proposals are open in this group");
  staged_.push_back({origin, deadline, events_.size()});
  events_.push_back(raft::Propose{.token = staged_.size() - 1,
                                  .machine_version = options_.machine->version,
                                  .payload = std::move(payload)});
  schedule();
}

void Replica::forward_to(NodeId leader, Request request) {
  const Origin origin{.completion = request.completion, .token = request.token};
  const Duration left = request.deadline - ports_.clock.now();
  if (left <= 0) return defer(origin, BOP_E_TIMEOUT);
  if (forwarded_.size() >= options_.max_waiting)
    return defer(origin, BOP_E_OVERLOADED, "too many requests wait for the leader");
  const Forward forward{.origin_epoch = options_.epoch,
                        .sequence = ++forward_sequence_,
                        .term = core_->term(),
                        .time_left = left,
                        .payload = request.payload};
  if (!ports_.host.forward(leader, options_.id, forward)) {
    forward_failed(leader);
    return wait_for_leader(std::move(request));
  }
  forwarded_.emplace(forward.sequence, Forwarded{leader, forward.term, std::move(request)});
  arm();
}

// A quiesced group waits for no heartbeat that would be missing: who notices that its leader is gone is
// whoever needs it.
void Replica::forward_failed(NodeId leader) {
  events_.push_back(raft::ForwardFailed{leader});
  schedule();
}

void Replica::wait_for_leader(Request request) {
  const Origin origin{.completion = request.completion, .token = request.token};
  if (waiting_.size() >= options_.max_waiting)
    return defer(origin, BOP_E_OVERLOADED, "too many requests wait for a leader");
  waiting_.push_back(std::move(request));
  arm();
}

void Replica::route_waiting() {
  if (waiting_.empty() || core_->leader() == 0) return;
  std::deque<Request> requests;
  requests.swap(waiting_);
  for (Request& request : requests) route(std::move(request));
}

void Replica::query(Request request) {
  const Origin origin{.completion = request.completion, .token = request.token};
  if (halted_) return defer(origin, halted_->code, halted_->detail);
  if (refuse_too_large(origin, request.payload.size())) return;
  if (!started_) return defer(origin, BOP_E_UNAVAILABLE, "the node is starting");
  if (free_reads_.empty()) {
    if (reads_.size() >= options_.max_waiting)
      return defer(origin, BOP_E_OVERLOADED, "too many reads are open in this group");
    free_reads_.push_back(static_cast<uint32_t>(reads_.size()));
    reads_.emplace_back();
  }
  const uint32_t slot = free_reads_.back();
  free_reads_.pop_back();
  reads_[slot].request = std::move(request);
  if (seeded(Bug::read_without_index)) {
    reads_[slot].stage = ReadSlot::Stage::waiting;
    waiting_reads_.push_back(slot);
    return schedule();
  }
  ask_read(slot);
}

// Only the answer to a slot's latest generation counts. What was asked is never asked again before the
// core answered or refused it, however long that takes: the answer under way would count no more.
void Replica::ask_read(size_t slot) {
  ReadSlot& read = reads_[slot];
  read.stage = ReadSlot::Stage::asked;
  ++read.generation;
  events_.push_back(raft::Read{(uint64_t{read.generation} << 32) | slot});
  schedule();
}

// ---- what peers send ----

void Replica::receive(const raft::Message& message) {
  if (halted_ || !started_) return;
  raft::Message own = message;
  raft::LogCapacity log_capacity = raft::LogCapacity::available;
  if (!own.entries.empty()) {
    // Without room in the log the entries are as good as lost: the leader sends them again, and what
    // remains of the message still says that it leads.
    const auto free = ports_.log.reserve(bytes_of(own.entries), any_command(own.entries));
    if (!free) {
      own.entries = {};
      log_capacity = capacity_without(free.error().code);
    }
  }
  events_.push_back(raft::Receive{own, log_capacity});
  schedule();
}

void Replica::receive_forward(NodeId from, Forward forward) {
  const Origin origin{
      .token = forward.sequence, .node = from, .origin_epoch = forward.origin_epoch};
  // Before all else: to refuse a duplicate of what was proposed would have it sent again.
  if (!duplicates_.first_time(from, forward.origin_epoch, forward.sequence) &&
      !seeded(Bug::forget_duplicates))
    return;
  if (halted_ || !started_ || core_->role() != raft::Role::leader || core_->term() != forward.term)
    return defer(origin, BOP_E_NOT_LEADER);
  if (refuse_too_large(origin, forward.payload.size())) return;
  stage(origin, ports_.clock.now() + forward.time_left, std::move(forward.payload));
}

void Replica::receive_forward_reply(NodeId from, const ForwardReply& reply) {
  if (reply.origin_epoch != options_.epoch) return;
  auto found = forwarded_.find(reply.sequence);
  if (found == forwarded_.end() || found->second.to != from) return;
  const Forwarded request = found->second;
  forwarded_.erase(found);
  if (reply.outcome.status == BOP_E_NOT_LEADER) {
    if (halted_)
      return defer({.completion = request.request.completion, .token = request.request.token},
                   halted_->code, halted_->detail);
    // A leader that halted said so once, which may have been lost.
    events_.push_back(raft::ForwardDenied{from, request.term});
    schedule();
    return wait_for_leader(request.request);
  }
  request.request.completion->complete(request.request.token, reply.outcome);
}

void Replica::node_lost(NodeId node) {
  if (halted_ || !started_) return;
  events_.push_back(raft::NodeLost{node});
  schedule();
}

void Replica::node_alive(NodeId node) {
  if (halted_ || !started_) return;
  events_.push_back(raft::NodeAlive{node});
  schedule();
}

void Replica::channel_lost(NodeId node) {
  bool failed = false;
  for (auto it = forwarded_.begin(); it != forwarded_.end();) {
    if (it->second.to != node) {
      ++it;
      continue;
    }
    if (seeded(Bug::forward_twice)) {
      wait_for_leader(it->second.request);
      it = forwarded_.erase(it);
      continue;
    }
    defer({it->second.request.completion, it->second.request.token}, BOP_E_OUTCOME_UNKNOWN,
          "the connection to the leader broke before it answered");
    it = forwarded_.erase(it);
    failed = true;
  }
  if (failed && !halted_) forward_failed(node);
}

void Replica::set_healthy(bool healthy) {
  if (halted_ || !started_) return;
  events_.push_back(raft::Health{healthy});
  schedule();
}

void Replica::resign() {
  if (halted_ || !started_) return;
  events_.push_back(raft::Resign{});
  schedule();
}

// ---- the turn ----

void Replica::step() {
  scheduled_ = false;
  if (halted_) return events_.clear();
  if (started_) step_core();
}

// What stands in this node's log for good. An entry that is durable and not committed may still be replaced
// by one that is committed and not durable.
Index Replica::stable_index() const {
  if (seeded(Bug::settle_committed)) return core_->last();
  return std::min(core_->commit(), core_->durable());
}

void Replica::finish() {
  if (started_ && !halted_) {
    finishing_ = true;
    driver_->stable(stable_index());
    apply_more();
    serve_reads();
    if (!halted_) release_log();
    finishing_ = false;
  }
  complete_deferred();
}

void Replica::step_core() {
  core_->step(ports_.clock.now(), ports_.clock.wall_ns(), events_, update_);
  observer_.observe(*core_, update_.records);
  register_proposals();
  persist();
  if (!halted_) {
    for (const raft::Message& message : update_.messages) ports_.host.send(options_.id, message);
    load_for_peers();
  }
  // Payloads that the log and the core took over are released before the next turn needs memory.
  events_.clear();
  if (halted_) return;
  take_reads();
  if (update_.role_changed) route_waiting();
  arm();
}

void Replica::register_proposals() {
  for (const raft::Update::Proposed& proposed : update_.proposed) {
    const Staged& staged = staged_[proposed.token];
    if (!proposals_.fits(proposed.id.index)) {
      defer(staged.origin, BOP_E_OUTCOME_UNKNOWN, "too many proposals are open");
      continue;
    }
    const Pending before =
        proposals_.put(proposed.id.index, {proposed.id.term, staged.deadline, staged.origin});
    if (seeded(Bug::answer_when_proposed)) {
      (void)proposals_.take(proposed.id.index);
      defer(staged.origin, BOP_OK);
    }
    // Ours was replaced by a newer leader's entry, but may still win elsewhere.
    if (before.term != 0) defer(before.origin, BOP_E_OUTCOME_UNKNOWN);
  }
  for (const raft::Update::Refused& refused : update_.refused) {
    if (!refused.read) {
      refuse_staged(staged_[refused.token], refused.error);
      continue;
    }
    ReadSlot& read = reads_[refused.token & 0xffffffffu];
    if (read.generation != refused.token >> 32 || read.stage != ReadSlot::Stage::asked) continue;
    if (refused.error == BOP_E_OVERLOADED) {
      defer({.completion = read.request.completion, .token = read.request.token}, refused.error);
      read.stage = ReadSlot::Stage::free;
      read.request = {};
      free_reads_.push_back(static_cast<uint32_t>(refused.token));
    } else {
      read.stage = ReadSlot::Stage::unserved;
    }
  }
  staged_.clear();
}

void Replica::refuse_staged(const Staged& staged, bop_status error) {
  const Origin& origin = staged.origin;
  if (error == BOP_E_LOG_FULL || error == BOP_E_DISK_FULL)
    return defer(origin, error, "on so many nodes that no majority could take the write");
  if (origin.completion == nullptr || error != BOP_E_NOT_LEADER) return defer(origin, error);
  Request request;
  request.group = options_.id;
  request.payload = std::get<raft::Propose>(events_[staged.event]).payload;
  request.deadline = staged.deadline;
  request.completion = origin.completion;
  request.token = origin.token;
  wait_for_leader(std::move(request));
}

void Replica::persist() {
  if (update_.mark.number == 0) return;
  unpersisted_.push_back(update_.mark);
  const Index first = update_.entries.empty() ? 0 : update_.entries.front().front().index;
  if (held_back_.number != 0) {
    // Behind what waits for room: one record later stands for both.
    held_back_ = update_.mark;
    if (first != 0 && (held_back_first_ == 0 || first < held_back_first_)) held_back_first_ = first;
    return;
  }
  write(update_.mark, first);
}

// Writes the hard state of `mark` and, from `first` on, the entries as they are now.
void Replica::write(const raft::PersistMark& mark, Index first) {
  std::vector<std::span<const raft::Entry>>& pieces = update_.entries;
  if (first != 0 && (pieces.empty() || pieces.front().front().index != first)) {
    pieces.clear();
    for (Index next = first; next <= core_->last();) {
      pieces.push_back(core_->entries(next, core_->last()));
      next += pieces.back().size();
    }
  }
  log::Append append;
  append.group = options_.id;
  append.hard = mark.hard;
  append.leader_term = mark.leader_term;
  append.entries = pieces;
  append.number = mark.number;
  auto written = ports_.log.append(append);
  if (written) return no_room_.reset();
  if (written.error().code == BOP_E_LATCHED) return halt(written.error());
  if (written.error().code == BOP_E_TOO_LARGE) {
    // From a leader whose segments are larger: no waiting will make room for it.
    return halt({BOP_E_UNAVAILABLE, "the log's segments are too small: " + written.error().detail});
  }
  // No room: nothing was written, so writing it later is no retry of a failed write.
  held_back_ = mark;
  held_back_first_ = first;
  if (!no_room_) logging::warning("group {}: {}", options_.name, written.error().to_string());
  no_room_ = written.error();
  arm();
}

void Replica::write_held_back() {
  if (held_back_.number == 0 || halted_) return;
  const raft::PersistMark mark = held_back_;
  const Index first = std::min(held_back_first_, core_->last());
  held_back_ = {};
  held_back_first_ = 0;
  update_.entries.clear();
  write(mark, first);
}

void Replica::durable(uint64_t number) {
  if (number == 0) {
    bootstrapped_ = true;
    return schedule();  // the shard waits for it
  }
  if (halted_) return;
  while (!unpersisted_.empty() && unpersisted_.front().number <= number) {
    events_.push_back(raft::Persisted{unpersisted_.front()});
    unpersisted_.pop_front();
  }
  schedule();
}

void Replica::latched(const Error& error) { halt(error); }

void Replica::load_for_peers() {
  for (const raft::Update::Load& load : update_.loads) {
    ports_.log.read(options_.id, load.first, load.max_bytes,
                    [this, load](Result<std::vector<raft::Entry>> entries) {
                      if (halted_) return;
                      if (!entries)
                        logging::warning("group {}: reading entry {} for node {}: {}",
                                         options_.name, load.first, load.peer,
                                         entries.error().to_string());
                      raft::Loaded loaded{load.peer, load.first, {}};
                      if (entries) loaded.entries = std::move(*entries);
                      events_.push_back(std::move(loaded));
                      schedule();
                    });
  }
}

// ---- apply ----

void Replica::apply_more() {
  while (!applying_ && !loading_ && !halted_ && applied_ < core_->commit()) {
    if (!loaded_.empty() && loaded_.back().index > applied_) {
      const size_t skip = static_cast<size_t>(applied_ + 1 - loaded_.front().index);
      const size_t left = std::min<Index>(loaded_.back().index, core_->commit()) - applied_;
      apply_entries(std::span(loaded_).subspan(skip, left));
    } else if (core_->entry(applied_ + 1) != nullptr) {
      loaded_.clear();
      apply_entries(core_->entries(applied_ + 1, core_->commit()));
    } else {
      read_committed();
    }
  }
}

void Replica::apply_entries(std::span<const raft::Entry> entries) {
  batch_.clear();
  size_t taken = 0;
  while (taken < entries.size() && batch_.size() < max_apply_entries) {
    const raft::Entry& entry = entries[taken++];
    if (entry.kind == raft::EntryKind::command) batch_.push_back(machine_entry(options_.id, entry));
  }
  batch_last_ = entries[taken - 1].index;
  applying_ = true;
  if (batch_.empty()) return applied({});
  driver_->apply(batch_);
}

void Replica::applied(std::span<const bop_reply> replies) {
  BOP_ASSERT_EQ(replies.size(), batch_.size());
  size_t next = 0;
  for (Index index = applied_ + 1; index <= batch_last_; ++index) {
    Outcome outcome;
    Term term = 0;
    if (next < batch_.size() && batch_[next].index == index) {
      const bop_reply& reply = replies[next];
      outcome.status = static_cast<bop_status>(reply.status);
      outcome.body = Bytes(reply.body.data, reply.body.size);
      term = batch_[next].term;
      ++next;
    }
    finish_entry(index, term, outcome);
  }
  applied_ = batch_last_;
  applying_ = false;
  core_->applied(applied_);
  answer_superseded();
  watch_for_quiet();
  // Inside finish() its completion goes on; a later completion needs a turn of its own.
  if (!finishing_) schedule();
}

void Replica::finish_entry(Index index, Term term, const Outcome& machine_outcome) {
  const Pending pending = proposals_.take(index);
  if (pending.term == 0) return;
  // Another entry was committed at its index: this one never will be.
  if (pending.term != term && !seeded(Bug::wrong_entry_answers))
    return complete(pending.origin, superseded());
  Outcome out = machine_outcome;
  out.index = index;
  complete(pending.origin, out);
}

// Terms never fall along a log (paper, figure 3: log matching), and every later leader has what is
// committed. So once an entry of a newer term is applied, no proposal of an older one that stands
// behind it can be committed any more.
void Replica::answer_superseded() {
  const Term term = core_->term_at(applied_);
  if (term == applied_term_) return;
  applied_term_ = term;
  proposals_.take_older(term,
                        [this](const Pending& pending) { complete(pending.origin, superseded()); });
}

// After a restart the committed entries that the machine lacks are only in the log's files. What
// follows them there may be replaced before it is committed, so it is not kept.
void Replica::read_committed() {
  loading_ = true;
  ports_.log.read(options_.id, applied_ + 1, max_load_bytes,
                  [this, committed = core_->commit()](Result<std::vector<raft::Entry>> entries) {
                    loading_ = false;
                    if (halted_) return;
                    if (!entries) return not_read(entries.error());
                    loaded_ = std::move(*entries);
                    std::erase_if(loaded_, [committed](const raft::Entry& entry) {
                      return entry.index > committed;
                    });
                    schedule();
                  });
}

void Replica::not_read(const Error& error) {
  // What follows the committed entries was replaced while it was read, or much else is: again.
  if (error.code == BOP_E_UNAVAILABLE || error.code == BOP_E_OVERLOADED) return schedule();
  // To a client, NOT_FOUND would be the machine's answer.
  const bool missing = error.code == BOP_E_NOT_FOUND;
  halt(missing ? Error{BOP_E_DAMAGED, "committed entry " + std::to_string(applied_ + 1) +
                                          " is not in the log: " + error.detail}
               : error);
}

// ---- reads ----

void Replica::take_reads() {
  for (const raft::Update::ReadReady& ready : update_.reads) {
    const uint32_t slot = static_cast<uint32_t>(ready.token);
    ReadSlot& read = reads_[slot];
    if (read.generation != ready.token >> 32 || read.stage != ReadSlot::Stage::asked) continue;
    read.stage = ReadSlot::Stage::waiting;
    read.index = ready.index;
    waiting_reads_.push_back(slot);
  }
}

void Replica::serve_reads() {
  while (!waiting_reads_.empty()) {
    const uint32_t slot = waiting_reads_.front();
    ReadSlot& read = reads_[slot];
    if (read.stage == ReadSlot::Stage::waiting) {
      if (read.index > applied_ && !seeded(Bug::read_before_applied)) break;
      read.stage = ReadSlot::Stage::with_machine;
      ++reads_with_machine_;
      waiting_reads_.pop_front();
      driver_->query(read.request.payload.bytes(), slot);
    } else {
      waiting_reads_.pop_front();  // expired meanwhile
      free_reads_.push_back(slot);
    }
  }
}

void Replica::answered(uint64_t token, const bop_reply& reply) {
  const uint32_t slot = static_cast<uint32_t>(token);
  ReadSlot& read = reads_[slot];
  BOP_ASSERT(read.stage == ReadSlot::Stage::with_machine);
  --reads_with_machine_;
  const Request request = std::move(read.request);
  read.request = {};
  read.stage = ReadSlot::Stage::free;
  free_reads_.push_back(slot);
  Outcome outcome;
  outcome.status = static_cast<bop_status>(reply.status);
  outcome.body = Bytes(reply.body.data, reply.body.size);
  outcome.leader = core_->leader();
  std::string words;
  if (outcome.status == BOP_E_PROTOCOL || outcome.status == BOP_E_TOO_LARGE) {
    words = "the machine " + machine_kind() + " does not take this question";
    outcome.detail = words;
  }
  request.completion->complete(request.token, outcome);
}

// ---- upkeep ----

void Replica::sync_machine() {
  if (!halted_ && driver_ != nullptr) driver_->sync();
}

void Replica::release_log() {
  // Left to itself the machine would wait for more, while the log has room for no more.
  const bool synced = driver_->durable().index >= sync_asked_;
  if (synced && ports_.log.crowded() && driver_->durable().index < update_.compact) {
    sync_asked_ = driver_->applied().index;  // not applied_: it knows only of commands
    sync_machine();
  }
  const Index through = std::min<Index>(update_.compact, driver_->durable().index);
  if (through <= released_) return;
  const Term term = core_->term_at(through);
  if (term == 0) return;
  released_ = through;
  ports_.log.release(options_.id, {term, through});
}

void Replica::watch_for_quiet() {
  if (quiet_armed_) return;
  quiet_armed_ = true;
  quiet_timer_->arm(ports_.clock.now() + quiet_after);
}

// Who compares replicas then finds their hashes ready. What a machine does for one question it may bound
// as if more entries came: it is asked again.
void Replica::look_for_quiet() {
  if (halted_) return;
  if (quiet_since_ != applied_) {
    quiet_since_ = applied_;
    hash_questions_ = 0;
    return watch_for_quiet();
  }
  const auto hash = driver_->state_hash();
  const bool ready = hash && hash->index == driver_->applied().index;
  if (!ready && ++hash_questions_ < max_hash_questions) watch_for_quiet();
}

// Answers what is past its deadline.
void Replica::expire() {
  const Instant now = ports_.clock.now();
  proposals_.expire(now, [this](Index, const Pending& pending) {
    defer(pending.origin, BOP_E_OUTCOME_UNKNOWN,
          "the deadline passed before the entry was committed");
  });
  for (auto it = forwarded_.begin(); it != forwarded_.end();) {
    if (it->second.request.deadline > now) {
      ++it;
      continue;
    }
    defer({it->second.request.completion, it->second.request.token}, BOP_E_OUTCOME_UNKNOWN,
          "the leader did not answer before the deadline");
    if (!halted_) forward_failed(it->second.to);
    it = forwarded_.erase(it);
  }
  if (halted_) return arm_expiry();  // the leader's answers are all that is waited for
  std::erase_if(waiting_, [&](const Request& request) {
    if (request.deadline > now) return false;
    defer({.completion = request.completion, .token = request.token}, BOP_E_UNAVAILABLE,
          "no leader was known before the deadline");
    return true;
  });
  for (uint32_t slot = 0; slot < reads_.size(); ++slot) {
    ReadSlot& read = reads_[slot];
    if (read.stage == ReadSlot::Stage::free || read.stage == ReadSlot::Stage::with_machine)
      continue;
    if (read.request.deadline <= now) {
      const bool waits = read.stage == ReadSlot::Stage::waiting;
      drop_read(slot, BOP_E_TIMEOUT,
                waits ? "this node did not get what the leader had before the deadline"
                      : "no leader confirmed the read before the deadline");
    } else if (read.stage == ReadSlot::Stage::unserved && core_->leader() != 0) {
      ask_read(slot);
    }
  }
  route_waiting();
  write_held_back();
}

void Replica::drop_read(uint32_t slot, bop_status status, std::string detail) {
  ReadSlot& read = reads_[slot];
  defer({.completion = read.request.completion, .token = read.request.token}, status,
        std::move(detail));
  read.request = {};
  // Its place in waiting_reads_ is skipped when it comes up; until then the slot is not reused.
  if (read.stage != ReadSlot::Stage::waiting) free_reads_.push_back(slot);
  read.stage = ReadSlot::Stage::free;
}

// Answers what is open here, because nobody else will. What was given to the log may still be
// committed by others: `event` says what came first.
void Replica::answer_open(const Error& reason, const std::string& event) {
  for (const Staged& staged : std::exchange(staged_, {})) {
    if (staged.origin.completion != nullptr)
      defer(staged.origin, reason.code, reason.detail);
    else
      defer(staged.origin, BOP_E_NOT_LEADER);
  }
  proposals_.expire(never, [&](Index, const Pending& pending) {
    defer(pending.origin, BOP_E_OUTCOME_UNKNOWN, "the entry was not committed before " + event);
  });
  for (const Request& request : std::exchange(waiting_, {}))
    defer({.completion = request.completion, .token = request.token}, reason.code, reason.detail);
  for (uint32_t slot = 0; slot < reads_.size(); ++slot) {
    const ReadSlot::Stage stage = reads_[slot].stage;
    if (stage == ReadSlot::Stage::asked || stage == ReadSlot::Stage::unserved ||
        stage == ReadSlot::Stage::waiting)
      drop_read(slot, reason.code, reason.detail);
  }
  free_reads_.insert(free_reads_.end(), waiting_reads_.begin(), waiting_reads_.end());
  waiting_reads_.clear();
}

void Replica::abandon() {
  answer_open({BOP_E_STOPPED, {}}, "this node stopped");
  for (auto& [sequence, forwarded] : std::exchange(forwarded_, {}))
    defer({.completion = forwarded.request.completion, .token = forwarded.request.token},
          BOP_E_OUTCOME_UNKNOWN, "the leader did not answer before this node stopped");
}

bool Replica::idle() const {
  return proposals_.size() == 0 && waiting_.empty() && forwarded_.empty() &&
         reads_.size() == free_reads_.size() && deferred_.empty();
}

void Replica::arm() {
  // A timer that fires early costs a step; one that is armed anew with every step costs a heap
  // operation each. So it is only ever armed to be earlier.
  if (update_.deadline < step_armed_) {
    step_armed_ = update_.deadline;
    step_timer_->arm(step_armed_);
  }
  arm_expiry();
}

void Replica::arm_expiry() {
  const bool open = proposals_.size() > 0 || !waiting_.empty() || !forwarded_.empty() ||
                    reads_.size() > free_reads_.size() || held_back_.number != 0;
  if (open && expiry_armed_ == never) {
    expiry_armed_ = ports_.clock.now() + expiry_grain;
    expiry_timer_->arm(expiry_armed_);
  }
}

NodeId Replica::known_leader() const { return halted_ || core_ == nullptr ? 0 : core_->leader(); }

bool Replica::ready() const {
  if (halted_ || !started_ || core_->leader() == 0) return false;
  return applied_ >= core_->commit() && core_->term_at(core_->commit()) == core_->term();
}

Replica::Status Replica::status() const {
  Status status;
  status.halted = halted_;
  status.file = halted_file_;
  status.offset = halted_offset_;
  status.applied = applied_;
  if (core_ != nullptr) {
    status.role = halted_ ? raft::Role::follower : core_->role();
    status.term = core_->term();
    status.leader = known_leader();
    status.commit = core_->commit();
    status.last = core_->last();
    status.durable = core_->durable();
    status.ready = ready();
  }
  if (driver_ != nullptr) {
    status.machine_durable = driver_->durable().index;
    status.hash = driver_->state_hash();
  }
  return status;
}

// ---- answers ----

bool Replica::refuse_too_large(const Origin& origin, size_t bytes) {
  if (bytes <= options_.max_request_bytes) return false;
  defer(origin, BOP_E_TOO_LARGE,
        "a request has at most " + std::to_string(options_.max_request_bytes) + " bytes");
  return true;
}

void Replica::defer(const Origin& origin, bop_status status, std::string detail) {
  deferred_.push_back({origin, status, known_leader(), std::move(detail)});
  schedule();
}

void Replica::complete_deferred() {
  std::vector<DeferredOutcome> answers;
  answers.swap(deferred_);
  for (const DeferredOutcome& deferred : answers) {
    Outcome out;
    out.status = deferred.status;
    out.leader = deferred.leader;
    out.detail = deferred.detail;
    complete(deferred.origin, out);
  }
}

void Replica::complete(const Origin& origin, Outcome outcome) {
  if (outcome.leader == 0) outcome.leader = known_leader();
  if (origin.completion != nullptr) return origin.completion->complete(origin.token, outcome);
  ports_.host.reply_forward(origin.node, options_.id, {origin.origin_epoch, origin.token, outcome});
}

void Replica::failed(const Error& error) { halt(error); }

void Replica::halt(const Error& error) {
  if (halted_) return;
  logging::error("group {}: halted: {}", options_.name, error.to_string());
  if (started_ && core_ != nullptr && core_->role() == raft::Role::leader) {
    // Its last word: the others need not wait for a timeout.
    const raft::Event unhealthy = raft::Health{false};
    raft::Update last_words;
    core_->step(ports_.clock.now(), ports_.clock.wall_ns(), {&unhealthy, 1}, last_words);
    observer_.observe(*core_, last_words.records);
    for (const raft::Message& message : last_words.messages) ports_.host.send(options_.id, message);
  }
  halted_ = error;
  held_back_ = {};
  step_timer_->cancel();
  // What was forwarded stays open: its leader answers, whatever became of this node's log.
  answer_open(error, "this replica halted: " + error.to_string());
  schedule();  // the shard may wait for its first entry
}

}  // namespace bop::group

#include "tools/cluster.h"

#include <algorithm>

#include "base/checksum.h"
#include "raft/configuration.h"
#include "raft/majority.h"

namespace bop::raft::model {

namespace {

Configuration decoded(const Entry& entry) {
  return decode_configuration(entry.payload.bytes()).value();
}

}  // namespace

void Disk::take(const Write& write) {
  hard = write.mark.hard;
  if (write.restart.index != 0) {
    if (write.restart.index <= machine) throw Violation("the machine goes back to a snapshot");
    before_first = snapshot = write.restart;
    machine = write.restart.index;
    entries.clear();
  }
  if (write.entries.empty()) return;
  const Index first = write.entries.front().index;
  if (first > last() + 1) throw Violation("a write leaves a gap in the log");
  if (first <= machine) throw Violation("a write replaces what the machine made durable");
  entries.resize(first - before_first.index - 1);
  entries.insert(entries.end(), write.entries.begin(), write.entries.end());
}

const Entry* Disk::find(Index index) const {
  if (index <= before_first.index || index > last()) return nullptr;
  return &entries[index - before_first.index - 1];
}

Term Disk::term_at(Index index) const {
  if (index == before_first.index) return before_first.term;
  const Entry* entry = find(index);
  return entry != nullptr ? entry->term : 0;
}

void Disk::compact(Index through) {
  if (through <= before_first.index) return;
  const EntryId at{term_at(through), through};
  entries.erase(entries.begin(),
                entries.begin() + static_cast<ptrdiff_t>(through - before_first.index));
  before_first = at;
}

Cluster::Cluster(const Configuration& configuration, const Config& config, uint64_t seed,
                 const std::vector<NodeId>& others)
    : config_(config), seed_(seed) {
  configurations_[0] = configuration;
  for (const auto& ids : {configuration.voters, configuration.learners, others})
    for (NodeId id : ids) nodes_[id].id = id;
}

ConfigurationAt Cluster::in_force_after(Index committed) const {
  const auto& [index, configuration] = *std::prev(configurations_.upper_bound(committed));
  return {index, configuration};
}

void Cluster::start(NodeId id) {
  Node& n = node(id);
  Restored restored;
  restored.hard = n.disk.hard;
  restored.before_first = n.disk.before_first;
  if (const Index before = n.disk.before_first.index; before != 0)
    restored.last_time_ns = checker_.time_of(before);
  for (const Entry& entry : n.disk.entries) {
    if (restored.runs.empty() || restored.runs.back().term != entry.term)
      restored.runs.push_back({entry.index, entry.term});
    restored.last_time_ns = entry.time_ns;
    if (entry.kind == EntryKind::configuration)
      restored.later_configurations.push_back({entry.index, decoded(entry)});
  }
  restored.last = n.disk.last();
  restored.commit = n.disk.machine;
  restored.configuration = in_force_after(n.disk.before_first.index);
  Config config = config_;
  config.self = id;
  config.seed = seed_ * 1000 + id * 100 + n.lives++;
  n.core = std::make_unique<Core>(config, restored, n.now);
  n.applied = n.disk.machine;
  for (const auto& [other, unused] : nodes_)
    if (other != id) tell(id, NodeAlive{other});
  if (n.disk.snapshot.index != 0) tell(id, SnapshotReady{snapshot_as_of(n.disk.snapshot)});
  step(id);
}

void Cluster::crash(NodeId id, size_t kept) {
  Node& n = node(id);
  for (size_t i = 0; i < std::min(kept, n.writes.size()); ++i) n.disk.take(n.writes[i]);
  n.writes.clear();
  n.core.reset();
  n.events.clear();
  n.received.clear();
  n.loads.clear();
  n.offer.reset();
  n.snapshot_wanted = 0;
  n.proposed.clear();
  n.refused.clear();
  n.reads.clear();
  n.records.clear();
  n.deadline = never;
}

void Cluster::propose(NodeId id, uint64_t token, std::string_view payload) {
  Propose event;
  event.token = token;
  event.payload = mem::Buffer::copy(as_bytes(payload));
  tell(id, std::move(event));
}

void Cluster::propose(NodeId id, uint64_t token, const Configuration& configuration) {
  Propose event;
  event.token = token;
  event.kind = EntryKind::configuration;
  event.payload = encode_configuration(configuration);
  tell(id, std::move(event));
}

void Cluster::read(NodeId id, uint64_t token) {
  read_floors_[token] = checker_.highest_commit();
  tell(id, Read{token});
}

void Cluster::deliver(const Flight& flight) {
  Node& n = node(flight.message.to);
  if (!n.up()) return;
  n.received.push_back(flight.entries);
  Message message = flight.message;
  message.entries = n.received.back();
  const bool left_out = n.log_capacity != LogCapacity::available && !message.entries.empty();
  if (left_out) message.entries = {};
  tell(n.id, Receive{message, left_out ? n.log_capacity : LogCapacity::available});
}

void Cluster::persist(NodeId id) {
  Node& n = node(id);
  if (n.writes.empty()) throw Violation("no write is in progress");
  n.disk.take(n.writes.front());
  tell(id, Persisted{n.writes.front().mark});
  n.writes.pop_front();
}

void Cluster::load(NodeId id) {
  Node& n = node(id);
  for (const Update::Load& load : n.loads) {
    Loaded loaded{load.peer, load.first, {}};
    size_t bytes = 0;
    for (Index i = load.first; n.disk.find(i) != nullptr; ++i) {
      bytes += n.disk.find(i)->cost();
      if (bytes > load.max_bytes && !loaded.entries.empty()) break;
      loaded.entries.push_back(*n.disk.find(i));
    }
    tell(id, std::move(loaded));
  }
  n.loads.clear();
}

void Cluster::take_snapshot(NodeId id) {
  Node& n = node(id);
  const EntryId at{n.core->term_at(n.applied), n.applied};
  // It may only make permanent what is durable in the log, too.
  if (at.index == 0 || at.index > n.core->durable()) return;
  n.disk.machine = std::max(n.disk.machine, at.index);
  n.disk.snapshot = at;
  tell(id, SnapshotReady{snapshot_as_of(at)});
}

void Cluster::compact(NodeId id, Index through) {
  Node& n = node(id);
  if (through > n.disk.machine) throw Violation("the machine does not hold that much");
  n.disk.compact(through);
  tell(id, Compacted{through});
}

void Cluster::install(NodeId id, const Update::Offer& offer) {
  Installed event;
  event.term = offer.term;
  event.at = offer.snapshot.at;
  event.time_ns = checker_.time_of(event.at.index);
  event.configuration = in_force_after(event.at.index);
  tell(id, std::move(event));
}

void Cluster::step(NodeId id) {
  Node& n = node(id);
  if (!n.up()) return;
  // Wall clocks differ between nodes, and jump.
  const int64_t wall_ns = n.now + static_cast<int64_t>(id % 3) * seconds;
  n.core->step(n.now, wall_ns, n.events, update_);
  n.events.clear();
  n.received.clear();
  take_update(n);
}

void Cluster::take_update(Node& n) {
  trace_update(n);
  if (update_.restart.index != 0) {
    if (update_.mark.number == 0) throw Violation("a restart that is not persisted");
    checker_.installed(n.id, n.applied, update_.restart);
    n.applied = update_.restart.index;
  }
  if (update_.offer) n.offer = update_.offer;
  n.snapshot_wanted = update_.snapshot_wanted;
  if (update_.mark.number != 0) {
    Write write{update_.mark, update_.restart, {}};
    for (std::span<const Entry> piece : update_.entries)
      write.entries.insert(write.entries.end(), piece.begin(), piece.end());
    n.writes.push_back(std::move(write));
  }
  for (const Message& message : update_.messages) {
    checker_.sent(message, n.disk.hard, n.disk.last());
    Flight flight{message, {message.entries.begin(), message.entries.end()}};
    flight.message.entries = {};
    flights_.push_back(std::move(flight));
  }
  if (n.core->role() == Role::leader) checker_.led(n.id, *n.core);
  apply(n, update_.commit);
  n.loads.insert(n.loads.end(), update_.loads.begin(), update_.loads.end());
  n.proposed.insert(n.proposed.end(), update_.proposed.begin(), update_.proposed.end());
  n.refused.insert(n.refused.end(), update_.refused.begin(), update_.refused.end());
  n.records.insert(n.records.end(), update_.records.begin(), update_.records.end());
  n.reads.insert(n.reads.end(), update_.reads.begin(), update_.reads.end());
  for (const Update::ReadReady& ready : update_.reads)
    checker_.served(ready.token, read_floors_.at(ready.token), ready.index);
  n.compact = update_.compact;
  n.deadline = update_.deadline;
}

void Cluster::apply(Node& n, Index commit) {
  while (n.applied < commit) {
    const Entry entry = entry_of(n, n.applied + 1);
    const bool first = entry.index > checker_.highest_commit();
    checker_.committed(n.id, entry, is_durable(n, {entry.term, entry.index}));
    if (first && entry.kind == EntryKind::configuration)
      configurations_[entry.index] = decoded(entry);
    ++n.applied;
  }
  n.core->applied(n.applied);
}

Entry Cluster::entry_of(const Node& n, Index index) const {
  if (const Entry* entry = n.core->entry(index)) return *entry;
  if (const Entry* entry = n.disk.find(index)) return *entry;
  throw Violation("a committed entry is nowhere");
}

// What a log does not have any more is in its machine.
bool Cluster::is_durable(const Node& node, EntryId entry) const {
  const auto holds = [&](NodeId id) {
    const Disk& disk = nodes_.at(id).disk;
    const bool has =
        entry.index <= disk.before_first.index || disk.term_at(entry.index) == entry.term;
    return has ? Answer::yes : Answer::no;
  };
  return count_votes(node.core->configuration(), holds) == VoteResult::won;
}

void Cluster::check_all() {
  for (auto& [a_id, a] : nodes_) {
    if (!a.up()) continue;
    a.core->check();
    for (auto& [b_id, b] : nodes_)
      if (b.up() && a_id < b_id) checker_.compare(*a.core, *b.core);
  }
}

void Cluster::mix(uint64_t value) {
  trace_ = (trace_ ^ value) * 0x9e3779b97f4a7c15u;
  trace_ ^= trace_ >> 29;
}

void Cluster::trace_update(const Node& n) {
  mix(n.id);
  mix(static_cast<uint64_t>(n.now));
  mix(update_.commit);
  mix(update_.compact);
  mix(static_cast<uint64_t>(update_.deadline));
  mix(update_.mark.number);
  mix(update_.mark.index);
  mix(update_.mark.hard.term);
  mix(update_.mark.hard.vote);
  mix(update_.restart.index);
  mix(update_.snapshot_wanted);
  if (update_.offer) mix(update_.offer->snapshot.at.index);
  for (const Message& m : update_.messages) {
    for (uint64_t field : {uint64_t(m.kind), m.to, m.term, m.log_term, m.index, m.commit, m.compact,
                           m.match, m.round, uint64_t(m.ok), uint64_t(m.quiesce)})
      mix(field);
    for (const Entry& entry : m.entries) {
      mix(entry.index);
      mix(static_cast<uint64_t>(entry.time_ns));
      mix(hash64(entry.payload.bytes()));
    }
  }
  for (const Update::ReadReady& ready : update_.reads) mix(ready.token + ready.index);
  for (const Update::Refused& refused : update_.refused) mix(refused.token);
}

}  // namespace bop::raft::model

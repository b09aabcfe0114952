#include "cluster.h"

#include <algorithm>

#include "base/checksum.h"

namespace bop::raft::test {

void Disk::take(const Write& write) {
  hard = write.mark.hard;
  if (write.entries.empty()) return;
  const Index first = write.entries.front().index;
  if (first > entries.size() + 1) throw Violation("a write leaves a gap in the log");
  if (first <= machine) throw Violation("a write replaces what the machine made durable");
  entries.resize(first - 1);
  entries.insert(entries.end(), write.entries.begin(), write.entries.end());
}

Term Disk::term_at(Index index) const {
  return index == 0 || index > entries.size() ? 0 : entries[index - 1].term;
}

Cluster::Cluster(const Configuration& configuration, const Config& config, uint64_t seed)
    : configuration_(configuration), config_(config), seed_(seed) {
  for (const auto& ids : {configuration.voters, configuration.learners})
    for (NodeId id : ids) nodes_[id].id = id;
}

void Cluster::start(NodeId id) {
  Node& n = node(id);
  Restored restored;
  restored.hard = n.disk.hard;
  for (const Entry& entry : n.disk.entries) {
    if (restored.runs.empty() || restored.runs.back().term != entry.term)
      restored.runs.push_back({entry.index, entry.term});
    restored.last_time_ns = entry.time_ns;
  }
  restored.last = n.disk.entries.size();
  restored.commit = n.disk.machine;
  restored.configuration = configuration_;
  Config config = config_;
  config.self = id;
  config.seed = seed_ * 1000 + id * 100 + n.lives++;
  n.core = std::make_unique<Core>(config, restored, n.now);
  n.applied = n.disk.machine;
  for (const auto& [other, unused] : nodes_)
    if (other != id) tell(id, NodeAlive{other});
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
    for (Index i = load.first; i <= n.disk.entries.size(); ++i) {
      bytes += n.disk.entries[i - 1].cost();
      if (bytes > load.max_bytes && !loaded.entries.empty()) break;
      loaded.entries.push_back(n.disk.entries[i - 1]);
    }
    tell(id, std::move(loaded));
  }
  n.loads.clear();
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
  if (update_.mark.number != 0) {
    Write write{update_.mark, {}};
    for (std::span<const Entry> piece : update_.entries)
      write.entries.insert(write.entries.end(), piece.begin(), piece.end());
    n.writes.push_back(std::move(write));
  }
  for (const Message& message : update_.messages) {
    checker_.sent(message, n.disk.hard, n.disk.entries.size());
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
    checker_.committed(n.id, entry, copies(entry), quorum());
    ++n.applied;
  }
  n.core->applied(n.applied);
}

Entry Cluster::entry_of(const Node& n, Index index) const {
  if (const Entry* entry = n.core->entry(index)) return *entry;
  if (index > n.disk.entries.size()) throw Violation("a committed entry is nowhere");
  return n.disk.entries[index - 1];
}

size_t Cluster::copies(const Entry& entry) const {
  size_t count = 0;
  for (NodeId id : configuration_.voters)
    if (nodes_.at(id).disk.term_at(entry.index) == entry.term) ++count;
  return count;
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

}  // namespace bop::raft::test

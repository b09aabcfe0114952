#include "sim/faults.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/assert.h"
#include "group/replica.h"

namespace bop::sim {

namespace {

constexpr std::array<const char*, fault_count> names{
    "kill",    "power", "blackout",   "restart", "pause",       "isolate", "split",
    "one_way", "storm", "slow_disk",  "stall",   "failing",     "full",    "rot",
    "clock",   "store", "late_write", "large",   "crash_at_io", "depose"};

constexpr Duration supervise_every = 100 * milliseconds;
constexpr Disk::Latency swift{};

}  // namespace

const char* name_of(Fault fault) { return names[static_cast<size_t>(fault)]; }

FaultSet all_faults() {
  FaultSet all;
  for (size_t i = 0; i < fault_count; ++i) all.insert(static_cast<Fault>(i));
  return all;
}

Result<FaultSet> parse_faults(std::string_view text) {
  if (text == "none") return FaultSet{};
  if (text == "all") return all_faults();
  FaultSet faults;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view name = text.substr(0, comma);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      std::string known = "none, all";
      for (const char* one : names) known += std::string(", ") + one;
      return fail(BOP_E_INVALID_ARGUMENT,
                  "unknown fault \"" + std::string(name) + "\"; there are: " + known);
    }
    faults.insert(static_cast<Fault>(found - names.begin()));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return faults;
}

Faults::Faults(Scheduler& scheduler, Thread& harness, Network& network, StateChecker& checker,
               std::vector<std::unique_ptr<Node>>& nodes, const FaultOptions& options)
    : scheduler_(scheduler),
      harness_(harness),
      network_(network),
      checker_(checker),
      nodes_(nodes),
      options_(options),
      schedule_(scheduler.random("faults")),
      starts_(scheduler.random("starts")),
      random_(scheduler.random("fault")) {}

void Faults::start() {
  harness_.after(0, "supervise", [this] { supervise(); });
  if (!options_.kinds.empty()) next();
}

void Faults::next() {
  if (stopped_) return;
  harness_.after(schedule_.between(0, options_.between_longest), "fault", [this] {
    if (stopped_) return;
    auto kind = options_.kinds.begin();
    std::advance(kind, schedule_.below(options_.kinds.size()));
    random_ = scheduler_.random("fault", ++drawn_);
    if (!options_.only || options_.only->contains(drawn_)) strike(*kind);
    next();
  });
}

// What lasts is undone by stop() too, so an end that comes later finds nothing to do.
void Faults::until(Duration time, Task end) {
  harness_.after(time, "fault ends", [this, end = std::move(end)] {
    if (!stopped_) end();
  });
}

void Faults::stop() {
  stopped_ = true;
  network_.heal_all();
  network_.set_quality(options_.quality);
  for (const auto& node : nodes_) {
    node->stores().fail(0);
    node->clock().set_drift(0);
    for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
      Disk& disk = node->disk(shard);
      disk.heal();
      disk.set_capacity(0);
      disk.set_latency(swift);
      disk.stall(false);
    }
  }
}

Node& Faults::any() { return *nodes_[random_.below(nodes_.size())]; }

Node* Faults::any_serving() {
  Node& node = any();
  return node.serving() ? &node : nullptr;
}

Node* Faults::leader_of_any_group() {
  const auto& groups = nodes_.front()->settings().shard.groups;
  const GroupId group = groups[random_.below(groups.size())].id;
  for (const auto& node : nodes_) {
    const group::Replica* replica = node->replica(group);
    if (replica != nullptr && replica->status().role == raft::Role::leader) return node.get();
  }
  return nullptr;
}

void Faults::strike(Fault fault) {
  ++counters_[fault];
  scheduler_.trace().remark(scheduler_.now(),
                            "fault " + std::to_string(drawn_) + ": " + name_of(fault));
  switch (fault) {
    case Fault::kill:
      if (Node* node = any_serving()) end_process(*node, Ending::process);
      return;
    case Fault::power: return end_process(any(), Ending::power);
    case Fault::blackout:
      for (const auto& node : nodes_) end_process(*node, Ending::power);
      return;
    case Fault::restart:
      if (Node* node = any_serving()) node->stop(random_.between(0, 1 * seconds));
      return;
    case Fault::pause: return any().pause(while_long());
    case Fault::isolate:
      network_.isolate(any().id());
      return until(while_long(), [this] { network_.heal_all(); });
    case Fault::split: return split();
    case Fault::depose: return depose();
    case Fault::one_way: {
      const NodeId from = any().id();
      const NodeId to = any().id();
      if (from == to) return;
      network_.cut(from, to);
      return until(while_long(), [this, from, to] { network_.heal(from, to); });
    }
    case Fault::large: return lose_large();
    case Fault::storm: return storm();
    case Fault::slow_disk:
    case Fault::stall:
    case Fault::failing:
    case Fault::full: return disk_fault(fault);
    case Fault::rot: return rot();
    case Fault::clock: return clock_fault();
    case Fault::store: return any().stores().fail(1 + random_.below(200));
    case Fault::late_write: return late_write();
    case Fault::crash_at_io: return crash_at_io();
  }
}

// ---- processes ----

void Faults::end_process(Node& node, Ending ending) {
  if (node.state() == Node::State::down) return;
  node.crash(ending);
}

// The disk slows down first, so that a write is under way when the process is killed.
void Faults::late_write() {
  Node* node = any_serving();
  if (node == nullptr) return;
  const Duration slow = random_.between(10 * milliseconds, 300 * milliseconds);
  for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
    node->disk(shard).set_latency({slow / 2, slow, 50 * milliseconds});
  }
  const Duration lands_after = random_.between(1 * milliseconds, 2 * options_.lasts_longest);
  until(random_.between(slow / 2, 3 * slow), [this, node, lands_after] {
    for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
      node->disk(shard).set_latency(swift);
    }
    end_process(*node, Ending::process_with_late_writes);
    land_late_writes(*node, lands_after);
  });
}

// The crash comes anywhere between the operation's start and a while after its end.
void Faults::crash_at_io() {
  using enum DiskOperation;
  static constexpr std::array kinds{write, write,  write,  write,          write,
                                    open,  rename, remove, sync_directory, read};
  static constexpr std::array endings{Ending::process, Ending::process_with_late_writes,
                                      Ending::power, Ending::power};
  Node& node = any();
  Disk& disk = node.disk(static_cast<uint32_t>(random_.below(node.shard_count())));
  const Ending ending = endings[random_.below(endings.size())];
  const Duration later = random_.between(0, 2 * disk.latency().most);
  const Duration lands_after = random_.between(1 * milliseconds, 2 * options_.lasts_longest);
  const DiskOperation kind = kinds[random_.below(kinds.size())];
  // The next one of a kind that is rare.
  const uint64_t within = kind == write || kind == read ? 20 : 2;
  disk.at_operation(kind, 1 + random_.below(within), [this, &node, ending, later, lands_after] {
    harness_.after(later, "crash at io", [this, &node, ending, lands_after, life = node.life()] {
      if (stopped_ || node.life() != life || node.state() == Node::State::down) return;
      end_process(node, ending);
      if (ending == Ending::process_with_late_writes) land_late_writes(node, lands_after);
    });
  });
}

void Faults::land_late_writes(Node& node, Duration after) {
  for (uint32_t shard = 0; shard < node.shard_count(); ++shard) {
    harness_.after(after, "late write", [&disk = node.disk(shard)] { disk.land_late_writes(); });
  }
}

bool Faults::lost(const Node& node) const {
  if (!options_.may_lose_data.contains(node.id())) return false;
  if (node.state() == Node::State::refused) return true;
  return std::any_of(node.settings().shard.groups.begin(), node.settings().shard.groups.end(),
                     [&](const node::GroupSpec& group) { return node.halted(group.id); });
}

void Faults::start_later(Node& node) {
  if (!starting_.insert(node.id()).second) return;
  const Duration longest =
      stopped_ || scheduler_.now() == 0 ? 500 * milliseconds : options_.lasts_longest;
  const Duration delay = starts_.between(0, longest);
  harness_.after(delay, "start node", [this, &node] {
    starting_.erase(node.id());
    if (node.state() == Node::State::down) node.start();
  });
}

// As an operator would: starts what is down, reopens what a passing fault closed.
void Faults::supervise() {
  for (const auto& node : nodes_) {
    switch (node->state()) {
      case Node::State::down: start_later(*node); break;
      case Node::State::opening: break;
      case Node::State::serving: restart_halted(*node); break;
      case Node::State::refused: reopen_or_report(*node, node->refusal()); break;
    }
  }
  harness_.after(supervise_every, "supervise", [this] { supervise(); });
}

void Faults::restart_halted(Node& node) {
  for (const node::GroupSpec& group : node.settings().shard.groups) {
    if (const auto halted = node.halted(group.id)) return reopen_or_report(node, *halted);
  }
}

void Faults::reopen_or_report(Node& node, const Error& error) {
  switch (error.code) {
    case BOP_E_LATCHED:
    case BOP_E_IO:
    case BOP_E_DISK_FULL:
    case BOP_E_DIRECTORY_IN_USE: return end_process(node, Ending::process);
    case BOP_E_MACHINE:
      if (node.stores().failed()) return end_process(node, Ending::process);
      [[fallthrough]];
    default:
      if (options_.may_lose_data.contains(node.id())) return;
      checker_.report("doubt: node " + std::to_string(node.id()) +
                      ", whose disk loses nothing, says: " + error.to_string());
  }
}

// ---- network ----

void Faults::split() {
  std::set<NodeId> side;
  for (const auto& node : nodes_) {
    if (random_.chance(1, 2)) side.insert(node->id());
  }
  for (const auto& from : nodes_) {
    for (const auto& to : nodes_) {
      if (from != to && side.contains(from->id()) != side.contains(to->id())) {
        network_.cut(from->id(), to->id());
      }
    }
  }
  until(while_long(), [this] { network_.heal_all(); });
}

// The leader of a group goes on, with fewer than half of the nodes, and clients still reach it, while the others elect
// another one. If its clock stands still, it neither sends heartbeats nor notices that nobody answers them.
void Faults::depose() {
  Node* leader = leader_of_any_group();
  if (leader == nullptr) return;
  std::set<NodeId> side{leader->id()};
  const size_t size = 1 + random_.below(std::max<size_t>((nodes_.size() - 1) / 2, 1));
  while (side.size() < size) side.insert(any().id());
  for (const auto& from : nodes_) {
    for (const auto& to : nodes_) {
      if (side.contains(from->id()) != side.contains(to->id())) network_.cut(from->id(), to->id());
    }
  }
  const Duration time =
      leader->settings().shard.raft.election_timeout * static_cast<Duration>(random_.between(2, 8));
  const bool stands = random_.chance(1, 2);
  if (stands) leader->set_clock_rate(-999'000, time);
  until(time, [this, leader, stands] {
    network_.heal_all();
    if (stands) leader->clock().set_drift(0);
  });
}

// As behind a link that drops packets above its MTU: heartbeats pass, entries do not.
void Faults::lose_large() {
  const NodeId from = any().id();
  const uint64_t bytes = random_.between(200, 2000);
  for (const auto& to : nodes_) {
    if (to->id() != from) network_.drop_frames_above(from, to->id(), bytes);
  }
  until(while_long(), [this] { network_.heal_all(); });
}

void Faults::storm() {
  LinkQuality bad = options_.quality;
  bad.lost = static_cast<uint32_t>(random_.below(200'000));
  bad.repeated = static_cast<uint32_t>(random_.below(200'000));
  bad.overtaken = static_cast<uint32_t>(random_.below(500'000));
  bad.longest += random_.between(0, 100 * milliseconds);
  bad.overtaken_by = random_.between(1, 300 * milliseconds);
  network_.set_quality(bad);
  until(while_long(), [this] { network_.set_quality(options_.quality); });
}

// ---- disks ----

void Faults::disk_fault(Fault fault) {
  Node& node = any();
  Disk& disk = node.disk(static_cast<uint32_t>(random_.below(node.shard_count())));
  switch (fault) {
    case Fault::slow_disk: {
      const Duration most = random_.between(1 * milliseconds, 300 * milliseconds);
      disk.set_latency({most / 10, most, 50 * milliseconds});
      return until(while_long(), [&disk] { disk.set_latency(swift); });
    }
    case Fault::stall: disk.stall(true); return until(while_long(), [&disk] { disk.stall(false); });
    case Fault::full:
      disk.set_capacity(disk.used_bytes() + random_.below(64 * 1024));
      return until(while_long(), [&disk] { disk.set_capacity(0); });
    default: {
      static constexpr std::array kinds{DiskOperation::write, DiskOperation::write,
                                        DiskOperation::sync, DiskOperation::open,
                                        DiskOperation::read};
      // A block that cannot be read when the node starts leaves it suspect.
      const size_t choices =
          options_.may_lose_data.contains(node.id()) ? kinds.size() : kinds.size() - 1;
      disk.fail(kinds[random_.below(choices)], BOP_E_IO, 1 + random_.below(50),
                1 + random_.below(3));
    }
  }
}

// A bit of a log flips, or a sector of it cannot be read any more; found when the node starts again.
void Faults::rot() {
  if (options_.may_lose_data.empty()) return;
  Node& node = any();
  if (!options_.may_lose_data.contains(node.id())) return;
  const auto shard = static_cast<uint32_t>(random_.below(node.shard_count()));
  const std::string directory = "shard" + std::to_string(shard);
  Disk& disk = node.disk(shard);
  const auto names = disk.list_now(directory);
  if (!names) return;
  std::vector<std::string> files;
  for (const std::string& name : *names) {
    if (disk.exists(directory + "/" + name)) files.push_back(directory + "/" + name);
  }
  if (files.empty()) return;
  if (node.state() != Node::State::down) node.crash(Ending::power);
  const std::string& file = files[random_.below(files.size())];
  if (!disk.exists(file)) return;  // it was not in the directory yet when the power was lost
  const size_t size = disk.bytes(file).size();
  if (size == 0) return;
  const uint64_t offset = random_.below(size);
  if (random_.chance(1, 4)) {
    disk.lose_sector(file, offset);
  } else {
    disk.flip_bit(file, offset, static_cast<int>(random_.below(8)));
  }
}

void Faults::clock_fault() {
  Node& node = any();
  switch (random_.below(4)) {
    case 0: return node.clock().jump_wall(random_.between(-3600 * seconds, 3600 * seconds));
    case 1: return node.clock().set_drift(random_.between(-500, 500));
    case 2:
    default: {
      // Half or double the rate, or it stands almost still; then it is right again, and behind.
      const bool stands = random_.chance(1, 2);
      const Duration time = while_long();
      node.set_clock_rate(stands ? -999'000 : random_.between(-500'000, 900'000), time);
      until(time, [&node] { node.clock().set_drift(0); });
    }
  }
}

}  // namespace bop::sim

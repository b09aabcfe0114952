#include "sim/faults.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/assert.h"
#include "group/replica.h"

namespace bop::sim {

namespace {

#define BOP_NAME(name, what) #name,
constexpr std::array names{BOP_SIM_FAULTS(BOP_NAME)};
#undef BOP_NAME
static_assert(names.size() == fault_count);

constexpr Duration supervise_every = 100 * milliseconds;

Disk::Latency slow_down(const Node& node, Duration least, Duration most) {
  const Disk::Latency usual = node.settings().disk_latency;
  return {std::max(least, usual.least), std::max(most, usual.most), 50 * milliseconds,
          usual.names_percent};
}

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
               Availability& availability, std::vector<std::unique_ptr<Node>>& nodes,
               const FaultOptions& options)
    : scheduler_(scheduler),
      harness_(harness),
      network_(network),
      checker_(checker),
      availability_(availability),
      nodes_(nodes),
      options_(options),
      schedule_(scheduler.random("faults")),
      starts_(scheduler.random("starts")),
      random_(scheduler.random("fault")) {
  for (const Fault fault : options_.kinds) {
    const auto weight = options_.weights.try_emplace(fault, 1).first->second;
    BOP_ASSERT_GT(weight, 0u);
    all_weights_ += weight;
  }
}

void Faults::start() {
  harness_.after(0, "supervise", [this] { supervise(); });
  if (!options_.kinds.empty()) next();
}

void Faults::next() {
  if (stopped_) return;
  harness_.after(schedule_.between(0, options_.between_longest), "fault", [this] {
    if (stopped_) return;
    const Fault fault = draw();
    random_ = scheduler_.random("fault", ++drawn_);
    if (!options_.only || options_.only->contains(drawn_)) strike(fault);
    next();
  });
}

Fault Faults::draw() {
  uint64_t at = schedule_.below(all_weights_);
  for (const Fault fault : options_.kinds) {
    const uint32_t weight = options_.weights.at(fault);
    if (at < weight) return fault;
    at -= weight;
  }
  BOP_ASSERT(false);
  return *options_.kinds.begin();
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
    node->stores().give_space();
    node->clock().set_drift(0);
    for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
      Disk& disk = node->disk(shard);
      disk.heal();
      disk.set_capacity(0);
      disk.set_latency(node->settings().disk_latency);
      disk.stall(false);
    }
    // Nobody else can give the others what is damaged in its log: it has to stop leading.
    if (damaged_.contains(node->id())) end_process(*node, Ending::process);
  }
}

Node& Faults::any() { return *nodes_[random_.below(nodes_.size())]; }

Disk& Faults::any_disk(Node& node) {
  return node.disk(static_cast<uint32_t>(random_.below(node.shard_count())));
}

Node& Faults::any_or_leader() {
  if (random_.chance(1, 3))
    if (Node* leader = leader_of_any_group()) return *leader;
  return any();
}

Node* Faults::any_serving() {
  Node& node = any_or_leader();
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

Node* Faults::any_that_may_lose_data() {
  if (options_.may_lose_data.empty()) return nullptr;
  auto id = options_.may_lose_data.begin();
  std::advance(id, random_.below(options_.may_lose_data.size()));
  return nodes_[*id - 1].get();
}

Duration Faults::while_long_or_longer(uint64_t one_in) {
  const Duration time = while_long();
  return random_.chance(1, one_in) ? options_.outlast + time : time;
}

Duration Faults::excused() {
  const Duration time = while_long();
  availability_.excuse(scheduler_.now() + time);
  return time;
}

void Faults::strike(Fault fault) {
  ++counters_[fault];
  scheduler_.trace().remark(scheduler_.now(),
                            "fault " + std::to_string(drawn_) + ": " + name_of(fault));
  switch (fault) {
    case Fault::kill:
    case Fault::power:
    case Fault::blackout:
    case Fault::restart:
    case Fault::pause:
    case Fault::clock:
    case Fault::late_write:
    case Fault::crash_at_io:
    case Fault::crash_in_recovery:
    case Fault::crash_at_vote:
    case Fault::stalled_job: return strike_process(fault);
    case Fault::isolate:
    case Fault::split:
    case Fault::one_way:
    case Fault::storm:
    case Fault::large:
    case Fault::flap:
    case Fault::partial:
    case Fault::repeat:
    case Fault::depose: return strike_network(fault);
    case Fault::slow_disk:
    case Fault::stall:
    case Fault::failing:
    case Fault::full:
    case Fault::nearly_full:
    case Fault::stalled_write:
    case Fault::misread:
    case Fault::read_error:
    case Fault::lost_write:
    case Fault::misdirected_write:
    case Fault::rot:
    case Fault::live_rot:
    case Fault::file_rot: return strike_disk(fault);
    case Fault::store:
    case Fault::store_full:
    case Fault::store_rot:
    case Fault::store_lost_write: return strike_store(fault);
  }
}

void Faults::strike_process(Fault fault) {
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
    case Fault::pause: return any_or_leader().pause(while_long());
    case Fault::clock: return clock_fault();
    case Fault::late_write: return late_write();
    case Fault::crash_at_io: return crash_at_io();
    case Fault::crash_at_vote:
      ends_at_vote_[any().id()] = random_.chance(1, 2) ? Ending::power : Ending::process;
      return;
    case Fault::crash_in_recovery: {
      Node& node = any();
      end_process(node, random_.chance(1, 2) ? Ending::power : Ending::process);
      return crash_in_recovery(node, static_cast<uint32_t>(random_.between(1, 4)));
    }
    default: {  // stalled_job
      Node& node = any();
      const auto shard = static_cast<uint32_t>(random_.below(node.shard_count()));
      return node.stall_job(shard, random_.between(100 * milliseconds, options_.lasts_longest));
    }
  }
}

void Faults::strike_network(Fault fault) {
  switch (fault) {
    case Fault::isolate:
      network_.isolate(any_or_leader().id());
      return until(while_long_or_longer(), [this] { network_.heal_all(); });
    case Fault::split: return split();
    case Fault::depose: return depose();
    case Fault::one_way: {
      const NodeId from = any_or_leader().id();
      const NodeId to = any().id();
      if (from == to) return;
      network_.cut(from, to);
      return until(while_long_or_longer(), [this, from, to] { network_.heal(from, to); });
    }
    case Fault::partial: {
      const NodeId a = any().id();
      const NodeId b = any().id();
      if (a == b) return;
      network_.cut(a, b);
      network_.cut(b, a);
      return until(while_long_or_longer(), [this, a, b] {
        network_.heal(a, b);
        network_.heal(b, a);
      });
    }
    case Fault::flap: {
      const NodeId a = any().id();
      const NodeId b = any().id();
      if (a != b) flap(a, b, scheduler_.now() + while_long());
      return;
    }
    case Fault::large: return lose_large();
    case Fault::repeat: return repeat();
    default: return storm();
  }
}

void Faults::strike_store(Fault fault) {
  switch (fault) {
    case Fault::store: return any().stores().fail(1 + random_.below(200));
    case Fault::store_full: {
      Stores& stores = any().stores();
      stores.fill_after(random_.below(50));
      return until(excused(), [&stores] { stores.give_space(); });
    }
    case Fault::store_rot:
      if (Node* node = any_that_may_lose_data()) {
        damaged_.insert(node->id());
        node->stores().rot(random_);
      }
      return;
    default:  // store_lost_write
      if (Node* node = any_that_may_lose_data()) node->stores().lose_write(random_);
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
  availability_.excuse(scheduler_.now() + 3 * slow);
  for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
    node->disk(shard).set_latency(slow_down(*node, slow / 2, slow));
  }
  const Duration lands_after = random_.between(1 * milliseconds, 2 * options_.lasts_longest);
  until(random_.between(slow / 2, 3 * slow), [this, node, lands_after] {
    for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
      node->disk(shard).set_latency(node->settings().disk_latency);
    }
    end_process(*node, Ending::process_with_late_writes);
    land_late_writes(*node, lands_after);
  });
}

// The crash comes anywhere between the operation's start and a while after its end, or within a blocking call.
void Faults::crash_at_io() {
  using enum DiskOperation;
  static constexpr std::array kinds{write,  write,  write,          write, open, rename,
                                    rename, remove, sync_directory, read,  sync};
  static constexpr std::array endings{Ending::process, Ending::process_with_late_writes,
                                      Ending::power, Ending::power};
  Node& node = any();
  Disk& disk = any_disk(node);
  const DiskOperation kind = kinds[random_.below(kinds.size())];
  const Ending ending = endings[random_.below(endings.size())];
  const Duration later = random_.between(0, 2 * disk.latency().most);
  // All but writes and reads are so rare that a later one would hardly come.
  const uint64_t most = kind == write || kind == read ? 20 : 2;
  disk.at_operation(kind, 1 + random_.below(most), [this, &node, ending, later](bool blocking) {
    crash_then(node, ending, blocking ? 0 : later);
  });
}

void Faults::crash_then(Node& node, Ending ending, Duration later) {
  const Duration lands_after = random_.between(1 * milliseconds, 2 * options_.lasts_longest);
  harness_.after(later, "crash at io", [this, &node, ending, lands_after, life = node.life()] {
    // A process that a blocking call killed is dead even if the faults are over by now.
    if (node.life() != life || node.state() == Node::State::down) return;
    end_process(node, ending);
    if (ending == Ending::process_with_late_writes) land_late_writes(node, lands_after);
  });
}

// It has the vote durably, or it would not be sent. Its peers may never hear of it.
void Faults::sent(const raft::Message& message) {
  const bool votes = message.kind == raft::MessageKind::vote_request ||
                     (message.kind == raft::MessageKind::vote_reply && message.ok);
  const auto found = ends_at_vote_.find(message.from);
  if (!votes || stopped_ || found == ends_at_vote_.end()) return;
  const Ending ending = found->second;
  ends_at_vote_.erase(found);
  ++effects_.crashes_at_votes;
  crash_then(*nodes_[message.from - 1], ending, random_.between(0, 2 * milliseconds));
}

// At one of the first operations of its start, of any kind; then again.
void Faults::crash_in_recovery(Node& node, uint32_t times) {
  using enum DiskOperation;
  static constexpr std::array kinds{read, write, write, sync, open, rename, remove, sync_directory};
  if (times == 0 || stopped_) return;
  const Ending ending = random_.chance(1, 2) ? Ending::power : Ending::process;
  any_disk(node).at_operation(
      kinds[random_.below(kinds.size())], 1 + random_.below(4),
      [this, &node, ending, times](bool blocking) {
        const Duration later = blocking ? 0 : random_.between(0, 1 * milliseconds);
        crash_then(node, ending, later);
        harness_.after(later, "crash again",
                       [this, &node, times] { crash_in_recovery(node, times - 1); });
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
    case BOP_E_IO:
      if (!node.serving() && unreadable_.contains(node.id())) return;
      [[fallthrough]];
    case BOP_E_LATCHED:
    case BOP_E_DISK_FULL:
    case BOP_E_DIRECTORY_IN_USE: return end_process(node, Ending::process);
    case BOP_E_MACHINE:
      if (node.stores().failed()) return end_process(node, Ending::process);
      [[fallthrough]];
    case BOP_E_DAMAGED:
      // The replica could not read an entry that it had to apply. The entry is there.
      if (misread_since_reopened(node)) return end_process(node, Ending::process);
      [[fallthrough]];
    default:
      if (options_.may_lose_data.contains(node.id())) return;
      checker_.report("doubt: node " + std::to_string(node.id()) +
                      ", whose disk loses nothing, says: " + error.to_string());
  }
}

bool Faults::misread_since_reopened(const Node& node) {
  uint64_t misreads = 0;
  for (uint32_t shard = 0; shard < node.shard_count(); ++shard)
    misreads += node.disk(shard).counters().misreads;
  return misreads > std::exchange(excused_misreads_[node.id()], misreads);
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
  ++(stands ? effects_.leaders_frozen : effects_.leaders_cut_off);
  if (stands) leader->set_clock_rate(-999'000, time);
  until(time, [this, leader, stands] {
    network_.heal_all();
    if (stands) leader->clock().set_drift(0);
  });
}

// As behind a link that drops packets above its MTU: heartbeats pass, entries do not.
void Faults::lose_large() {
  const NodeId from = any_or_leader().id();
  const uint64_t bytes = random_.between(200, 2000);
  for (const auto& to : nodes_) {
    if (to->id() != from) network_.drop_frames_above(from, to->id(), bytes);
  }
  until(while_long_or_longer(2), [this] { network_.heal_all(); });
}

void Faults::storm() {
  LinkQuality bad = options_.quality;
  bad.lost = static_cast<uint32_t>(random_.below(200'000));
  bad.repeated = static_cast<uint32_t>(random_.below(200'000));
  bad.overtaken = static_cast<uint32_t>(random_.below(500'000));
  bad.longest += random_.between(0, 100 * milliseconds);
  bad.overtaken_by = random_.between(1, 300 * milliseconds);
  network_.set_quality(bad);
  until(excused(), [this] { network_.set_quality(options_.quality); });
}

void Faults::repeat() {
  LinkQuality repeats = options_.quality;
  repeats.repeated = 500'000;
  repeats.overtaken_by = random_.between(10 * milliseconds, 300 * milliseconds);
  network_.set_quality(repeats);
  until(while_long(), [this] { network_.set_quality(options_.quality); });
}

// Each time the connections are dialled again, and up for a while at most.
void Faults::flap(NodeId a, NodeId b, Instant until_then) {
  network_.reset(a, b);
  const Duration next = random_.between(1 * milliseconds, 500 * milliseconds);
  if (scheduler_.now() + next > until_then) return;
  until(next, [this, a, b, until_then] { flap(a, b, until_then); });
}

// ---- disks ----

void Faults::strike_disk(Fault fault) {
  Node& node = any();
  Disk& disk = any_disk(node);
  Node* may_lose = any_that_may_lose_data();
  switch (fault) {
    case Fault::slow_disk: {
      const Duration most = random_.between(1 * milliseconds, 300 * milliseconds);
      disk.set_latency(slow_down(node, most / 10, most));
      return until(excused(), [&disk, &node] { disk.set_latency(node.settings().disk_latency); });
    }
    case Fault::stall: {
      const Duration time = while_long();
      node.disturb(time);
      disk.stall(true);
      return until(time, [&disk] { disk.stall(false); });
    }
    case Fault::full:
      disk.set_capacity(disk.used_bytes() + random_.below(64 * 1024));
      return until(excused(), [&disk] { disk.set_capacity(0); });
    case Fault::nearly_full: {
      const uint64_t segment = node.settings().shard.log.segment_bytes;
      disk.set_capacity(disk.used_bytes() + random_.below(4 * segment));
      return until(excused(), [&disk] { disk.set_capacity(0); });
    }
    case Fault::stalled_write: {
      const Duration time = random_.between(100 * milliseconds, options_.lasts_longest);
      return disk.delay_one(DiskOperation::write, time, [&node, time] { node.disturb(2 * time); });
    }
    case Fault::misread: return disk.misread(1 + random_.below(5));
    case Fault::read_error:
      return disk.fail(DiskOperation::read, BOP_E_IO, 1 + random_.below(5), 1 + random_.below(5),
                       Disk::Calls::asynchronous);
    case Fault::lost_write:
    case Fault::misdirected_write: {
      if (may_lose == nullptr) return;
      damaged_.insert(may_lose->id());
      may_lose->disturb(never);
      Disk& its = any_disk(*may_lose);
      const uint64_t nth = 1 + random_.below(20);
      return fault == Fault::lost_write ? its.lose_write(nth) : its.misdirect_write(nth);
    }
    case Fault::rot: return rot();
    case Fault::live_rot: return rot_live();
    case Fault::file_rot: return rot_small_file();
    default: return fail_operation(node, disk);
  }
}

void Faults::fail_operation(Node& node, Disk& disk) {
  static constexpr std::array kinds{DiskOperation::write, DiskOperation::write, DiskOperation::sync,
                                    DiskOperation::open, DiskOperation::read};
  // A block that cannot be read when the node starts leaves it suspect.
  const size_t choices =
      options_.may_lose_data.contains(node.id()) ? kinds.size() : kinds.size() - 1;
  disk.fail(kinds[random_.below(choices)], BOP_E_IO, 1 + random_.below(50), 1 + random_.below(3));
}

std::vector<std::string> Faults::files_of(Disk& disk, const std::string& directory,
                                          std::string_view end) {
  std::vector<std::string> files;
  const auto names = disk.list_now(directory);
  if (!names) return files;
  for (const std::string& name : *names) {
    const std::string path = directory == "." ? name : directory + "/" + name;
    if (disk.exists(path) && path.ends_with(end)) files.push_back(path);
  }
  return files;
}

bool Faults::damage(Disk& disk, const std::string& file, std::optional<uint64_t> offset) {
  const size_t size = disk.bytes(file).size();
  const bool lost = size > 0 && random_.chance(1, 4);
  if (lost)
    disk.lose_sector(file, offset ? *offset : random_.below(size));
  else if (offset)
    disk.flip_bit(file, *offset, static_cast<int>(random_.below(8)));
  else
    disk.flip_bit(file, random_);
  return !lost;
}

// Most of a log's files is old, or was never written.
void Faults::damage_any(Disk& disk, const std::string& directory, std::string_view end) {
  const auto place = disk.recently_written(random_);
  const bool is_there =
      place && place->name.starts_with(directory + "/") && place->name.ends_with(end);
  if (is_there && random_.chance(1, 2)) {
    damage(disk, place->name, place->offset);
  } else if (const auto files = files_of(disk, directory, end); !files.empty()) {
    damage(disk, files[random_.below(files.size())]);
  }
}

// Found when the node starts again.
void Faults::rot() {
  Node* node = any_that_may_lose_data();
  if (node == nullptr) return;
  const auto shard = static_cast<uint32_t>(random_.below(node->shard_count()));
  if (node->state() != Node::State::down) node->crash(Ending::power);
  damage_any(node->disk(shard), "shard" + std::to_string(shard), "");
}

// Found when the node reads that block for a peer, or starts again.
void Faults::rot_live() {
  Node* node = any_that_may_lose_data();
  if (node == nullptr || !node->serving()) return;
  const auto shard = static_cast<uint32_t>(random_.below(node->shard_count()));
  damaged_.insert(node->id());
  node->disturb(never);
  damage_any(node->disk(shard), "shard" + std::to_string(shard), ".seg");
}

void Faults::rot_small_file() {
  Node* node = any_that_may_lose_data();
  if (node == nullptr) return;
  if (node->state() != Node::State::down) node->crash(Ending::power);
  const auto files = files_of(node->disk(0), ".", "");
  if (files.empty()) return;
  if (!damage(node->disk(0), files[random_.below(files.size())])) unreadable_.insert(node->id());
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

#include "sim/node.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "group/replica.h"
#include "log/log.h"

namespace bop::sim {

namespace {

constexpr uint32_t threads_a_node = 100;

uint32_t thread_number(NodeId node, uint32_t shard, bool background) {
  return static_cast<uint32_t>(node) * threads_a_node + shard * 2 + (background ? 1 : 0);
}

std::map<std::string, GroupId> names_of(const std::vector<node::GroupSpec>& groups) {
  std::map<std::string, GroupId> names;
  for (const node::GroupSpec& group : groups) names[group.name] = group.id;
  return names;
}

}  // namespace

NodeId node_of_thread(uint32_t number) { return number / threads_a_node; }

Node::ShardContext::ShardContext(Node& node, uint32_t number)
    : loop(node.scheduler_, thread_number(node.id_, number, false), node.settings_.turn_time),
      background(node.scheduler_, thread_number(node.id_, number, true), {}),
      disk(node.scheduler_.random("disk", loop.number()).next(),
           [this](Duration delay, std::function<void()> task) {
             loop.after(delay, "disk", std::move(task));
           }),
      timers(loop, node.clock_),
      post(loop) {}

Node::Node(Scheduler& scheduler, Thread& harness, Network& network, StateChecker& checker,
           NodeId id, const NodeSettings& settings)
    : scheduler_(scheduler),
      harness_(harness),
      network_(network),
      checker_(checker),
      id_(id),
      settings_(settings),
      clock_(scheduler, static_cast<Instant>(id) * 1000 * seconds, settings.drift_ppm),
      shards_(make_shards()),
      stores_(settings.machine),
      machine_(stores_.table(), checker, id, names_of(settings.shard.groups)),
      transport_(network.add_node(id, shards_[0]->loop)) {
  format();
}

Node::~Node() {
  if (state_ != State::down) crash(Ending::process);
}

std::vector<std::unique_ptr<Node::ShardContext>> Node::make_shards() {
  std::vector<std::unique_ptr<ShardContext>> contexts;
  Disk::Faults faults;
  faults.sector_bytes = settings_.sector_bytes;
  faults.ignore_locks = settings_.ignore_file_locks;
  for (uint32_t shard = 0; shard < settings_.shards; ++shard) {
    contexts.push_back(std::make_unique<ShardContext>(*this, shard));
    contexts.back()->disk.set_faults(faults);
    contexts.back()->disk.set_latency(settings_.disk_latency);
    contexts.back()->loop.after_turns([this, shard] { watch(shard); });
  }
  return contexts;
}

void Node::format() {
  node::Identity identity;
  identity.cluster = settings_.shard.cluster;
  identity.node = id_;
  identity.incarnation = scheduler_.random("incarnation", id_).next();
  const Status formatted = node::format_directory(shards_[0]->disk, identity);
  BOP_ASSERT(formatted.has_value());
}

node::ShardOptions Node::options_for_start() const {
  node::ShardOptions options = settings_.shard;
  options.self = id_;
  options.incarnation = identity_.incarnation;
  options.fresh = !identity_.served;
  options.seed = scheduler_.random("election", id_).next();
  std::erase_if(options.peers, [this](const node::PeerSpec& peer) { return peer.id == id_; });
  return options;
}

// ---- its process ----

void Node::start() {
  BOP_ASSERT(state_ == State::down);
  state_ = State::opening;
  shards_[0]->loop.after(0, "start", [this] { open(); });
}

void Node::open() {
  auto identity = node::read_identity(shards_[0]->disk);
  if (!identity) return refuse(identity.error());
  identity_ = *identity;
  std::vector<node::ShardContext> contexts;
  for (const auto& shard : shards_) {
    const auto make_worker = [this, &shard = *shard] {
      const uint64_t number = shard.loop.number() * 1000 + shard.workers++ % 1000;
      return std::make_unique<Worker>(shard.loop, shard.background, number, settings_.job_time,
                                      shard.stall);
    };
    contexts.push_back({.clock = clock_,
                        .timers = shard->timers,
                        .post = shard->post,
                        .files = shard->disk,
                        .make_worker = make_worker});
  }
  node_ = std::make_unique<node::Node>(
      options_for_start(), std::move(contexts), transport_,
      [this](std::string_view kind) { return kind == "kv" ? machine_.table() : nullptr; });
  node_->open([this](const Status& status) { opened(status); });
}

void Node::opened(const Status& status) {
  if (!status) return refuse(status.error());
  if (!identity_.served) {
    if (const Status marked = node::mark_served(shards_[0]->disk, identity_); !marked) {
      return refuse(marked.error());
    }
  }
  take_part();
}

void Node::refuse(const Error& why) {
  scheduler_.trace().note(scheduler_.now(), shards_[0]->loop.number(), "refused");
  scheduler_.trace().remark(scheduler_.now(),
                            "node " + std::to_string(id_) + ": " + why.to_string());
  state_ = State::refused;
  refusal_ = why;
}

// What names an epoch (blocks of the log, seeds, numbers of requests) must never name it twice.
void Node::check_epochs() {
  epochs_.resize(shards_.size());
  for (uint32_t shard = 0; shard < shards_.size(); ++shard) {
    const uint64_t epoch = node_->shard(shard).epoch();
    if (epoch == 0) continue;  // its log did not open; the node serves without it
    // The write that raised it may be one that the disk lost.
    const Disk::Counters& disk = shards_[shard]->disk.counters();
    if (disk.lost_writes + disk.misdirected_writes > 0) continue;
    if (epoch <= epochs_[shard]) {
      checker_.report("epoch: node " + std::to_string(id_) + ", shard " + std::to_string(shard) +
                      ": the log's epoch is " + std::to_string(epoch) + " after " +
                      std::to_string(epochs_[shard]));
    }
    epochs_[shard] = epoch;
  }
}

// A replica that did not open for another reason than its log says nothing about its log.
void Node::check_recovered(const node::GroupSpec& group) {
  const log::Log* const log = node_->shard(group.shard).log();
  const auto why = node_->shard(group.shard).replica(group.id)->status().halted;
  if (log == nullptr || (why && why->code != BOP_E_DAMAGED)) return;
  for (const log::RecoveredGroup& found : log->recovery().groups) {
    if (found.group != group.id || found.health != log::Health::ok) continue;
    std::vector<Index> checkpoints;
    for (const log::Checkpoint& one : found.checkpoints) checkpoints.push_back(one.at.index);
    checker_.recovered(id_, group.id, found.before_first.index, checkpoints);
  }
}

void Node::take_part() {
  state_ = State::serving;
  if (disturbed_until_ == never) disturbed_until_ = 0;
  disturbed_until_ = std::max(disturbed_until_, scheduler_.now());
  check_epochs();
  for (const node::GroupSpec& group : settings_.shard.groups) {
    const group::Replica* replica = node_->shard(group.shard).replica(group.id);
    check_recovered(group);
    if (replica == nullptr || replica->core() == nullptr || halted(group.id)) continue;
    checker_.began(id_, group.id, *replica->core());
    watched_.push_back(group.id);
  }
  node_->start();
  network_.start_node(id_);
  connected_ = true;
}

void Node::crash(Ending ending) {
  BOP_ASSERT(state_ != State::down);
  if (!serving()) ++failed_starts_;
  scheduler_.trace().note(scheduler_.now(), shards_[0]->loop.number(),
                          ending == Ending::power ? "power loss" : "killed");
  scheduler_.trace().remark(
      scheduler_.now(),
      "node " + std::to_string(id_) + (ending == Ending::power ? " loses power" : " is killed"));
  end(ending);
}

void Node::stop(Duration grace) {
  BOP_ASSERT(serving());
  if (std::exchange(stopping_, true)) return;
  shards_[0]->loop.after(0, "stop", [this, grace] {
    node_->stop(grace, [this, life = life_] {
      harness_.after(0, "exit", [this, life] {
        if (life == life_) end(Ending::process);
      });
    });
  });
}

void Node::end(Ending ending) {
  for (const auto& shard : shards_) {
    switch (ending) {
      case Ending::power: shard->disk.power_loss(); break;
      case Ending::process: shard->disk.process_crash(); break;
      case Ending::process_with_late_writes: shard->disk.process_crash_with_late_writes(); break;
    }
  }
  if (connected_) network_.end_node(id_, ending != Ending::power);
  connected_ = false;
  for (const GroupId group : watched_) checker_.ended(id_, group);
  watched_.clear();
  node_.reset();
  for (const auto& shard : shards_) {
    shard->loop.clear();
    shard->background.clear();
  }
  stores_.end(ending == Ending::power);
  state_ = State::down;
  stopping_ = false;
  ++life_;
  stopped_until_ = std::min(stopped_until_, scheduler_.now());
  if (ended_) ended_();
}

void Node::pause(Duration time) {
  disturb(time);
  stopped_until_ = std::max(stopped_until_, scheduler_.now() + time);
  for (const auto& shard : shards_) {
    shard->loop.stop_until(stopped_until_);
    shard->background.stop_until(stopped_until_);
  }
}

void Node::set_clock_rate(int64_t drift_ppm, Duration time) {
  clock_.set_drift(drift_ppm);
  disturb(time);
  if (drift_ppm < -900'000) slow_until_ = std::max(slow_until_, scheduler_.now() + time);
}

void Node::disturb(Duration time) {
  const Instant until = time == never ? never : scheduler_.now() + time;
  disturbed_until_ = std::max(disturbed_until_, until);
}

std::optional<Instant> Node::undisturbed_since() const {
  if (!serving() || stopping_ || disturbed_until_ > scheduler_.now()) return {};
  return disturbed_until_;
}

Instant Node::job_stalled_until() const {
  Instant until = -1;
  for (const auto& shard : shards_) until = std::max(until, shard->stall.until);
  return until;
}

uint64_t Node::stalled_jobs() const {
  uint64_t jobs = 0;
  for (const auto& shard : shards_) jobs += shard->stall.happened;
  return jobs;
}

// ---- watching ----

void Node::watch(uint32_t shard) {
  if (!serving()) return;
  for (const node::GroupSpec& group : settings_.shard.groups) {
    if (group.shard != shard) continue;
    if (std::find(watched_.begin(), watched_.end(), group.id) == watched_.end()) continue;
    checker_.observe(id_, group.id, *node_->shard(shard).replica(group.id)->core());
  }
}

const group::Replica* Node::replica(GroupId group) const {
  if (node_ == nullptr || state_ != State::serving) return nullptr;
  for (const node::GroupSpec& spec : settings_.shard.groups) {
    if (spec.id == group) return node_->shard(spec.shard).replica(group);
  }
  return nullptr;
}

bool Node::ready() const {
  return std::ranges::all_of(settings_.shard.groups, [this](const node::GroupSpec& spec) {
    const group::Replica* found = replica(spec.id);
    return found != nullptr && found->ready();
  });
}

std::string Node::describe() const {
  std::string text = "node " + std::to_string(id_) + ": ";
  switch (state_) {
    case State::down: return text + "down";
    case State::opening: return text + "opening";
    case State::refused: return text + "refused, " + refusal_.to_string();
    case State::serving: break;
  }
  for (const node::GroupSpec& group : settings_.shard.groups) {
    const group::Replica::Status status = replica(group.id)->status();
    text += "group " + std::to_string(group.id) + " term " + std::to_string(status.term) +
            " leader " + std::to_string(status.leader) + " last " + std::to_string(status.last) +
            " durable " + std::to_string(status.durable) + " commit " +
            std::to_string(status.commit) + " applied " + std::to_string(status.applied);
    if (!status.hindrance_text.empty()) text += " hindered: " + status.hindrance_text;
    if (status.halted) text += " halted: " + status.halted->to_string();
    text += "; ";
  }
  return text;
}

std::optional<Error> Node::halted(GroupId group) const {
  const group::Replica* found = replica(group);
  return found == nullptr ? std::nullopt : found->status().halted;
}

}  // namespace bop::sim

#include "sim/simulation.h"

#include <algorithm>
#include <array>
#include <memory>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "group/replica.h"
#include "proto/peer.h"
#include "sim/contents.h"
#include "sim/pipelines.h"
#include "sim/setting.h"

namespace bop::sim {

namespace {

constexpr Duration inspect_every = 200 * milliseconds;
constexpr Duration calm_at_most = 120 * seconds;  // until all works again after the last fault
constexpr Duration drain_at_most = 60 * seconds;

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  ~Simulation();
  SimulationResult run();

 private:
  void explain();
  void check_promises();
  void make_nodes();
  void inspect();
  bool good() const { return !checker_.violation(); }
  // Runs until `done`, a violation or the limit; false: it was the limit.
  template <class Done>
  bool run_until(Duration at_most, Done done);
  // The same, but looks only every 10 ms, because `done` takes long.
  template <class Done>
  bool run_until_now_and_then(Duration at_most, Done done);
  void run_faults();
  void calm_down();
  void drain();
  void compare_contents();
  uint64_t applied() const;
  std::string lagging() const;
  std::string what_hinders() const;
  SimulationResult result() const;
  std::vector<std::pair<std::string, uint64_t>> effects() const;

  const SimulationOptions options_;
  Scheduler scheduler_;
  const Setting setting_;
  Thread harness_;
  Network network_;
  proto::PeerDecoder decoder_;
  StateChecker checker_;
  std::vector<GroupId> groups_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<Availability> availability_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<Pipelines> pipelines_;
  std::unique_ptr<Faults> faults_;
  std::optional<ContentsReader> reader_;
};

Simulation::Simulation(const SimulationOptions& options)
    : options_(options),
      scheduler_(options.seed),
      setting_(draw_setting(options.setting, scheduler_.random("setting"))),
      harness_(scheduler_, 0, {}),
      network_(scheduler_, harness_, setting_.network),
      checker_(scheduler_) {
  if (options.trace != nullptr) scheduler_.trace().write_to(options.trace);
  if (options.explainer != nullptr) explain();
  check_promises();
  scheduler_.trace().remark(0, describe(setting_));
  for (const node::GroupSpec& group : setting_.node.shard.groups) groups_.push_back(group.id);
  make_nodes();
  availability_ =
      std::make_unique<Availability>(scheduler_, network_, checker_, nodes_, setting_.availability);
  workload_ = std::make_unique<Workload>(scheduler_, harness_, checker_, *availability_, nodes_,
                                         groups_, setting_.workload);
  workload_->write_history_to(options.history);
  pipelines_ = std::make_unique<Pipelines>(scheduler_, harness_, checker_, nodes_, groups_,
                                           setting_.pipelines);
  faults_ = std::make_unique<Faults>(scheduler_, harness_, network_, checker_, *availability_,
                                     nodes_, setting_.faults);
  if (options_.progress != nullptr)
    *options_.progress = [this] { return Progress{scheduler_.now(), faults_->drawn()}; };
}

Simulation::~Simulation() {
  if (options_.progress != nullptr) *options_.progress = nullptr;
  for (const auto& node : nodes_) node->on_end(nullptr);
  if (options_.explainer != nullptr) options_.explainer->follow(nullptr);
}

void Simulation::explain() {
  options_.explainer->follow(&scheduler_);
  scheduler_.trace().watch_remarks(
      [this](std::string_view text) { options_.explainer->remark(text); });
  if (!options_.explainer->explains_frames()) return;
  network_.watch_frames(
      [this](NodeId from, NodeId to, port::Channel channel, Bytes frame, std::string_view fate) {
        options_.explainer->frame(from, to, channel, frame, fate);
      });
}

// What replicas promise each other.
void Simulation::check_promises() {
  network_.watch_control([this](const mem::Buffer& frame) {
    const auto decoded = decoder_.decode(frame);
    BOP_ASSERT(decoded.has_value());
    for (const proto::PeerItem& item : decoded->items) {
      const auto* raft = std::get_if<proto::RaftItem>(&item);
      if (raft == nullptr) continue;
      checker_.sent(raft->group, raft->message);
      if (faults_) faults_->sent(raft->message);
    }
    decoder_.clear();
  });
}

void Simulation::make_nodes() {
  Random random = scheduler_.random("nodes");
  for (NodeId id = 1; id <= setting_.nodes; ++id) {
    NodeSettings settings = setting_.node;
    settings.drift_ppm = random.between(-200, 200);
    settings.sector_bytes = 512;
    settings.ignore_file_locks = options_.ignore_file_locks;
    nodes_.push_back(
        std::make_unique<Node>(scheduler_, harness_, network_, checker_, id, settings));
    nodes_.back()->on_end([this, id] {
      workload_->node_ended(id);
      pipelines_->node_ended(id);
      if (reader_) reader_->node_ended(id);
    });
  }
}

SimulationResult Simulation::run() {
  workload_->start();
  pipelines_->start();
  faults_->start();
  harness_.after(inspect_every, "inspect", [this] { inspect(); });
  run_faults();
  if (good()) calm_down();
  if (good()) drain();
  if (good()) compare_contents();
  if (good()) workload_->check_all();
  if (good()) availability_->check_all();
  return result();
}

template <class Done>
bool Simulation::run_until(Duration at_most, Done done) {
  const Instant limit = scheduler_.now() + at_most;
  while (good() && !done()) {
    if (!scheduler_.run_turn(limit)) return false;
  }
  return true;
}

template <class Done>
bool Simulation::run_until_now_and_then(Duration at_most, Done done) {
  const Instant limit = scheduler_.now() + at_most;
  while (good() && !done()) {
    if (scheduler_.now() >= limit) return false;
    scheduler_.run_until(std::min(limit, scheduler_.now() + 10 * milliseconds));
  }
  return true;
}

void Simulation::run_faults() {
  run_until(options_.time, [] { return false; });
}

// Asks every replica for the hash of its state, and whether it keeps within what it may.
void Simulation::inspect() {
  for (const auto& node : nodes_) {
    for (const GroupId group : groups_) {
      const group::Replica* replica = node->replica(group);
      if (replica == nullptr || replica->core() == nullptr) continue;
      replica->core()->check();
      const group::Replica::Status status = replica->status();
      if (!status.halted && status.applied > status.commit) {
        checker_.report("node " + std::to_string(node->id()) + " applied " +
                        std::to_string(status.applied) + ", committed " +
                        std::to_string(status.commit));
      }
      if (!status.halted)
        checker_.compacted(node->id(), group, status.first, status.checkpoint,
                           status.machine_durable);
    }
  }
  harness_.after(inspect_every, "inspect", [this] { inspect(); });
}

std::string Simulation::what_hinders() const {
  std::string text;
  for (const auto& node : nodes_) text += "\n  " + node->describe();
  return text;
}

// The last fault is over: soon every node that is not lost serves, and every group takes writes. A node may
// stay behind under load, when small limits let a leader send less than it commits with others.
void Simulation::calm_down() {
  faults_->stop();
  workload_->calm_down();
  const Instant began = scheduler_.now();
  const auto missing = [&]() -> std::string {
    for (const auto& node : nodes_) {
      if (!faults_->lost(*node) && !node->serving())
        return "node " + std::to_string(node->id()) + " does not serve";
    }
    for (const GroupId group : groups_) {
      if (workload_->last_write(group) <= began)
        return "group " + std::to_string(group) + " takes no write";
    }
    return {};
  };
  if (run_until_now_and_then(calm_at_most, [&] { return missing().empty(); })) return;
  checker_.report("liveness: the last fault is over, and " + missing() + what_hinders());
}

// Rises while any replica catches up.
uint64_t Simulation::applied() const {
  uint64_t sum = 0;
  for (const auto& node : nodes_) {
    for (const GroupId group : groups_) {
      const group::Replica* replica = node->replica(group);
      if (replica != nullptr) sum += replica->status().applied;
    }
  }
  return sum;
}

std::string Simulation::lagging() const {
  for (const auto& node : nodes_) {
    if (faults_->lost(*node)) continue;
    if (!node->serving() || !node->ready())
      return "node " + std::to_string(node->id()) + " does not become ready";
    for (const GroupId group : groups_) {
      const group::Replica* replica = node->replica(group);
      const Index wanted = checker_.committed(group);
      if (replica == nullptr || replica->status().applied < wanted) {
        return "node " + std::to_string(node->id()) + " does not reach entry " +
               std::to_string(wanted) + " of group " + std::to_string(group);
      }
    }
  }
  return "";
}

// Nobody asks for anything more: every request is answered, and every replica has everything.
void Simulation::drain() {
  workload_->stop();
  pipelines_->stop();
  if (!run_until(drain_at_most, [&] { return workload_->idle() && pipelines_->idle(); })) {
    return checker_.report("liveness: requests stay without an answer");
  }
  network_.set_quality({});
  for (uint64_t before = applied();; before = applied()) {
    if (run_until_now_and_then(drain_at_most, [&] { return lagging().empty(); })) return;
    if (applied() == before) return checker_.report("liveness: " + lagging() + what_hinders());
  }
}

void Simulation::compare_contents() {
  for (const GroupId group : groups_) {
    for (const auto& node : nodes_) {
      if (faults_->lost(*node)) continue;
      ContentsReader& reader = reader_.emplace(harness_, *node, group);
      reader.start();
      const std::string who =
          "node " + std::to_string(node->id()) + ", group " + std::to_string(group);
      if (!run_until(drain_at_most, [&] { return reader.complete(); })) {
        return checker_.report("liveness: " + who + " does not tell its contents" + what_hinders());
      }
      const std::string wrong = reader.difference(checker_.contents(group));
      if (!wrong.empty()) return checker_.report("model: " + who + ": " + wrong);
    }
  }
}

// Sums over all disks and stores.
std::vector<std::pair<std::string, uint64_t>> Simulation::effects() const {
  std::vector<std::pair<std::string, uint64_t>> effects;
  const auto add = [&](const std::string& name, uint64_t count) {
    const auto found = std::ranges::find(effects, name, &std::pair<std::string, uint64_t>::first);
    if (found != effects.end())
      found->second += count;
    else
      effects.emplace_back(name, count);
  };
  for (const auto& node : nodes_) {
    for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
      const Disk::Counters& disk = node->disk(shard).counters();
      add("torn writes", disk.torn_writes);
      add("lost writes", disk.lost_writes);
      add("misdirected writes", disk.misdirected_writes);
      add("of these landed after all", disk.landed_after_all);
      add("misreads", disk.misreads);
      add("failed reads", disk.failed_reads);
      add("failed writes", disk.failed_writes);
      add("other failures", disk.failed_others);
      add("unreadable sectors read", disk.unreadable);
      add("bits flipped", disk.flipped_bits);
      add("writes refused for space", disk.refused_full);
      add("stalled writes", disk.delayed);
      for (size_t kind = 0; kind < disk_operation_count; ++kind) {
        const std::string name = name_of(static_cast<DiskOperation>(kind));
        add("crashes at " + name, disk.crashes_at[kind] - disk.crashes_within[kind]);
        add("crashes within a blocking " + name, disk.crashes_within[kind]);
      }
    }
    const Stores::Counters stores = node->stores().counters();
    add("store steps failed", stores.failed_steps);
    add("store flushes refused for space", stores.refused_full);
    add("store bits flipped", stores.flipped_bits);
    add("store writes lost", stores.lost_writes);
    add("store damage detected", stores.detected);
    add("stalled jobs", node->stalled_jobs());
    add("failed starts", node->failed_starts());
  }
  const Network::Counters& network = network_.counters();
  add("connections reset", network.reset);
  add("frames repeated", network.repeated);
  add("crashes at votes", faults_->effects().crashes_at_votes);
  add("leaders cut off", faults_->effects().leaders_cut_off);
  add("leaders cut off with a frozen clock", faults_->effects().leaders_frozen);
  return effects;
}

SimulationResult Simulation::result() const {
  SimulationResult result;
  result.failure = checker_.violation();
  result.failed_at = checker_.violated_at();
  result.trace_hash = scheduler_.trace().hash();
  result.events = scheduler_.trace().events();
  result.simulated = scheduler_.now();
  result.checker = checker_.counters();
  result.clients = workload_->counters();
  result.network = network_.counters();
  result.faults = faults_->counters();
  result.faults_drawn = faults_->drawn();
  result.effects = effects();
  result.availability = availability_->counters();
  for (const auto& node : nodes_) {
    for (uint32_t shard = 0; shard < node->shard_count(); ++shard) {
      result.late_writes_waited_for += node->disk(shard).waited_for();
    }
  }
  result.setting = describe(setting_);
  return result;
}

}  // namespace

SimulationResult simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace bop::sim

#include "sim/simulation.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "group/replica.h"
#include "sim/contents.h"

namespace bop::sim {

namespace {

constexpr Duration inspect_every = 200 * milliseconds;
constexpr Duration calm_at_most = 120 * seconds;  // until all works again after the last fault
constexpr Duration settle_at_most = 60 * seconds;

template <class T, size_t N>
T pick(Random& random, const std::array<T, N>& choices) {
  return choices[random.below(N)];
}

// What a run is like besides its faults; every choice is drawn whether or not it is used.
struct Setting {
  uint32_t contexts;
  uint32_t groups;
  NodeSettings node;
  NetworkOptions network;
  WorkloadOptions workload;
  FaultOptions faults;
};

std::vector<node::GroupSpec> make_groups(uint32_t groups, uint32_t contexts,
                                         uint64_t memory_bytes) {
  std::vector<node::GroupSpec> specs;
  for (uint32_t i = 0; i < groups; ++i) {
    node::GroupSpec spec;
    spec.name = "kv" + std::to_string(i + 1);
    spec.id = i + 1;
    spec.shard = i % contexts;
    spec.machine_options.memory_bytes = memory_bytes;
    specs.push_back(spec);
  }
  return specs;
}

NodeSettings draw_node(Random& random, const SimulationOptions& options, uint32_t contexts,
                       uint32_t groups) {
  NodeSettings settings;
  settings.contexts = contexts;
  settings.turn_time.longest = pick(
      random, std::array<Duration, 3>{5 * microseconds, 30 * microseconds, 300 * microseconds});
  settings.job_time.longest = pick(
      random, std::array<Duration, 3>{200 * microseconds, 5 * milliseconds, 100 * milliseconds});
  node::ShardOptions& shard = settings.shard;
  shard.cluster = {0x62, 0x6f, 0x70};
  shard.version = "simulated";
  shard.shards = contexts;
  for (NodeId id = 1; id <= options.nodes; ++id) shard.peers.push_back({id, "simulated"});
  const auto memory = pick(random, std::array<uint64_t, 3>{64 << 10, 256 << 10, 4 << 20});
  shard.groups = make_groups(groups, contexts, memory);
  shard.raft.election_timeout =
      pick(random, std::array<Duration, 3>{200 * milliseconds, 500 * milliseconds, 1 * seconds});
  shard.raft.heartbeat_interval = shard.raft.election_timeout / 10;
  shard.log.segment_bytes = pick(random, std::array<uint64_t, 3>{256 << 10, 512 << 10, 2 << 20});
  shard.log.max_bytes = shard.log.segment_bytes * 32;
  return settings;
}

NetworkOptions draw_network(Random& random) {
  NetworkOptions network;
  network.quality.longest = pick(
      random, std::array<Duration, 3>{100 * microseconds, 1 * milliseconds, 20 * milliseconds});
  network.quality.overtaken = pick(random, std::array<uint32_t, 3>{0, 0, 10'000});
  network.quality.repeated = pick(random, std::array<uint32_t, 3>{0, 0, 10'000});
  network.quality.lost = pick(random, std::array<uint32_t, 3>{0, 0, 1'000});
  return network;
}

WorkloadOptions draw_workload(Random& random) {
  WorkloadOptions workload;
  workload.clients = static_cast<uint32_t>(random.between(3, 12));
  workload.keys = static_cast<uint32_t>(random.between(1, 8));
  workload.operations_a_key = static_cast<uint32_t>(random.between(40, 200));
  workload.think_longest = pick(
      random, std::array<Duration, 3>{20 * milliseconds, 60 * milliseconds, 200 * milliseconds});
  workload.reads_percent = pick(random, std::array<uint32_t, 3>{10, 40, 70});
  workload.value_bytes = pick(random, std::array<uint32_t, 3>{8, 64, 600});
  return workload;
}

FaultOptions draw_faults(Random& random, const SimulationOptions& options,
                         const LinkQuality& quality) {
  FaultOptions faults;
  faults.quality = quality;
  for (const Fault fault : options.faults) {
    if (random.chance(1, 2) || !options.pick_faults) faults.kinds.insert(fault);
  }
  if (faults.kinds.empty()) faults.kinds = options.faults;
  faults.between_longest =
      pick(random, std::array<Duration, 3>{1 * seconds, 4 * seconds, 15 * seconds});
  faults.lasts_longest =
      pick(random, std::array<Duration, 3>{500 * milliseconds, 3 * seconds, 8 * seconds});
  // Fewer than half may be struck by what leaves a replica suspect.
  const size_t may_lose_data = random.below((options.nodes - 1) / 2 + 1);
  while (faults.may_lose_data.size() < may_lose_data)
    faults.may_lose_data.insert(1 + random.below(options.nodes));
  return faults;
}

Setting draw(const SimulationOptions& options, Random random) {
  Setting setting;
  setting.contexts = random.chance(1, 4) ? 2 : 1;
  setting.groups = random.chance(1, 3) ? 2 : 1;
  setting.node = draw_node(random, options, setting.contexts, setting.groups);
  setting.network = draw_network(random);
  setting.workload = draw_workload(random);
  setting.faults = draw_faults(random, options, setting.network.quality);
  // A replica that stays out for good keeps the others' logs from being released (there are no
  // snapshots): theirs must have room for all of the run.
  if (!setting.faults.may_lose_data.empty()) setting.node.shard.log.max_bytes = 1ull << 40;
  return setting;
}

std::string describe(const Setting& setting) {
  std::string text = std::to_string(setting.groups) + " groups on " +
                     std::to_string(setting.contexts) + " shards, " +
                     std::to_string(setting.workload.clients) + " clients, " +
                     std::to_string(setting.workload.keys) + " keys, may lose data:";
  for (const NodeId node : setting.faults.may_lose_data) text += " " + std::to_string(node);
  if (setting.faults.may_lose_data.empty()) text += " none";
  text += ", faults:";
  for (const Fault fault : setting.faults.kinds) text += std::string(" ") + name_of(fault);
  return text;
}

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  ~Simulation();
  SimulationResult run();

 private:
  void explain();
  void make_nodes();
  void inspect();
  bool good() const { return !checker_.violation(); }
  // Runs until `done`, a violation or the limit; false: it was the limit.
  template <class Done>
  bool run_until(Duration at_most, Done done);
  void run_faults();
  void calm_down();
  void drain();
  void compare_contents();
  std::string lagging() const;
  std::string what_hinders() const;
  SimulationResult result() const;

  const SimulationOptions options_;
  Scheduler scheduler_;
  const Setting setting_;
  Thread harness_;
  Network network_;
  StateChecker checker_;
  std::vector<GroupId> groups_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<Faults> faults_;
  std::optional<ContentsReader> reader_;
};

Simulation::Simulation(const SimulationOptions& options)
    : options_(options),
      scheduler_(options.seed),
      setting_(draw(options, scheduler_.random("setting"))),
      harness_(scheduler_, 0, {}),
      network_(scheduler_, harness_, setting_.network),
      checker_(scheduler_) {
  if (options.trace != nullptr) scheduler_.trace().write_to(options.trace);
  if (options.explainer != nullptr) explain();
  scheduler_.trace().remark(0, describe(setting_));
  for (const node::GroupSpec& group : setting_.node.shard.groups) groups_.push_back(group.id);
  make_nodes();
  workload_ = std::make_unique<Workload>(scheduler_, harness_, checker_, nodes_, groups_,
                                         setting_.workload);
  workload_->write_history_to(options.history);
  faults_ =
      std::make_unique<Faults>(scheduler_, harness_, network_, checker_, nodes_, setting_.faults);
}

Simulation::~Simulation() {
  for (const auto& node : nodes_) node->on_end(nullptr);
  if (options_.explainer != nullptr) options_.explainer->follow(nullptr);
}

void Simulation::explain() {
  options_.explainer->follow(&scheduler_);
  if (!options_.explainer->explains_frames()) return;
  network_.watch_frames(
      [this](NodeId from, NodeId to, port::Channel channel, Bytes frame, std::string_view fate) {
        options_.explainer->frame(from, to, channel, frame, fate);
      });
}

void Simulation::make_nodes() {
  Random random = scheduler_.random("nodes");
  for (NodeId id = 1; id <= options_.nodes; ++id) {
    NodeSettings settings = setting_.node;
    settings.drift_ppm = random.between(-200, 200);
    settings.sector_bytes = setting_.faults.may_lose_data.contains(id) ? 512 : 4096;
    settings.ignore_file_locks = options_.ignore_file_locks;
    nodes_.push_back(
        std::make_unique<Node>(scheduler_, harness_, network_, checker_, id, settings));
    nodes_.back()->on_end([this, id] {
      workload_->node_ended(id);
      if (reader_) reader_->node_ended(id);
    });
  }
}

SimulationResult Simulation::run() {
  workload_->start();
  faults_->start();
  harness_.after(inspect_every, "inspect", [this] { inspect(); });
  run_faults();
  if (good()) calm_down();
  if (good()) drain();
  if (good()) compare_contents();
  if (good()) workload_->check_all();
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
    }
  }
  harness_.after(inspect_every, "inspect", [this] { inspect(); });
}

std::string Simulation::what_hinders() const {
  std::string text;
  for (const auto& node : nodes_) {
    text += "\n  node " + std::to_string(node->id()) + ": ";
    switch (node->state()) {
      case Node::State::down: text += "down"; continue;
      case Node::State::opening: text += "opening"; continue;
      case Node::State::refused: text += "refused, " + node->refusal().to_string(); continue;
      case Node::State::serving: break;
    }
    for (const GroupId group : groups_) {
      const group::Replica::Status status = node->replica(group)->status();
      text += "group " + std::to_string(group) + " term " + std::to_string(status.term) +
              " leader " + std::to_string(status.leader) + " last " + std::to_string(status.last) +
              " durable " + std::to_string(status.durable) + " commit " +
              std::to_string(status.commit) + " applied " + std::to_string(status.applied);
      if (status.halted) text += " halted: " + status.halted->to_string();
      text += "; ";
    }
  }
  return text;
}

// The last fault is over: soon every node that is not lost is ready and every group takes writes.
void Simulation::calm_down() {
  faults_->stop();
  const Instant began = scheduler_.now();
  const auto works = [&] {
    const bool ready = std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
      return faults_->lost(*node) || (node->serving() && node->service(0).ready());
    });
    return ready && std::all_of(groups_.begin(), groups_.end(), [&](const GroupId group) {
             return workload_->last_write(group) > began;
           });
  };
  if (run_until(calm_at_most, works)) return;
  checker_.report("liveness: the last fault is over, and the cluster does not serve again" +
                  what_hinders());
}

std::string Simulation::lagging() const {
  for (const auto& node : nodes_) {
    if (faults_->lost(*node)) continue;
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
  if (!run_until(settle_at_most, [&] { return workload_->idle(); })) {
    return checker_.report("liveness: requests stay without an answer");
  }
  if (!run_until(settle_at_most, [&] { return lagging().empty(); })) {
    checker_.report("liveness: " + lagging() + what_hinders());
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
      if (!run_until(settle_at_most, [&] { return reader.complete(); })) {
        return checker_.report("liveness: " + who + " does not tell its contents" + what_hinders());
      }
      const std::string wrong = reader.difference(checker_.contents(group));
      if (!wrong.empty()) return checker_.report("model: " + who + ": " + wrong);
    }
  }
}

SimulationResult Simulation::result() const {
  SimulationResult result;
  result.failure = checker_.violation();
  result.trace_hash = scheduler_.trace().hash();
  result.events = scheduler_.trace().events();
  result.simulated = scheduler_.now();
  result.checker = checker_.counters();
  result.clients = workload_->counters();
  result.network = network_.counters();
  result.faults = faults_->counters();
  for (const auto& node : nodes_) {
    for (uint32_t seat = 0; seat < node->seat_count(); ++seat) {
      result.late_writes_waited_for += node->disk(seat).waited_for();
    }
  }
  result.setting = describe(setting_);
  return result;
}

}  // namespace

SimulationResult simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace bop::sim

#include "sim/setting.h"

#include <algorithm>
#include <array>

namespace bop::sim {

namespace {

constexpr uint64_t kibi = 1 << 10;
constexpr uint64_t mebi = 1 << 20;

template <class T, size_t N>
T pick(Random& random, const std::array<T, N>& choices) {
  return choices[random.below(N)];
}

// Changes an option in one run of four; true: in this one. The options are drawn apart, so that what depends
// on two small limits together is met as well as what depends on one.
template <class T, size_t N>
bool sometimes(Random& random, T& option, const std::array<T, N>& choices) {
  const T chosen = pick(random, choices);
  if (!random.chance(1, 4)) return false;
  option = chosen;
  return true;
}

std::vector<node::GroupSpec> draw_groups(Random& random, uint32_t groups, uint32_t shards) {
  const auto memory = pick(random, std::array<uint64_t, 3>{64 * kibi, 256 * kibi, 4 * mebi});
  const bool spread = random.chance(1, 2);
  std::vector<node::GroupSpec> specs;
  for (uint32_t i = 0; i < groups; ++i) {
    const auto drawn = static_cast<uint32_t>(random.below(shards));
    node::GroupSpec spec;
    spec.name = "kv" + std::to_string(i + 1);
    spec.id = i + 1;
    spec.shard = spread ? i % shards : drawn;
    spec.machine_options.memory_bytes = memory;
    specs.push_back(spec);
  }
  return specs;
}

void draw_log(Random& random, log::Options& log) {
  log.segment_bytes = pick(random, std::array<uint64_t, 3>{256 * kibi, 512 * kibi, 2 * mebi});
  log.max_bytes = log.segment_bytes * pick(random, std::array<uint64_t, 4>{4, 8, 32, 32});
  sometimes(random, log.max_frame_bytes, std::array<uint64_t, 2>{16 * kibi, 64 * kibi});
  sometimes(random, log.seal_after, std::array<Duration, 2>{1 * milliseconds, 50 * milliseconds});
  sometimes(random, log.max_gathered_bytes, std::array<uint64_t, 1>{2 * mebi});
  // Rewriting cold groups from the second or third segment on.
  log.rewrite_above_bytes = pick(random, std::array<uint64_t, 3>{0, 1, 2}) * log.segment_bytes;
}

// No limit is so small that one append, or one of the commands that clients still send, exceeds it.
void draw_limits(Random& random, raft::Config& raft, group::Limits& limits) {
  using Sizes = std::array<size_t, 2>;
  sometimes(random, raft.max_append_bytes, Sizes{1 * kibi, 32 * kibi});
  if (sometimes(random, raft.max_append_entries, Sizes{1, 8})) {
    // Or a leader would read a megabyte for each append to a peer that is behind.
    raft.max_append_bytes = 1 * kibi;
  }
  sometimes(random, raft.max_inflight_bytes, Sizes{1 * mebi, 2 * mebi});
  sometimes(random, raft.max_inflight_appends, Sizes{1, 4});
  sometimes(random, raft.max_uncommitted_bytes, Sizes{8 * kibi, 256 * kibi});
  sometimes(random, raft.max_pending_reads, Sizes{2, 16});
  sometimes(random, raft.cache_bytes, Sizes{1, 16 * kibi});
  sometimes(random, limits.max_open_proposals, Sizes{4, 16});
  sometimes(random, limits.max_waiting, Sizes{4, 16});
  sometimes(random, limits.max_request_bytes, Sizes{16 * kibi, 256 * kibi});
  sometimes(random, limits.checkpoint_bytes, Sizes{1, 16 * kibi});
}

NodeSettings draw_node(Random& random, uint32_t nodes, uint32_t groups, uint32_t shards) {
  NodeSettings settings;
  settings.shards = shards;
  settings.turn_time.longest = pick(
      random, std::array<Duration, 3>{5 * microseconds, 30 * microseconds, 300 * microseconds});
  settings.job_time.longest = pick(
      random, std::array<Duration, 3>{200 * microseconds, 5 * milliseconds, 100 * milliseconds});
  settings.machine.hash_interval = pick(random, std::array<uint64_t, 3>{16, 128, 1024});
  settings.machine.freeze_log_bytes =
      pick(random, std::array<uint64_t, 3>{8 * kibi, 128 * kibi, 256 * mebi});
  node::ShardOptions& shard = settings.shard;
  shard.cluster = {0x62, 0x6f, 0x70};
  shard.version = "simulated";
  shard.shards = shards;
  for (NodeId id = 1; id <= nodes; ++id) shard.peers.push_back({id, "simulated"});
  shard.groups = draw_groups(random, groups, shards);
  shard.raft.election_timeout =
      pick(random, std::array<Duration, 3>{200 * milliseconds, 500 * milliseconds, 1 * seconds});
  shard.raft.heartbeat_interval =
      shard.raft.election_timeout / pick(random, std::array<Duration, 4>{4, 10, 10, 20});
  sometimes(random, shard.peer_queue_bytes, std::array<uint64_t, 2>{64 * kibi, 1 * mebi});
  draw_log(random, shard.log);
  draw_limits(random, shard.raft, shard.limits);
  return settings;
}

NetworkOptions draw_network(Random& random) {
  NetworkOptions network;
  network.quality.longest = pick(
      random, std::array<Duration, 3>{100 * microseconds, 1 * milliseconds, 20 * milliseconds});
  network.quality.overtaken = pick(random, std::array<uint32_t, 3>{0, 0, 10'000});
  network.quality.repeated = pick(random, std::array<uint32_t, 3>{0, 10'000, 100'000});
  network.quality.overtaken_by = pick(
      random, std::array<Duration, 3>{1 * milliseconds, 20 * milliseconds, 300 * milliseconds});
  network.quality.lost = pick(random, std::array<uint32_t, 3>{0, 0, 1'000});
  return network;
}

// Of equal groups most runs; else the first is busy and the others are cold.
std::vector<uint32_t> draw_shares(Random& random, uint32_t groups) {
  std::vector<uint32_t> shares(groups, 1);
  if (!random.chance(1, 2)) return shares;
  for (uint32_t& share : shares) share = pick(random, std::array<uint32_t, 4>{0, 1, 1, 20});
  shares[random.below(groups)] = 1000;
  return shares;
}

WorkloadOptions draw_workload(Random& random, uint32_t groups) {
  WorkloadOptions workload;
  workload.clients = static_cast<uint32_t>(random.between(1, 12));
  workload.keys = static_cast<uint32_t>(random.between(1, 8));
  workload.operations_a_key = static_cast<uint32_t>(random.between(40, 200));
  workload.think_longest = pick(
      random, std::array<Duration, 6>{2 * milliseconds, 20 * milliseconds, 60 * milliseconds,
                                      60 * milliseconds, 200 * milliseconds, 200 * milliseconds});
  workload.reads_percent = pick(random, std::array<uint32_t, 5>{0, 10, 40, 70, 98});
  workload.ranges_percent = pick(random, std::array<uint32_t, 3>{0, 5, 30});
  workload.several_percent = pick(random, std::array<uint32_t, 3>{0, 10, 50});
  workload.value_bytes = pick(random, std::array<uint32_t, 4>{8, 64, 600, 3000});
  workload.largest_value_bytes =
      pick(random, std::array<uint32_t, 5>{600, 4 * kibi, 16 * kibi, 64 * kibi, BOP_KV_VALUE_MAX});
  // A cluster that little disturbs would be busy for an hour.
  if (workload.think_longest < 20 * milliseconds) {
    workload.clients = std::min(workload.clients, 4u);
    workload.largest_value_bytes = std::min<uint32_t>(workload.largest_value_bytes, 4 * kibi);
  }
  workload.group_shares = draw_shares(random, groups);
  return workload;
}

FaultOptions draw_faults(Random& random, const SettingOptions& options, uint32_t nodes,
                         const LinkQuality& quality) {
  FaultOptions faults;
  faults.quality = quality;
  // Swarm: each kind is there or not, and how often it strikes differs from seed to seed. Which of them a seed
  // picks does not depend on what else may be picked.
  const auto enabled = pick(random, std::array<uint32_t, 4>{1, 2, 4, 7});  // of 8
  for (const Fault fault : all_faults()) {
    const bool drawn = random.chance(enabled, 8);
    const auto weight = pick(random, std::array<uint32_t, 4>{1, 3, 3, 10});
    if (!options.faults.contains(fault) || (!drawn && options.pick_faults)) continue;
    faults.kinds.insert(fault);
    if (options.pick_faults) faults.weights[fault] = weight;
  }
  if (faults.kinds.empty()) faults.kinds = options.faults;
  faults.between_longest = pick(
      random, std::array<Duration, 8>{200 * milliseconds, 1 * seconds, 2 * seconds, 4 * seconds,
                                      4 * seconds, 8 * seconds, 15 * seconds, 30 * seconds});
  faults.lasts_longest =
      pick(random, std::array<Duration, 3>{500 * milliseconds, 3 * seconds, 8 * seconds});
  // Fewer than half may be struck by what leaves a replica suspect.
  const size_t may_lose_data = random.below((nodes - 1) / 2 + 1);
  while (faults.may_lose_data.size() < may_lose_data)
    faults.may_lose_data.insert(1 + random.below(nodes));
  return faults;
}

// Of a fast disk most often. A slow one gathers several appends in one write. Operations on names take as long as writes, or
// they are much faster (a journal in memory) or slower.
Disk::Latency draw_disk_latency(Random& random) {
  Disk::Latency latency;
  latency.most = pick(random, std::array<Duration, 4>{200 * microseconds, 200 * microseconds,
                                                      5 * milliseconds, 20 * milliseconds});
  latency.names_percent = pick(random, std::array<uint32_t, 4>{100, 100, 5, 500});
  return latency;
}

// How long it may take until requests are answered again, at most.
AvailabilityOptions availability_of(const Setting& setting) {
  AvailabilityOptions availability;
  const Duration timeout = setting.node.shard.raft.election_timeout;
  availability.steady_for = 1 * seconds + 3 * timeout;
  availability.bound = 2 * seconds + 4 * timeout;
  availability.least_percent = 80;
  return availability;
}

}  // namespace

namespace {

void limit(uint32_t& drawn, uint32_t most) {
  if (most != 0) drawn = std::min(drawn, most);
}

}  // namespace

Setting draw_setting(const SettingOptions& options, Random random) {
  Setting setting;
  const auto nodes = pick(random, std::array<uint32_t, 8>{3, 3, 3, 5, 5, 4, 2, 1});
  setting.nodes = options.nodes != 0 ? options.nodes : nodes;
  setting.shards = pick(random, std::array<uint32_t, 6>{1, 1, 1, 2, 2, 3});
  setting.groups = pick(random, std::array<uint32_t, 6>{1, 1, 1, 2, 4, 8});
  limit(setting.shards, options.shards);
  limit(setting.groups, options.groups);
  setting.node = draw_node(random, setting.nodes, setting.groups, setting.shards);
  setting.network = draw_network(random);
  setting.workload = draw_workload(random, setting.groups);
  setting.faults = draw_faults(random, options, setting.nodes, setting.network.quality);
  // Where frames overtake each other, which they do on no TCP connection, a leader may receive the commands of
  // a connection out of order.
  const bool in_order =
      setting.network.quality.overtaken == 0 && !setting.faults.kinds.contains(Fault::storm);
  setting.pipelines = in_order ? static_cast<uint32_t>(random.below(4)) : 0;
  limit(setting.workload.clients, options.clients);
  limit(setting.pipelines, options.clients);
  limit(setting.workload.keys, options.keys);
  setting.faults.only = options.only_faults;
  setting.availability = availability_of(setting);
  // A replica that stays out for good keeps the others' logs from being released (there are no
  // snapshots): they need space for all of the run.
  if (!setting.faults.may_lose_data.empty()) setting.node.shard.log.max_bytes = 1ull << 40;
  setting.faults.outlast = setting.availability.steady_for + setting.availability.bound;
  setting.node.disk_latency = draw_disk_latency(random);
  return setting;
}

std::string describe(const Setting& setting) {
  std::string text = std::to_string(setting.nodes) + " nodes, " + std::to_string(setting.groups) +
                     " groups on " + std::to_string(setting.shards) + " shards, " +
                     std::to_string(setting.workload.clients) + " clients, " +
                     std::to_string(setting.workload.keys) + " keys, may lose data:";
  for (const NodeId node : setting.faults.may_lose_data) text += " " + std::to_string(node);
  if (setting.faults.may_lose_data.empty()) text += " none";
  text += ", faults:";
  for (const Fault fault : setting.faults.kinds) text += std::string(" ") + name_of(fault);
  return text;
}

}  // namespace bop::sim

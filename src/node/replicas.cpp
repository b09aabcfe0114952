#include "node/replicas.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/logging.h"
#include "group/checkpoint.h"

namespace bop::node {

namespace {

// A machine's jobs on workers of its own: short reads never wait behind a long flush. Snapshots, which nothing waits
// for, share the shard's.
class WorkerOffload final : public machine::Offload {
 public:
  explicit WorkerOffload(port::Worker& bulk) : bulk_(bulk) {}
  Status start(const ShardPorts& ports) {
    for (auto& worker : workers_) {
      BOP_TRY_ASSIGN(worker, ports.make_worker());
    }
    return {};
  }
  void submit(WorkQueue queue, std::function<void()> work, std::function<void()> done) override {
    port::Worker& worker = queue == WorkQueue::bulk ? bulk_ : *workers_[static_cast<size_t>(queue)];
    worker.submit(std::move(work), std::move(done));
  }

 private:
  std::array<std::unique_ptr<port::Worker>, 2> workers_;  // reads, writes
  port::Worker& bulk_;
};

std::vector<NodeId> sorted(std::vector<NodeId> nodes) {
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

raft::Configuration configuration_of(const GroupSpec& spec, const ShardOptions& options) {
  raft::Configuration out{sorted(spec.voters), sorted(spec.learners)};
  if (out.voters.empty()) {
    out.voters.push_back(options.self);
    for (const PeerSpec& peer : options.peers) out.voters.push_back(peer.id);
    std::sort(out.voters.begin(), out.voters.end());
  }
  return out;
}

}  // namespace

bool store_error_ends_start(const ShardOptions& options, bop_status error) {
  if (options.fresh) return true;  // there is nothing to serve yet
  switch (error) {
    case BOP_E_BAD_CONFIG:  // what is configured cannot run
    case BOP_E_INVALID_ARGUMENT:
    case BOP_E_VERSION_MISMATCH: return true;  // a machine made for another bop
    default: return false;
  }
}

bool log_error_ends_start(const ShardOptions& options, bop_status error) {
  switch (error) {
    case BOP_E_NEWER_FORMAT:      // the directory was written by a newer bop
    case BOP_E_DIRECTORY_IN_USE:  // a process that was killed still writes to it
    case BOP_E_FOREIGN_DIRECTORY: return true;
    default: return store_error_ends_start(options, error);
  }
}

// ---- opening ----

Status Replicas::open() {
  BOP_TRY_ASSIGN(bulk_, ports_.make_worker());
  for (const GroupSpec& spec : options_.groups)
    if (spec.shard == options_.shard) BOP_TRY(open_one(spec));
  return {};
}

std::string Replicas::directory_of(GroupId group, uint64_t instance) const {
  return "shard" + std::to_string(options_.shard) + "/group-" + std::to_string(group) + "/" +
         std::to_string(instance);
}

Result<group::ReplicaOptions> Replicas::options_of(const GroupSpec& spec) const {
  group::ReplicaOptions options;
  options.id = spec.id;
  options.name = spec.name;
  options.configuration = configuration_of(spec, options_);
  options.raft = options_.raft;
  options.raft.self = options_.self;
  options.raft.seed = hash64(as_bytes(spec.name), options_.seed + options_.self);
  options.raft.max_queued_bytes = options_.peer_queue_bytes;
  options.machine = ports_.find_machine(spec.machine);
  if (options.machine == nullptr)
    return fail(BOP_E_BAD_CONFIG, "group " + spec.name + ": no machine of kind " + spec.machine);
  BOP_TRY(take_machine(options, spec));
  options.machine_directory = ports_.files.describe(directory_of(spec.id, options.instance));
  options.machine_identity = {
      .cluster = options_.cluster, .group = spec.id, .instance = options.instance};
  options.machine_options = spec.machine_options;
  options.cluster = options_.cluster;
  options.snapshot_directory =
      "shard" + std::to_string(options_.shard) + "/snap/group-" + std::to_string(spec.id);
  options.directory_of = [this, id = spec.id](uint64_t instance) {
    return directory_of(id, instance);
  };
  options.epoch = log_.recovery().epoch;
  options.limits = options_.limits;
  return options;
}

// The group's newest checkpoint tells which instance of its machine counts, and of which kind it is.
Status Replicas::take_machine(group::ReplicaOptions& options, const GroupSpec& spec) const {
  const log::RecoveredGroup* found = recovered(spec.id);
  if (found == nullptr || found->health != log::Health::ok || found->checkpoints.empty()) return {};
  const log::Checkpoint& newest = found->checkpoints.back();
  const auto facts = group::decode_checkpoint(newest.at, newest.bytes);
  if (!facts) return {};  // the replica says so
  if (facts->machine != spec.machine)
    return fail(BOP_E_BAD_CONFIG, "group " + spec.name + ": its machine is " + facts->machine +
                                      ", and the configuration cannot make it " + spec.machine);
  options.instance = facts->instance;
  return {};
}

// A snapshot that was being installed when the node stopped has left an instance that no record names, or the record names
// it and the old one is left. Its files are removed; that it fails costs space alone.
void Replicas::remove_other_instances(const group::ReplicaOptions& options) const {
  const std::string parent =
      "shard" + std::to_string(options_.shard) + "/group-" + std::to_string(options.id);
  const auto names = ports_.files.list_now(parent);
  if (!names) return;
  for (const std::string& name : *names) {
    const bool instance =
        !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    if (!instance || name == std::to_string(options.instance)) continue;
    const std::string other = parent + "/" + name;
    const auto files = ports_.files.list_now(other);
    if (!files || files->empty()) continue;
    logging::info("group {}: removes the files of instance {} of its machine, which is not in use",
                  options.name, name);
    for (const std::string& file : *files)
      if (const Status removed = ports_.files.remove_now(other + "/" + file); !removed)
        logging::warning("group {}: {}", options.name, removed.error().to_string());
  }
}

group::ReplicaPorts Replicas::ports_for(machine::Offload& offload) {
  if (!snapshot_budget_) {
    const uint64_t rate = std::max<uint64_t>(options_.snapshot_bytes_per_s / options_.shards, 1);
    snapshot_budget_.emplace(rate, std::max<uint64_t>(rate / 8, proto::max_chunk_bytes),
                             ports_.clock.now());
  }
  return {.clock = ports_.clock,
          .timers = ports_.timers,
          .log = log_,
          .host = host_,
          .offload = offload,
          .files = &ports_.files,
          .snapshot_budget = &*snapshot_budget_,
          .metrics = ports_.metrics};
}

Result<std::unique_ptr<machine::Offload>> Replicas::make_offload() const {
  auto offload = std::make_unique<WorkerOffload>(*bulk_);
  BOP_TRY(offload->start(ports_));
  return offload;
}

void Replicas::take(Hosted hosted) {
  const GroupId id = hosted.replica->id();
  const bool added = hosted_.emplace(id, std::move(hosted)).second;
  BOP_ASSERT(added);  // a group is configured once
}

Status Replicas::open_one(const GroupSpec& spec) {
  BOP_TRY_ASSIGN(const group::ReplicaOptions options, options_of(spec));
  Hosted hosted;
  BOP_TRY_ASSIGN(hosted.offload, make_offload());
  const group::ReplicaPorts ports = ports_for(*hosted.offload);
  auto replica = recover(options, ports);
  if (!replica && store_error_ends_start(options_, replica.error().code))
    return std::unexpected(replica.error());
  hosted.replica = replica ? std::move(*replica)
                           : group::Replica::halted(
                                 options, ports, replica.error(),
                                 {.file = directory_of(spec.id, options.instance), .offset = 0});
  if (!hosted.replica->opened()) opening_.push_back(hosted.replica.get());
  take(std::move(hosted));
  return {};
}

Result<std::unique_ptr<group::Replica>> Replicas::recover(const group::ReplicaOptions& options,
                                                          const group::ReplicaPorts& ports) {
  const std::string directory = directory_of(options.id, options.instance);
  BOP_TRY(ports_.files.make_directory_now(directory));
  const log::RecoveredGroup* found = recovered(options.id);
  log::RecoveredGroup lost;
  if (found == nullptr && (!options_.fresh || log_.recovery().others_suspect)) {
    // The log has served and does not know the group: what it acknowledged is gone.
    lost.group = options.id;
    lost.health = log::Health::suspect;
    lost.location = {.file = "shard" + std::to_string(options_.shard), .offset = 0};
    lost.reason = ports_.files.describe(lost.location.file) +
                  ": the log of a directory that has served holds nothing of this group";
    found = &lost;
  }
  BOP_TRY_ASSIGN(auto replica, group::Replica::open(options, ports, found));
  // The names of the files that the machine created; it syncs their contents itself.
  BOP_TRY(ports_.files.sync_directory_now(directory));
  // Only now: this instance is the one that log and checkpoint belong to.
  if (found != nullptr && found->health == log::Health::ok) remove_other_instances(options);
  return replica;
}

const log::RecoveredGroup* Replicas::recovered(GroupId group) const {
  for (const log::RecoveredGroup& found : log_.recovery().groups)
    if (found.group == group) return &found;
  return nullptr;
}

Status Replicas::halt_all(const Error& reason) {
  const std::string directory = "shard" + std::to_string(options_.shard);
  BOP_TRY_ASSIGN(bulk_, ports_.make_worker());
  for (const GroupSpec& spec : options_.groups) {
    if (spec.shard != options_.shard) continue;
    BOP_TRY_ASSIGN(const group::ReplicaOptions options, options_of(spec));
    Hosted hosted;
    BOP_TRY_ASSIGN(hosted.offload, make_offload());
    hosted.replica = group::Replica::halted(options, ports_for(*hosted.offload), reason,
                                            {.file = directory, .offset = 0});
    take(std::move(hosted));
  }
  return {};
}

std::optional<Status> Replicas::opened() const {
  Status status;
  for (const group::Replica* replica : opening_) {
    const std::optional<Error> halted = replica->status().halted;
    if (halted && store_error_ends_start(options_, halted->code))
      status = std::unexpected(*halted);
    else if (!replica->opened())
      return {};
  }
  return status;
}

// ---- looking up ----

group::Replica* Replicas::find(GroupId group) const {
  const auto found = hosted_.find(group);
  return found == hosted_.end() ? nullptr : found->second.replica.get();
}

std::vector<group::Replica*> Replicas::next(GroupId last, size_t count) const {
  std::vector<group::Replica*> out;
  auto at = hosted_.upper_bound(last);
  while (out.size() < std::min(count, hosted_.size())) {
    if (at == hosted_.end()) at = hosted_.begin();
    out.push_back(at->second.replica.get());
    ++at;
  }
  return out;
}

bool Replicas::idle() const {
  return std::ranges::all_of(all(), [](const group::Replica& replica) { return replica.idle(); });
}

void Replicas::check_invariants() const {
  size_t configured = 0;
  for (const GroupSpec& spec : options_.groups) {
    if (spec.shard != options_.shard) continue;
    ++configured;
    const group::Replica* replica = find(spec.id);
    BOP_ASSERT(replica != nullptr);
    BOP_ASSERT_EQ(replica->id(), spec.id);
  }
  BOP_ASSERT_EQ(hosted_.size(), configured);
}

}  // namespace bop::node

#include "node/hosted_shard.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/logging.h"
#include "node/cluster_view.h"
#include "node/directory.h"

namespace bop::node {

namespace {

// A machine's jobs on the shard's workers: short reads never wait behind a long fold.
class WorkerOffload final : public machine::Offload {
 public:
  Status start(const ShardPorts& ports) {
    for (auto& worker : workers_) {
      BOP_TRY_ASSIGN(worker, ports.make_worker());
    }
    return {};
  }
  void submit(WorkQueue queue, std::function<void()> work, std::function<void()> done) override {
    workers_[static_cast<size_t>(queue)]->submit(std::move(work), std::move(done));
  }

 private:
  std::array<std::unique_ptr<port::Worker>, 2> workers_;
};

// How long a shard that stops waits for what may still come, in heartbeat intervals: longer than a
// message takes to a peer and back.
constexpr int linger_heartbeats = 2;

// Groups are never removed and made again under their old id, so far: all are of the first generation.
constexpr uint32_t group_generation = 0;

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

proto::PeerHeader header_of(const ShardOptions& options, uint64_t epoch) {
  proto::PeerHeader header;
  header.cluster = options.cluster;
  header.from = options.self;
  header.incarnation = options.incarnation;
  header.epoch = epoch;
  return header;
}

GroupStatus status_of(const group::Replica& replica, const std::string& machine) {
  const group::Replica::Status from = replica.status();
  GroupStatus out;
  out.name = replica.name();
  out.id = replica.id();
  out.machine = machine;
  out.role = role_name(static_cast<uint8_t>(from.role));
  out.term = from.term;
  out.leader = from.leader;
  out.commit = from.commit;
  out.applied = from.applied;
  out.last = from.last;
  out.durable = from.durable;
  out.machine_durable = from.machine_durable;
  out.ready = from.ready;
  if (from.halted) {
    out.halted = from.halted->code;
    out.reason = from.halted->detail.empty() ? bop_error_text(out.halted) : from.halted->detail;
  }
  out.file = from.file;
  out.offset = from.offset;
  out.has_hash = from.hash.has_value();
  if (from.hash) {
    out.hash_index = from.hash->index;
    out.hash_low = from.hash->low;
    out.hash_high = from.hash->high;
  }
  return out;
}

std::string group_directory(uint32_t shard, GroupId group) {
  return "shard" + std::to_string(shard) + "/group-" + std::to_string(group);
}

group::ForwardReply reply_of(const proto::ForwardReplyItem& item) {
  group::ForwardReply out;
  out.origin_epoch = item.origin_epoch;
  out.sequence = item.sequence;
  out.outcome.status = static_cast<bop_status>(item.status);
  out.outcome.body = item.body.bytes();
  out.outcome.index = item.index;
  out.outcome.leader = item.leader;
  out.outcome.detail = item.detail;
  return out;
}

}  // namespace

// ---- opening ----

std::unique_ptr<Shard> Shard::make(const ShardOptions& options, const ShardPorts& ports) {
  return std::make_unique<HostedShard>(options, ports);
}

HostedShard::HostedShard(const ShardOptions& options, const ShardPorts& ports)
    : options_(options), ports_(ports) {
  health_timer_ = ports_.timers.make_timer([this] { check_health(); });
  stop_timer_ = ports_.timers.make_timer([this] { check_stopped(); });
}

HostedShard::~HostedShard() = default;

Status HostedShard::open() {
  BOP_TRY(open_log());
  // The other half is left to replication.
  batcher_ = std::make_unique<PeerFrameBatcher>(header_of(options_, epoch()), ports_.transport,
                                                options_.peer_queue_bytes / 2);
  if (Status opened = open_replicas(); !opened) {
    // Those that were opened before take no turn.
    halt();
    scheduled_.clear();
    return opened;
  }
  request_turn();
  return {};
}

Status HostedShard::open_log() {
  log::Options options = options_.log;
  const Identity identity{.cluster = options_.cluster,
                          .node = options_.self,
                          .incarnation = options_.incarnation,
                          .bootstrap = {},
                          .served = !options_.fresh};
  options.log_id = log_id(identity, options_.shard);
  options.write_ns = ports_.log_write_ns;
  const std::string directory = "shard" + std::to_string(options_.shard);
  BOP_TRY(ports_.files.make_directory_now(directory));
  // What has no group has lost nothing: a shard that the configuration adds later begins anew.
  const bool empty = std::ranges::none_of(
      options_.groups, [&](const GroupSpec& group) { return group.shard == options_.shard; });
  auto opened = log::Log::open(ports_.files, directory, options, ports_.clock, ports_.timers,
                               ports_.post, options_.fresh || empty);
  if (!opened && opened.error().code == BOP_E_NOT_FORMATTED) {
    return fail(BOP_E_DAMAGED, opened.error().detail + ", although the directory has served");
  }
  BOP_TRY_ASSIGN(log_, std::move(opened));
  const log::Recovery& recovery = log_->recovery();
  logging::info("shard {}: log epoch {}, {} frames, {} bytes", options_.shard, recovery.epoch,
                recovery.frames, recovery.bytes);
  if (recovery.torn)
    logging::info("shard {}: cut an unacknowledged end at {} of {}", options_.shard,
                  recovery.cut.offset, recovery.cut.file);
  return {};
}

Status HostedShard::open_replicas() {
  for (const GroupSpec& spec : options_.groups)
    if (spec.shard == options_.shard) BOP_TRY(open_replica(spec));
  return {};
}

const log::RecoveredGroup* HostedShard::recovered(GroupId group) const {
  for (const log::RecoveredGroup& found : log_->recovery().groups)
    if (found.group == group) return &found;
  return nullptr;
}

Status HostedShard::open_replica(const GroupSpec& spec) {
  group::ReplicaOptions options;
  options.id = spec.id;
  options.name = spec.name;
  options.configuration = configuration_of(spec, options_);
  options.raft = options_.raft;
  options.raft.self = options_.self;
  options.raft.seed = hash64(as_bytes(spec.name), options_.seed + options_.self);
  options.limits = options_.limits;
  options.raft.max_queued_bytes = options_.peer_queue_bytes;
  options.machine = ports_.find_machine(spec.machine);
  if (options.machine == nullptr)
    return fail(BOP_E_BAD_CONFIG, "group " + spec.name + ": no machine of kind " + spec.machine);
  const std::string directory = group_directory(options_.shard, spec.id);
  options.machine_directory = ports_.files.describe(directory);
  options.machine_options = spec.machine_options;
  options.epoch = epoch();

  Hosted hosted;
  auto offload = std::make_unique<WorkerOffload>();
  BOP_TRY(offload->start(ports_));
  hosted.offload = std::move(offload);
  const group::ReplicaPorts ports{.clock = ports_.clock,
                                  .timers = ports_.timers,
                                  .log = *log_,
                                  .host = *this,
                                  .offload = *hosted.offload,
                                  .metrics = ports_.metrics};
  auto replica = recover_replica(directory, options, ports);
  if (!replica && ends_the_start(replica.error().code)) return std::unexpected(replica.error());
  hosted.replica = replica ? std::move(*replica)
                           : group::Replica::halted(options, ports, replica.error(),
                                                    {.file = directory, .offset = 0});
  if (!hosted.replica->bootstrapped()) bootstrapping_.push_back(hosted.replica.get());
  replicas_.emplace(spec.id, std::move(hosted));
  return {};
}

// A group whose store or log cannot be opened must not keep the others of this node down, so its
// replica halts. The start fails when the operator has to act first: on a configuration that no
// replica can run, and in a new directory, which has nothing to serve yet.
bool HostedShard::ends_the_start(bop_status error) const {
  return options_.fresh || error == BOP_E_BAD_CONFIG || error == BOP_E_INVALID_ARGUMENT ||
         error == BOP_E_VERSION_MISMATCH;
}

Result<std::unique_ptr<group::Replica>> HostedShard::recover_replica(
    const std::string& directory, const group::ReplicaOptions& options,
    const group::ReplicaPorts& ports) {
  BOP_TRY(ports_.files.make_directory_now(directory));
  const log::RecoveredGroup* found = recovered(options.id);
  log::RecoveredGroup lost;
  if (found == nullptr && (!options_.fresh || log_->recovery().others_suspect)) {
    // The log has served and does not know the group: what it acknowledged is gone.
    lost.group = options.id;
    lost.health = log::Health::suspect;
    lost.location = {.file = "shard" + std::to_string(options_.shard), .offset = 0};
    lost.reason = ports_.files.describe(lost.location.file) +
                  ": the log of a directory that has served holds nothing of this group";
    found = &lost;
  }
  BOP_TRY_ASSIGN(auto replica, group::Replica::open(options, ports, found));
  // The names of the files that the machine made: it syncs their contents itself.
  BOP_TRY(ports_.files.sync_directory_now(directory));
  return replica;
}

void HostedShard::when_bootstrapped(std::function<void(Status)> done) {
  bootstrapped_ = std::move(done);
  request_turn();
}

void HostedShard::check_bootstrapped() {
  if (!bootstrapped_) return;
  Status status;
  for (const group::Replica* replica : bootstrapping_) {
    if (const std::optional<Error> halted = replica->status().halted)
      status = std::unexpected(*halted);
    else if (!replica->bootstrapped())
      return;
  }
  std::exchange(bootstrapped_, {})(std::move(status));
}

void HostedShard::start() {
  for (auto& [id, hosted] : replicas_) hosted.replica->start();
  check_health();
}

// ---- stopping ----

// From here on clients are refused, and so is what followers forward, as soon as this node has resigned.
// What was proposed before is committed by the next leaders, and answered here when it is applied.
void HostedShard::stop(Duration grace, std::function<void()> done) {
  stopped_ = std::move(done);
  stopping_ = true;
  busy_at_ = ports_.clock.now();
  stop_deadline_ = busy_at_ + grace;
  for (auto& [id, hosted] : replicas_) {
    hosted.replica->resign();
    hosted.replica->sync_machine();
  }
  check_stopped();
}

bool HostedShard::idle() const {
  return log_->idle() && std::all_of(replicas_.begin(), replicas_.end(), [](const auto& entry) {
           return entry.second.replica->idle();
         });
}

// A follower that does not know yet that this node has resigned still forwards to it, and an answer
// may still be on its way out. So the shard stays until nothing has happened for a while.
void HostedShard::check_stopped() {
  if (!stopped_) return;
  const Instant now = ports_.clock.now();
  if (!idle()) busy_at_ = now;
  const Duration linger =
      options_.peers.empty() ? 0 : linger_heartbeats * options_.raft.heartbeat_interval;
  if (now < stop_deadline_ && (busy_at_ == now || now - busy_at_ < linger)) {
    stop_timer_->arm(now + 10 * milliseconds);
    return;
  }
  for (auto& [id, hosted] : replicas_) hosted.replica->abandon();
  // Behind this turn's end, at which the replicas answer what they abandoned.
  ports_.post.post(std::exchange(stopped_, nullptr));
}

// ---- the turn ----

void HostedShard::request_turn() {
  if (turn_requested_) return;
  turn_requested_ = true;
  ports_.post.at_end_of_turn(port::Phase::step, [this] { step_replicas(); });
}

void HostedShard::schedule(group::Replica& replica) {
  if (halted_) return;
  scheduled_.push_back(&replica);
  request_turn();
}

void HostedShard::step_replicas() {
  ++turns_;
  // A step may schedule its replica again; the next round takes it.
  while (!scheduled_.empty()) {
    stepping_.swap(scheduled_);
    for (group::Replica* replica : stepping_) {
      replica->step();
      stepped_.push_back(replica);
    }
    stepping_.clear();
  }
  turn_requested_ = false;
  decoder_.clear();
  batcher_->flush();
  log_->flush();
  ports_.post.at_end_of_turn(port::Phase::apply, [this] { finish_replicas(); });
}

void HostedShard::finish_replicas() {
  // One that was stepped twice is finished twice, to no effect.
  for (size_t i = 0; i < stepped_.size(); ++i) stepped_[i]->finish();
  stepped_.clear();
  answer_refused();
  check_bootstrapped();
}

// ---- requests ----

group::Replica* HostedShard::find(GroupId group) const {
  auto found = replicas_.find(group);
  return found == replicas_.end() ? nullptr : found->second.replica.get();
}

const group::Replica* HostedShard::replica(GroupId group) const { return find(group); }

Result<GroupId> HostedShard::find_group(std::string_view name) const {
  for (const GroupSpec& spec : options_.groups)
    if (spec.name == name) return spec.id;
  std::string known;
  for (const GroupSpec& spec : options_.groups) known += (known.empty() ? "" : ", ") + spec.name;
  return fail(BOP_E_NO_GROUP, "no group is called " + std::string(name) + "; there is: " + known);
}

std::string_view HostedShard::machine_of(GroupId group) const {
  for (const GroupSpec& spec : options_.groups)
    if (spec.id == group) return spec.machine;
  return {};
}

void HostedShard::propose(Request request) {
  group::Replica* replica = find(request.group);
  if (replica == nullptr || stopping_) return refuse(std::move(request));
  replica->propose(std::move(request));
}

void HostedShard::query(Request request) {
  group::Replica* replica = find(request.group);
  if (replica == nullptr || stopping_) return refuse(std::move(request));
  replica->query(std::move(request));
}

void HostedShard::refuse(Request request) {
  refused_.push_back(std::move(request));
  request_turn();
}

void HostedShard::answer_refused() {
  for (const Request& request : std::exchange(refused_, {})) {
    Outcome outcome;
    outcome.status = BOP_E_NO_GROUP;
    if (stopping_) {
      outcome.status = BOP_E_STOPPED;
      outcome.detail = "this node is stopping, nothing was executed";
    }
    request.completion->complete(request.token, outcome);
  }
}

// ---- status ----

void HostedShard::status(std::function<void(NodeStatus)> done) {
  ports_.post.post([this, done = std::move(done)] { done(own_status()); });
}

NodeStatus HostedShard::own_status() const {
  NodeStatus out;
  out.cluster = proto::to_hex(options_.cluster);
  out.node = options_.self;
  out.version = options_.version;
  out.stopping = stopping_;
  out.address = options_.address;
  out.native = options_.native;
  out.log_used_bytes = log_->used_bytes();
  const log::Log::Counters& log = log_->counters();
  out.shards.push_back({.shard = options_.shard,
                        .turns = turns_,
                        .log_writes = log.writes,
                        .log_bytes = log.written_bytes,
                        .log_records = log.records,
                        .log_entries = log.entries,
                        .log_seals = log.seals,
                        .log_segments = log.segments_made,
                        .log_rewritten = log.rewritten,
                        .log_used_bytes = log_->used_bytes(),
                        .log_needed_bytes = log_->capacity().needed_bytes,
                        .log_max_bytes = log_->capacity().max_bytes});
  for (const GroupSpec& spec : options_.groups) {
    group::Replica* replica = find(spec.id);
    if (replica == nullptr) continue;
    replica->refresh_hash();
    const GroupStatus& group = out.groups.emplace_back(status_of(*replica, spec.machine));
    if (group.halted == BOP_E_LATCHED) {
      out.log_latched = true;
      out.log_error = group.reason;
    }
  }
  std::sort(out.groups.begin(), out.groups.end(),
            [](const GroupStatus& a, const GroupStatus& b) { return a.id < b.id; });
  for (const PeerSpec& peer : options_.peers) {
    out.peers.push_back({.id = peer.id,
                         .address = peer.address,
                         .control_up = batcher_->up(peer.id, port::Channel::control),
                         .bulk_up = batcher_->up(peer.id, port::Channel::bulk)});
  }
  return out;
}

bool HostedShard::own_ready() const {
  return !stopping_ && std::all_of(replicas_.begin(), replicas_.end(),
                                   [](const auto& entry) { return entry.second.replica->ready(); });
}

// ---- health and liveness ----

// A stalled disk loses leadership: half an election timeout with a write outstanding is too long.
void HostedShard::check_health() {
  const Instant now = ports_.clock.now();
  const bool healthy = log_->healthy(now, options_.raft.election_timeout / 2);
  if (healthy != healthy_) {
    healthy_ = healthy;
    logging::warning("shard {}: its log {}", options_.shard,
                     healthy ? "keeps up again" : "does not keep up, it gives up leading");
    for (auto& [id, hosted] : replicas_) hosted.replica->set_healthy(healthy);
    if (health_changed_) health_changed_(healthy);
  }
  health_timer_->arm(now + options_.raft.election_timeout / 8);
}

void HostedShard::node_lost(NodeId node) {
  for (auto& [id, hosted] : replicas_) hosted.replica->node_lost(node);
}

void HostedShard::node_alive(NodeId node) {
  for (auto& [id, hosted] : replicas_) hosted.replica->node_alive(node);
}

// ---- peers ----

void HostedShard::on_channel(NodeId node, port::Channel channel, bool up) {
  batcher_->set_channel(node, channel, up);
  if (up || channel != port::Channel::bulk) return;
  for (auto& [id, hosted] : replicas_) hosted.replica->channel_lost(node);
}

Status HostedShard::on_frame(NodeId from, mem::Buffer frame) {
  BOP_TRY_ASSIGN(const proto::PeerFrame decoded, decoder_.decode(frame));
  const proto::PeerHeader& header = decoded.header;
  if (header.cluster != options_.cluster || header.from != from || header.to != options_.self) {
    return fail(BOP_E_PROTOCOL, "a frame from node " + std::to_string(header.from) + " to node " +
                                    std::to_string(header.to) +
                                    ", not for this node of this cluster");
  }
  uint64_t elsewhere = 0;  // a bit a shard that the frame has items for, too
  for (const proto::PeerItem& item : decoded.items) elsewhere |= deliver(from, header, item);
  for (uint32_t shard = 0; ports_.pass_on && shard < options_.shards; ++shard)
    if (elsewhere >> shard & 1) ports_.pass_on(shard, from, frame);
  request_turn();
  return {};
}

// The replica an item is for, none when the item is for another generation of its group. With a group
// of another shard, its bit.
group::Replica* HostedShard::find(GroupId group, uint32_t generation, uint64_t& elsewhere) const {
  if (generation != group_generation) return nullptr;
  if (group::Replica* replica = find(group)) return replica;
  for (const GroupSpec& spec : options_.groups)
    if (spec.id == group && spec.shard != options_.shard) elsewhere |= uint64_t{1} << spec.shard;
  return nullptr;
}

uint64_t HostedShard::deliver(NodeId from, const proto::PeerHeader& header,
                              const proto::PeerItem& item) {
  uint64_t elsewhere = 0;
  if (const auto* raft = std::get_if<proto::RaftItem>(&item)) {
    if (group::Replica* replica = find(raft->group, raft->generation, elsewhere))
      replica->receive(raft->message);
  } else if (const auto* forward = std::get_if<proto::ForwardItem>(&item)) {
    busy_at_ = ports_.clock.now();
    if (group::Replica* replica = find(forward->group, forward->generation, elsewhere))
      replica->receive_forward(from, {.origin_epoch = header.epoch,
                                      .sequence = forward->sequence,
                                      .term = forward->leader_term,
                                      .time_left = forward->deadline_left,
                                      .payload = forward->payload});
  } else if (const auto* reply = std::get_if<proto::ForwardReplyItem>(&item)) {
    if (group::Replica* replica = find(reply->group, reply->generation, elsewhere))
      replica->receive_forward_reply(from, reply_of(*reply));
  } else if (const auto* heartbeat = std::get_if<proto::HeartbeatItem>(&item)) {
    if (ports_.on_heartbeat) ports_.on_heartbeat(from, header, *heartbeat);
  }
  // Hellos are the transport's.
  return elsewhere;
}

// Entries, forwarded commands and their answers travel apart from what a leadership hangs on.
void HostedShard::send(GroupId group, const raft::Message& message) {
  const proto::RaftItem item{.group = group, .message = message};
  if (message.entries.empty() && !message.in_order)
    batcher_->add(message.to, port::Channel::control, item);
  else
    batcher_->add_append(message.to, item);
  request_turn();
}

bool HostedShard::forward(NodeId to, GroupId group, const group::Forward& forward) {
  if (!batcher_->open(to, port::Channel::bulk)) return false;
  batcher_->add(to, port::Channel::bulk,
                proto::ForwardItem{.group = group,
                                   .sequence = forward.sequence,
                                   .leader_term = forward.term,
                                   .deadline_left = forward.time_left,
                                   .payload = forward.payload});
  request_turn();
  return true;
}

uint64_t HostedShard::delivered_bytes(NodeId to) const {
  return ports_.transport.delivered_bytes(to, port::Channel::bulk);
}

void HostedShard::reply_forward(NodeId to, GroupId group, const group::ForwardReply& reply) {
  batcher_->add(to, port::Channel::bulk,
                proto::ForwardReplyItem{.group = group,
                                        .origin_epoch = reply.origin_epoch,
                                        .sequence = reply.sequence,
                                        .status = reply.outcome.status,
                                        .index = reply.outcome.index,
                                        .leader = reply.outcome.leader,
                                        .body = mem::Buffer::copy(reply.outcome.body),
                                        .detail = reply.outcome.detail});
  request_turn();
}

}  // namespace bop::node

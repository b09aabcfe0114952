#include "node/shard.h"

#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "group/replica.h"
#include "log/closed_log.h"
#include "node/frame_delivery.h"
#include "node/open_log.h"
#include "node/replicas.h"
#include "node/scrubber.h"
#include "node/shard_health.h"
#include "node/shard_host.h"
#include "node/shard_status.h"
#include "node/shard_stop.h"
#include "node/turn.h"

namespace bop::node {

// ---- opening ----

Shard::Shard(const ShardOptions& options, const ShardPorts& ports)
    : options_(options), ports_(ports) {
  BOP_ASSERT_NE(options_.self, 0u);
  BOP_ASSERT_LT(options_.shard, options_.shards);
}

Shard::~Shard() = default;

Status Shard::open() {
  BOP_TRY(open_log());
  turn_ = std::make_unique<Turn>(ports_.post, Turn::Actions{.submit = [this] { submit(); },
                                                            .finished = [this] { finished(); }});
  host_ = std::make_unique<ShardHost>(options_, ports_.transport, epoch(), *turn_);
  replicas_ = std::make_unique<Replicas>(options_, ports_, *log_, *host_);
  delivery_ = std::make_unique<FrameDelivery>(options_, ports_, *replicas_);
  health_ = std::make_unique<ShardHealth>(options_, ports_, *log_, log_error_, *replicas_);
  scrubber_ = std::make_unique<Scrubber>(options_, ports_, *replicas_);
  stop_ = std::make_unique<ShardStop>(options_, ports_, *log_, *replicas_, *delivery_);
  const Status opened = log_error_ ? replicas_->halt_all(*log_error_) : replicas_->open();
  if (!opened) {
    turn_->halt();  // those that were opened before take no turn
    return opened;
  }
  turn_->request();
  return {};
}

Status Shard::open_log() {
  BOP_ASSERT(log_ == nullptr);
  auto opened = node::open_log(options_, ports_);
  if (opened) {
    log_ = std::move(*opened);
    return {};
  }
  const Error& error = opened.error();
  if (log_error_ends_start(options_, error.code)) return std::unexpected(error);
  log_error_ = {error.code, "the log of shard " + std::to_string(options_.shard) +
                                " cannot be opened: " + error.detail};
  logging::error("{}", log_error_->to_string());
  log_ = std::make_unique<log::ClosedLog>(*log_error_, ports_.post);
  return {};
}

void Shard::when_bootstrapped(std::function<void(Status)> done) {
  BOP_ASSERT(bootstrapped_ == nullptr);
  bootstrapped_ = std::move(done);
  turn_->request();
}

void Shard::check_bootstrapped() {
  if (bootstrapped_ == nullptr) return;
  if (std::optional<Status> status = replicas_->opened())
    std::exchange(bootstrapped_, nullptr)(std::move(*status));
}

void Shard::start() {
  for (group::Replica& replica : replicas_->all()) replica.start();
  health_->start();
  scrubber_->start();
}

void Shard::stop(Duration grace, std::function<void()> done) {
  scrubber_->stop();
  stop_->begin(grace, std::move(done));
}

void Shard::halt() { turn_->halt(); }

// ---- the turn ----

void Shard::submit() {
  delivery_->end_of_turn();
  host_->frames().flush();
  log_->flush();
}

void Shard::finished() {
  complete_refused();
  check_bootstrapped();
#if defined(BOP_SLOW_ASSERTS)
  check_invariants();
#endif
}

// ---- requests ----

Result<GroupId> Shard::find_group(std::string_view name) const {
  for (const GroupSpec& spec : options_.groups)
    if (spec.name == name) return spec.id;
  std::string known;
  for (const GroupSpec& spec : options_.groups) known += (known.empty() ? "" : ", ") + spec.name;
  return fail(BOP_E_NO_GROUP,
              "there is no group " + std::string(name) + "; the groups are: " + known);
}

std::string_view Shard::machine_of(GroupId group) const {
  for (const GroupSpec& spec : options_.groups)
    if (spec.id == group) return spec.machine;
  return {};
}

// nullptr: the request is refused.
group::Replica* Shard::replica_for(GroupId group) const {
  return stop_->begun() ? nullptr : replicas_->find(group);
}

void Shard::propose(Request request) {
  BOP_ASSERT(request.completion != nullptr);
  group::Replica* replica = replica_for(request.group);
  if (replica == nullptr) return refuse(std::move(request));
  replica->propose(std::move(request));
}

void Shard::query(Request request) {
  BOP_ASSERT(request.completion != nullptr);
  group::Replica* replica = replica_for(request.group);
  if (replica == nullptr) return refuse(std::move(request));
  replica->query(std::move(request));
}

void Shard::snapshots(GroupId group, SnapshotAction action, Service::SnapshotsDone done) {
  group::Replica* replica = replica_for(group);
  if (replica == nullptr)
    return done(stop_->begun() ? fail(BOP_E_STOPPED, "this node is stopping")
                               : fail(BOP_E_NO_GROUP));
  if (action == SnapshotAction::take) {
    return replica->take_snapshot([done](const Result<snapshot::Stored>& taken) {
      if (!taken) return done(std::unexpected(taken.error()));
      done(std::vector{snapshot_status(*taken)});
    });
  }
  const Result<group::SnapshotTaker*> kept = replica->snapshots();
  if (!kept) return done(std::unexpected(kept.error()));
  if (action == SnapshotAction::list) {
    return (*kept)->list([done](const Result<std::vector<snapshot::Stored>>& list) {
      if (!list) return done(std::unexpected(list.error()));
      std::vector<SnapshotStatus> out;
      for (const snapshot::Stored& stored : *list) out.push_back(snapshot_status(stored));
      done(std::move(out));
    });
  }
  (*kept)->verify([done](const Result<std::optional<snapshot::Stored>>& newest) {
    if (!newest) return done(std::unexpected(newest.error()));
    std::vector<SnapshotStatus> out;
    if (*newest) out.push_back(snapshot_status(**newest));
    done(std::move(out));
  });
}

void Shard::refuse(Request request) {
  refused_.push_back(std::move(request));
  turn_->request();
}

void Shard::complete_refused() {
  for (const Request& request : std::exchange(refused_, {})) {
    Outcome outcome;
    outcome.status = BOP_E_NO_GROUP;
    if (stop_->begun()) {
      outcome.status = BOP_E_STOPPED;
      outcome.detail = "this node is stopping, nothing was executed";
    }
    request.completion->complete(request.token, outcome);
  }
}

// ---- peers ----

Status Shard::on_frame(NodeId from, mem::Buffer frame) {
  BOP_TRY(delivery_->deliver(from, std::move(frame)));
  turn_->request();
  return {};
}

void Shard::on_channel(NodeId node, port::Channel channel, bool up) {
  host_->frames().set_channel(node, channel, up);
  if (up || channel != port::Channel::bulk) return;
  for (group::Replica& replica : replicas_->all()) replica.channel_lost(node);
}

void Shard::node_lost(NodeId node) {
  for (group::Replica& replica : replicas_->all()) replica.node_lost(node);
}

void Shard::node_alive(NodeId node) {
  for (group::Replica& replica : replicas_->all()) replica.node_alive(node);
}

// ---- health and status ----

uint64_t Shard::epoch() const { return log_->recovery().epoch; }

bool Shard::healthy() const { return health_->healthy(); }

void Shard::on_health(std::function<void(bool)> changed) { health_->on_change(std::move(changed)); }

ShardReport Shard::report(size_t most_groups) { return health_->report(most_groups); }

void Shard::set_log_max_bytes(uint64_t bytes) { log_->set_max_bytes(bytes); }

void Shard::set_scrub_bytes_per_s(uint64_t bytes) { scrubber_->set_bytes_per_s(bytes); }

NodeStatus Shard::status() const {
  NodeStatus out = shard_status(options_, *log_, *replicas_, host_->frames());
  out.stopping = stop_->begun();
  out.shards.front().turns = turn_->count();
  return out;
}

const group::Replica* Shard::replica(GroupId group) const { return replicas_->find(group); }

void Shard::check_invariants() const {
  turn_->check_invariants();
  replicas_->check_invariants();
  health_->check_invariants();
  host_->frames().check_invariants();
  if (!refused_.empty()) BOP_ASSERT(turn_->requested());
}

}  // namespace bop::node

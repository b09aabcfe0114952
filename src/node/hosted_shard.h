// The Shard that Shard::make makes.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "group/replica.h"
#include "log/log.h"
#include "node/peer_frame_batcher.h"
#include "node/shard.h"
#include "proto/peer.h"

namespace bop::node {

class HostedShard final : public Shard, public group::Host {
 public:
  HostedShard(const ShardOptions& options, const ShardPorts& ports);
  ~HostedShard() override;

  // Service
  Result<GroupId> find_group(std::string_view name) const override;
  std::string_view machine_of(GroupId group) const override;
  void propose(Request request) override;
  void query(Request request) override;
  void status(std::function<void(NodeStatus)> done) override;
  bool ready() const override { return own_ready(); }
  Instant now() const override { return ports_.clock.now(); }

  // Shard
  Status open() override;
  void when_bootstrapped(std::function<void(Status)> done) override;
  void start() override;
  void stop(Duration grace, std::function<void()> done) override;
  void halt() override { halted_ = true; }
  uint64_t epoch() const override { return log_->recovery().epoch; }
  bool healthy() const override { return healthy_; }
  void on_health(std::function<void(bool)> changed) override {
    health_changed_ = std::move(changed);
  }
  void node_lost(NodeId node) override;
  void node_alive(NodeId node) override;
  ShardHealth health(size_t most_groups) override;
  void set_log_max_bytes(uint64_t bytes) override { log_->set_max_bytes(bytes); }
  bool hosts(GroupId group) const override { return replicas_.contains(group); }
  NodeStatus own_status() const override;
  bool own_ready() const override;
  const group::Replica* replica(GroupId group) const override;

  // port::TransportReceiver
  Status on_frame(NodeId from, mem::Buffer frame) override;
  void on_channel(NodeId node, port::Channel channel, bool up) override;

  // group::Host
  void schedule(group::Replica& replica) override;
  void send(GroupId group, const raft::Message& message) override;
  bool forward(NodeId to, GroupId group, const group::Forward& forward) override;
  uint64_t delivered_bytes(NodeId to) const override;
  void reply_forward(NodeId to, GroupId group, const group::ForwardReply& reply) override;

 private:
  // A replica with what it stands on; destroyed in the reverse order.
  struct Hosted {
    std::unique_ptr<machine::Offload> offload;
    std::unique_ptr<group::Replica> replica;
  };

  Status open_log();
  Status open_replicas();
  Status open_replica(const GroupSpec& spec);
  Result<std::unique_ptr<group::Replica>> recover_replica(const std::string& directory,
                                                          const group::ReplicaOptions& options,
                                                          const group::ReplicaPorts& ports);
  bool ends_the_start(bop_status error) const;
  const log::RecoveredGroup* recovered(GroupId group) const;

  void step_replicas();
  void finish_replicas();
  void request_turn();
  uint64_t deliver(NodeId from, const proto::PeerHeader& header, const proto::PeerItem& item);
  group::Replica* find(GroupId group) const;
  group::Replica* find(GroupId group, uint32_t generation, uint64_t& elsewhere) const;
  void refuse(Request request);
  void answer_refused();
  void check_health();
  void check_log(std::vector<ActiveCondition>& out) const;
  void check_group(const group::Replica& replica, std::vector<ActiveCondition>& out);
  void check_bootstrapped();
  bool idle() const;
  void check_stopped();

  const ShardOptions options_;
  const ShardPorts ports_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<PeerFrameBatcher> batcher_;
  std::map<GroupId, Hosted> replicas_;
  std::unique_ptr<port::Timer> health_timer_;
  std::unique_ptr<port::Timer> stop_timer_;

  proto::PeerDecoder decoder_;
  // A turn's replicas: to be stepped, being stepped, and stepped but not finished.
  std::vector<group::Replica*> scheduled_, stepping_, stepped_;
  std::vector<Request> refused_;  // for groups that are not here, or while it stops
  bool turn_requested_ = false;
  uint64_t turns_ = 0;
  bool healthy_ = true;
  std::map<GroupId, Instant> leaderless_since_;
  GroupId reported_group_ = 0;  // the last one of the last report
  std::function<void(bool)> health_changed_;
  std::vector<const group::Replica*> bootstrapping_;  // of new groups
  std::function<void(Status)> bootstrapped_;
  std::function<void()> stopped_;
  bool stopping_ = false;
  Instant stop_deadline_ = never;
  Instant busy_at_ = 0;  // when something was last open, or forwarded to this shard
  bool halted_ = false;  // no replica takes a turn any more: nothing new is written
};

}  // namespace bop::node

// A node: its shards, each on a loop of its own, and what they share by messages: the connections to
// peers, liveness, and requests for a group of another shard.
//
//                    ┌─ shard 0 ─ transport, liveness
//   serve ─ Service ─┼─ shard 1 ─┐ frames to and from peers cross to shard 0,
//                    └─ shard n ─┘ requests to the shard that hosts the group, in one batch a turn
//
// With one shard nothing crosses.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "node/cluster_view.h"
#include "node/liveness.h"
#include "node/shard.h"
#include "node/watch.h"
#include "proto/peer.h"

namespace bop::node {

// The loop of a shard and what belongs to it.
struct ShardContext {
  const port::Clock& clock;
  port::Timers& timers;
  port::Post& post;
  port::FileSystem& files;
  std::function<Result<std::unique_ptr<port::Worker>>()> make_worker;
  Histogram* log_write_ns = nullptr;  // durations of the log's writes, when set
};

class CrossShardService;
class CrossShardTransport;

class Node final : public port::TransportReceiver, public Liveness::Listener {
 public:
  // `transport` is used on the first shard's thread; `metrics` outlives the node. `options.shard` is
  // ignored: there are as many shards as contexts.
  Node(ShardOptions options, std::vector<ShardContext> contexts, port::Transport& transport,
       std::function<const bop_machine_table*(std::string_view kind)> find_machine,
       metrics::Registry* metrics = nullptr);
  // After every loop has stopped.
  ~Node() override;

  // Opens every shard on its loop, blocking that, and waits until new groups are bootstrapped. `done`
  // is called on the first shard's loop, with the first error. Any thread.
  void open(std::function<void(Status)> done);
  // Takes part. First shard's thread, after open.
  void start();
  // Gives up leading, lets open requests end for at most `grace`, syncs the machines; `done` is
  // called on the first shard's loop. First shard's thread.
  void stop(Duration grace, std::function<void()> done);

  // On that shard's thread.
  Service& service(uint32_t shard_index);
  Shard& shard(uint32_t shard_index) { return *shards_[shard_index]; }
  // The highest of the shards' logs. Rises at each start, unless the log of the shard with the highest does not open.
  uint64_t epoch() const;

  // Of each shard's log (log.max_bytes). First shard's thread.
  void set_log_max_bytes(uint64_t bytes);
  // Of the whole node (scrub.bytes_per_s). First shard's thread.
  void set_scrub_bytes_per_s(uint64_t bytes);
  // Free bytes of the data directory's file system. First shard's thread.
  void set_free_bytes(uint64_t free_bytes) { watch_.space(free_bytes); }

  // port::TransportReceiver, Liveness::Listener: on the first shard's thread.
  Status on_frame(NodeId from, mem::Buffer frame) override;
  void on_channel(NodeId node, port::Channel channel, bool up) override;
  void on_introduced(NodeId node, const port::Introduction& introduction) override;
  void on_refused(NodeId node, const Error& reason) override;
  void on_second_process(NodeId node, const std::string& address) override;
  void send_heartbeat(NodeId to, const Heartbeat& heartbeat) override;
  void node_lost(NodeId node) override;
  void node_alive(NodeId node) override;

 private:
  friend class CrossShardService;
  friend class CrossShardTransport;

  // Runs `task` on every shard, then `done` on the first.
  void on_every_shard(
      const std::function<void(uint32_t shard_index, std::function<void()> done)>& task,
      std::function<void()> done);
  void open_shard(uint32_t shard_index);
  void shard_opened(uint32_t shard_index, Status status);
  Status any_log_opened() const;
  void pass_channel(NodeId node, port::Channel channel, bool up);
  void on_heartbeat(NodeId from, const proto::PeerHeader& header, const proto::HeartbeatItem& item);
  void check_conditions();
  void on_shard_report(uint32_t shard_index, const ShardReport& report);
  bool alive(NodeId node) const { return liveness_ != nullptr && liveness_->alive(node); }
  std::vector<uint8_t> report() const;
  std::vector<uint8_t> sections_for(NodeId peer);
  std::vector<uint8_t> addresses_for(NodeId peer);
  uint64_t delivered_bytes(NodeId peer) const;
  // Of one shard, on its thread; the first adds what concerns the whole node.
  NodeStatus status_of(uint32_t shard_index) const;
  void pass_on(uint32_t shard_index, NodeId from, const mem::Buffer& frame);
  void set_health(uint32_t shard_index, bool healthy);
  uint32_t shard_of(GroupId group) const;  // contexts_.size() when no shard hosts it

  const ShardOptions options_;
  const std::vector<ShardContext> contexts_;
  port::Transport& transport_;
  const std::function<const bop_machine_table*(std::string_view)> find_machine_;
  metrics::Registry* const metrics_;                              // nullptr: nothing is counted
  std::vector<std::unique_ptr<CrossShardTransport>> transports_;  // of shards from the second on
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<CrossShardService>> services_;
  std::unique_ptr<Liveness> liveness_;
  proto::PeerFrameWriter heartbeat_frame_;
  uint64_t heartbeat_sequence_ = 0;
  uint64_t healthy_shards_ = 0;

  ClusterView view_;
  Watch watch_;
  ConditionLog condition_log_;
  std::vector<ActiveCondition> conditions_;
  std::vector<std::vector<proto::GroupReport>> group_reports_;  // by shard: the latest
  std::set<NodeId> report_due_;            // peers whose next heartbeat carries a report
  std::set<NodeId> addresses_due_;         // and whose one after that carries the others' addresses
  std::map<NodeId, size_t> next_address_;  // by peer: which of the others it is told next
  std::unique_ptr<port::Timer> condition_timer_;
  Instant started_at_ = 0;

  // By shard: bytes of frames that were posted to it. Beyond the limit, which a shard whose thread does not
  // run reaches, further frames are dropped.
  static constexpr uint64_t max_passing_bytes = 32u << 20;
  std::vector<std::atomic<uint64_t>> passing_bytes_;

  // By peer, for the shards that have no connections themselves.
  std::map<NodeId, std::atomic<uint64_t>> delivered_bytes_;

  std::map<std::pair<NodeId, port::Channel>, bool> channels_;  // up or not
  bool started_ = false;

  std::function<void(Status)> opened_;
  uint32_t opening_ = 0;
  Status open_status_;
};

}  // namespace bop::node

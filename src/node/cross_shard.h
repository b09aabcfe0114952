// What shards of a node send each other: requests and their outcomes, and frames for peers. All of it is
// copied, since a buffer belongs to one thread, and posted in one batch a turn.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <vector>

#include "node/node.h"

namespace bop::node {

struct CrossShardRequest {
  bool read = false;
  GroupId group = 0;
  std::vector<uint8_t> payload;
  Instant deadline = 0;  // the shards of a node have one clock
  uint64_t token = 0;    // number of the asking shard's call
  uint64_t connection = 0;
};

struct CrossShardOutcome {
  uint64_t token = 0;
  bop_status status = BOP_OK;
  std::vector<uint8_t> body;
  Index index = 0;
  NodeId leader = 0;
  std::string detail;
};

// The Service of one shard: requests for groups that it hosts go to it at once, the others cross to the
// shard that does.
class CrossShardService final : public Service {
 public:
  CrossShardService(Node& node, uint32_t shard_index);
  ~CrossShardService() override;

  Result<GroupId> find_group(std::string_view name) const override;
  std::string_view machine_of(GroupId group) const override;
  void propose(Request request) override { route(std::move(request), false); }
  void query(Request request) override { route(std::move(request), true); }
  void status(std::function<void(NodeStatus)> done) override;
  void snapshots(GroupId group, SnapshotAction action, SnapshotsDone done) override;
  Instant now() const override;

  static constexpr size_t max_open_calls = 1 << 16;
  static constexpr size_t max_open_snapshots = 64;  // requests

  void start();  // on the shard's thread, before anything is asked
  // Calls `done` once no call to another shard is open, or at the deadline.
  void when_completed(Instant deadline, std::function<void()> done);

 private:
  // Completes requests of another shard: sends their outcomes there.
  class RemoteCompletion;

  struct Call {
    Completion* completion = nullptr;
    uint64_t token = 0;
  };

  // A status to which not all shards have contributed yet.
  struct Gathering {
    std::vector<std::optional<NodeStatus>> parts;  // by shard
    size_t left = 0;                               // shards that have not
    Instant deadline = 0;                          // then the status is made without them
    std::function<void(NodeStatus)> done;
  };

  void route(Request request, bool read);
  void cross(uint32_t shard_index, Request request, bool read);
  void flush();
  void request_flush();
  void take_requests(uint32_t from, std::vector<CrossShardRequest> requests);
  void take_outcomes(std::vector<CrossShardOutcome> answers);
  void take_status(uint64_t gathering, uint32_t shard_index, NodeStatus status);
  void finish_status(uint64_t gathering);
  void expire_statuses();
  void take_snapshots(uint64_t number, Result<std::vector<SnapshotStatus>> result);
  void check_completed();
  void check_invariants() const;
  size_t open_calls() const { return calls_.size() - free_calls_.size(); }

  Node& node_;
  const uint32_t shard_index_;
  Shard& shard_;
  std::vector<Call> calls_;  // requests that crossed, by the token they carry
  std::vector<uint64_t> free_calls_;
  std::vector<CrossShardOutcome> refused_;                             // of this shard's own making
  std::vector<std::vector<CrossShardRequest>> requests_;               // by the shard they go to
  std::vector<std::unique_ptr<RemoteCompletion>> remote_completions_;  // by the shard that asked
  bool flush_requested_ = false;
  std::map<uint64_t, SnapshotsDone> snapshots_;  // requests that are not answered, by number
  uint64_t last_snapshots_ = 0;
  std::map<uint64_t, Gathering> gatherings_;  // by number, and so by deadline
  uint64_t last_gathering_ = 0;
  std::unique_ptr<port::Timer> status_timer_;
  std::unique_ptr<port::Timer> completed_timer_;
  std::function<void()> completed_;
  Instant completed_deadline_ = 0;
};

// The Transport of every shard but the first, which alone has the connections to peers: frames cross to it.
//
// queued_bytes() counts the bytes on their way to the first shard. What the connections have queued only
// that shard knows; it drops what they do not take, as any frame may be lost.
class CrossShardTransport final : public port::Transport {
 public:
  CrossShardTransport(Node& node, uint32_t shard_index) : node_(node), shard_index_(shard_index) {}

  void set_receiver(port::TransportReceiver*) override {}
  bool send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) override;
  uint64_t queued_bytes(NodeId, port::Channel) const override { return queued_bytes_; }
  uint64_t delivered_bytes(NodeId to, port::Channel channel) const override;

 private:
  struct Frame {
    NodeId to;
    port::Channel channel;
    std::vector<uint8_t> bytes;
  };

  Node& node_;
  const uint32_t shard_index_;
  std::vector<Frame> frames_;
  std::atomic<uint64_t> queued_bytes_ = 0;
};

}  // namespace bop::node

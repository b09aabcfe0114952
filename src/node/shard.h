// A shard: one thread's event loop, write-ahead log and replicas. Built from ports alone, so that the
// simulator runs the same code as bopd.
//
//   Replicas ─ each group's replica                Turn ─ which of them step at the end of a turn
//   FrameDelivery ─ frames from peers              ShardHost ─ frames to peers
//   ShardHealth ─ conditions of log and groups     ShardStop ─ how it stops
//
// A turn: everything that is ready gathers in the replicas; at the end each scheduled replica steps
// once, then the log gets one write and each peer one frame a channel.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/histogram.h"
#include "bop/machine.h"
#include "node/options.h"
#include "node/service.h"
#include "port/clock.h"
#include "port/file.h"
#include "port/post.h"
#include "port/timer.h"
#include "port/transport.h"
#include "proto/peer_sections.h"

namespace bop::group {
class Replica;
}
namespace bop::log {
class Log;
}
namespace bop::proto {
struct HeartbeatItem;
struct PeerHeader;
}  // namespace bop::proto
namespace bop::metrics {
class Registry;
}

namespace bop::node {

class FrameDelivery;
class Replicas;
class Scrubber;
class ShardHealth;
class ShardHost;
class ShardStop;
class Turn;

// What a shard reports to its node, twice a second.
struct ShardReport {
  std::vector<ActiveCondition> conditions;
  std::vector<proto::GroupReport> groups;  // some of its groups, the next ones with each report
};

struct ShardPorts {
  const port::Clock& clock;
  port::Timers& timers;
  port::Post& post;
  port::FileSystem& files;     // rooted at the data directory
  port::Transport& transport;  // its receiver is the Node, which calls on_frame() and on_channel()
  std::function<Result<std::unique_ptr<port::Worker>>()> make_worker;
  std::function<const bop_machine_table*(std::string_view kind)> find_machine;
  metrics::Registry* metrics = nullptr;  // nullptr: nothing is counted
  Histogram* log_write_ns = nullptr;     // durations of the log's writes, when set

  // Of the first shard, which frames come to: heartbeats are the node's, and a frame that holds items for
  // groups of another shard is passed on to it, once.
  std::function<void(NodeId from, const proto::PeerHeader&, const proto::HeartbeatItem&)>
      on_heartbeat;
  std::function<void(uint32_t shard, NodeId from, const mem::Buffer& frame)> pass_on;
};

// Everything after open() is called on the shard's thread, and only when open() succeeded.
class Shard {
 public:
  Shard(const ShardOptions& options, const ShardPorts& ports);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Opens log and machines, blocking. A shard whose log cannot be opened halts its groups, unless the error
  // ends the start. A shard that failed is kept until its files are at rest, as one that stopped: an open log
  // prepares segments in the background.
  Status open();
  // Why the log could not be opened.
  const std::optional<Error>& log_error() const { return log_error_; }
  // Calls `done` once the first entries of new groups are durable and machines without a store are restored (later in
  // this turn, when there are none): then the directory has served, which must be recorded before start(). Or with the error that
  // kept them from it.
  void when_bootstrapped(std::function<void(Status)> done);
  void start();
  // Gives up leading, lets what is open be answered for at most `grace`, syncs the machines.
  void stop(Duration grace, std::function<void()> done);
  // No replica takes a turn any more: nothing new is written or completed. Once all shards have stopped,
  // since they ask each other.
  void halt();

  // As Service (service.h), for groups of this shard.
  Result<GroupId> find_group(std::string_view name) const;
  std::string_view machine_of(GroupId group) const;
  void propose(Request request);
  void query(Request request);
  void snapshots(GroupId group, SnapshotAction action, Service::SnapshotsDone done);
  Instant now() const { return ports_.clock.now(); }

  // As port::TransportReceiver.
  Status on_frame(NodeId from, mem::Buffer frame);
  void on_channel(NodeId node, port::Channel channel, bool up);

  uint64_t epoch() const;  // of the log: rises at each start; 0 without a log
  bool healthy() const;
  // Called when healthy() changed.
  void on_health(std::function<void(bool healthy)> changed);
  void node_lost(NodeId node);
  void node_alive(NodeId node);
  ShardReport report(size_t most_groups);
  void set_log_max_bytes(uint64_t bytes);
  void set_scrub_bytes_per_s(uint64_t bytes);  // of the whole node

  NodeStatus status() const;  // of this shard alone
  // For checkers and tests.
  const group::Replica* replica(GroupId group) const;
  const log::Log* log() const { return log_.get(); }  // nullptr: it did not open

  // Asserts what holds between turns; on in builds with slow assertions at the end of each turn.
  void check_invariants() const;

 private:
  Status open_log();
  void submit();
  void finished();
  void refuse(Request request);
  void complete_refused();
  void check_bootstrapped();
  group::Replica* replica_for(GroupId group) const;

  const ShardOptions options_;
  const ShardPorts ports_;
  std::optional<Error> log_error_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<Turn> turn_;
  std::unique_ptr<ShardHost> host_;
  std::unique_ptr<Replicas> replicas_;
  std::unique_ptr<FrameDelivery> delivery_;
  std::unique_ptr<ShardHealth> health_;
  std::unique_ptr<Scrubber> scrubber_;
  std::unique_ptr<ShardStop> stop_;

  std::vector<Request> refused_;  // in this turn: for groups that are not here, or while it stops
  std::function<void(Status)> bootstrapped_;
};

}  // namespace bop::node

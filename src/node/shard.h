// A shard: one thread's event loop, write-ahead log and replicas. Built from ports alone, so that the
// simulator runs the same code as bopd.
//
// A turn: everything that is ready gathers in the replicas; at the end each scheduled replica steps
// once, then the log gets one write and each peer one frame a channel.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
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

namespace bop::proto {
struct HeartbeatItem;
struct PeerHeader;
}  // namespace bop::proto
namespace bop::metrics {
class Registry;
}
namespace bop::node {

// What a shard says of itself to its node, twice a second.
struct ShardHealth {
  std::vector<ActiveCondition> conditions;
  std::vector<proto::GroupReport> groups;  // some of its groups, the next ones with each call
};

struct ShardPorts {
  const port::Clock& clock;
  port::Timers& timers;
  port::Post& post;
  port::FileSystem& files;     // rooted at the data directory
  port::Transport& transport;  // the shard becomes its receiver only by way of its Node
  std::function<Result<std::unique_ptr<port::Worker>>()> make_worker;
  std::function<const bop_machine_table*(std::string_view kind)> find_machine;
  metrics::Registry* metrics = nullptr;  // nullptr: nothing is counted
  Histogram* log_write_ns = nullptr;     // durations of the log's writes, when set

  // For the shard that frames come to first. Heartbeats are the node's.
  std::function<void(NodeId from, const proto::PeerHeader&, const proto::HeartbeatItem&)>
      on_heartbeat;
  // A frame holds items for groups of that other shard; called once a frame and shard.
  std::function<void(uint32_t shard, NodeId from, const mem::Buffer& frame)> pass_on;
};

class Shard : public Service, public port::TransportReceiver {
 public:
  static std::unique_ptr<Shard> make(const ShardOptions& options, const ShardPorts& ports);

  // Opens log and machines, blocking. A shard that failed is kept until its files are at rest, as one
  // that stopped: an open log makes segments ahead.
  virtual Status open() = 0;
  // Calls `done` once the first entries of new groups are durable (at once, later in this turn, when
  // there are none): then the directory has served and must say so before start(). Or with what kept
  // them from it.
  virtual void when_bootstrapped(std::function<void(Status)> done) = 0;
  virtual void start() = 0;
  // Gives up leading, lets what is open be answered for at most `grace`, syncs the machines.
  virtual void stop(Duration grace, std::function<void()> done) = 0;
  // No replica takes a turn any more: nothing new is written, nor answered. Once all shards have stopped,
  // since they ask each other.
  virtual void halt() = 0;

  virtual uint64_t epoch() const = 0;  // of the log: rises at each start
  virtual bool healthy() const = 0;
  // Called when healthy() changed.
  virtual void on_health(std::function<void(bool)> changed) = 0;
  virtual void node_lost(NodeId node) = 0;
  virtual void node_alive(NodeId node) = 0;
  // At most `most_groups` reports.
  virtual ShardHealth health(size_t most_groups) = 0;

  virtual void set_log_max_bytes(uint64_t bytes) = 0;

  virtual bool hosts(GroupId group) const = 0;
  // Of this shard alone; Service::status gathers from all.
  virtual NodeStatus own_status() const = 0;
  virtual bool own_ready() const = 0;
  virtual const group::Replica* replica(GroupId group) const = 0;  // for checkers and tests
};

}  // namespace bop::node

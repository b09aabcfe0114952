// One simulated bopd: the real node::Node on simulated threads, clock, disk, network and store, and
// what may happen to its process and its machine.
//
//            start()               opened                    crash(), stop()
//    down ───────────► opening ──────────────► serving ───────────────────────► down
//                         │ it cannot be opened                                   ▲
//                         └────────────► refused: says why, waits for a crash() ──┘
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/kv/kv.h"
#include "node/directory.h"
#include "node/node.h"
#include "sim/clock.h"
#include "sim/disk.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/recording_machine.h"
#include "sim/state_checker.h"
#include "sim/store.h"

namespace bop::sim {

// What all nodes of a cluster have in common.
struct NodeSettings {
  node::ShardOptions shard;  // `self`, `peers`, `incarnation`, `fresh` are each node's own
  uint32_t shards = 1;
  Thread::TurnTime turn_time{1 * microseconds, 30 * microseconds};
  Worker::JobTime job_time;
  machine::kv::Settings machine{.hash_interval = 128};  // state hashes often enough to be compared
  int64_t drift_ppm = 0;
  uint32_t sector_bytes = 4096;
  Disk::Latency disk_latency;
  bool ignore_file_locks = false;  // a seeded bug: see Disk::Faults
};

enum class Ending : uint8_t {
  process,  // killed: what was written stays
  // Killed, and what it was writing lands later, when its successor may be at work already.
  process_with_late_writes,
  power,  // what no sync covers is kept, lost or torn
};

// The node that a thread of that number belongs to; 0: none's.
NodeId node_of_thread(uint32_t number);

class Node {
 public:
  // `harness` runs what happens to it from outside.
  Node(Scheduler& scheduler, Thread& harness, Network& network, StateChecker& checker, NodeId id,
       const NodeSettings& settings);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();

  NodeId id() const { return id_; }
  uint64_t life() const { return life_; }
  enum class State : uint8_t { down, opening, serving, refused };
  State state() const { return state_; }
  bool serving() const { return state_ == State::serving; }
  // Why it cannot be opened.
  const Error& refusal() const { return refusal_; }

  void start();
  void crash(Ending ending);
  // Cleanly: gives up leading, then its process ends. Once a life.
  void stop(Duration grace);
  // Its process stands still; the machine goes on.
  void pause(Duration time);
  // Its clock runs at another rate; below a tenth of the nominal one, it counts as standing still for `time`.
  void set_clock_rate(int64_t drift_ppm, Duration time);

  // Of the thread of that shard. Only while it serves.
  node::Service& service(uint32_t shard) { return node_->service(shard); }
  Thread& thread(uint32_t shard) { return shards_[shard]->loop; }
  uint32_t shard_count() const { return static_cast<uint32_t>(shards_.size()); }
  const NodeSettings& settings() const { return settings_; }
  NodeClock& clock() { return clock_; }
  Disk& disk(uint32_t shard) { return shards_[shard]->disk; }
  const Disk& disk(uint32_t shard) const { return shards_[shard]->disk; }
  Stores& stores() { return stores_; }

  // A fault hinders it for so long from now on. While `never`, until its next process serves.
  void disturb(Duration time);
  // Since when nothing hinders it; nothing while something does, or it does not serve.
  std::optional<Instant> undisturbed_since() const;
  // The next job of a worker of that shard takes so much longer.
  void stall_job(uint32_t shard, Duration by) { shards_[shard]->stall.next = by; }
  // Until when a job of its workers is stalled.
  Instant job_stalled_until() const;
  uint64_t stalled_jobs() const;
  // Times that it could not be opened, because a crash came or an operation failed meanwhile.
  uint64_t failed_starts() const { return failed_starts_; }

  // Whether its process stood still at some time since then.
  bool stood_still_since(Instant when) const {
    return stopped_until_ >= when || slow_until_ >= when;
  }

  // The replica, while it serves; nullptr when it does not.
  const group::Replica* replica(GroupId group) const;
  // While it serves: whether every replica knows a leader and has caught up with it.
  bool ready() const;
  // Why a replica takes part no more: LATCHED leaves with a new process, SUSPECT stays.
  std::optional<Error> halted(GroupId group) const;
  // Its state and that of its replicas, in one line for people.
  std::string describe() const;

  // Called when its process ended, however.
  void on_end(std::function<void()> ended) { ended_ = std::move(ended); }

 private:
  struct ShardContext {
    ShardContext(Node& node, uint32_t number);
    Thread loop;
    Thread background;
    Disk disk;
    Timers timers;
    Post post;
    Worker::Stall stall;
    uint64_t workers = 0;
  };

  std::vector<std::unique_ptr<ShardContext>> make_shards();
  void format();
  void open();
  void opened(const Status& status);
  void refuse(const Error& why);
  void check_epochs();
  void check_recovered(const node::GroupSpec& group);
  void take_part();
  void end(Ending ending);
  void watch(uint32_t shard);
  node::ShardOptions options_for_start() const;

  Scheduler& scheduler_;
  Thread& harness_;
  Network& network_;
  StateChecker& checker_;
  const NodeId id_;
  const NodeSettings settings_;
  NodeClock clock_;
  std::vector<std::unique_ptr<ShardContext>> shards_;
  Stores stores_;
  RecordingMachine machine_;
  port::Transport& transport_;
  State state_ = State::down;
  Error refusal_;
  bool connected_ = false;
  bool stopping_ = false;
  node::Identity identity_;
  uint64_t life_ = 0;             // raised by each end of its process
  std::vector<uint64_t> epochs_;  // of the logs, when it last served
  Instant stopped_until_ = -1;
  Instant slow_until_ = -1;
  Instant disturbed_until_ = 0;
  uint64_t failed_starts_ = 0;
  std::vector<GroupId> watched_;  // replicas that the checker watches
  std::unique_ptr<node::Node> node_;
  std::function<void()> ended_;
};

}  // namespace bop::sim

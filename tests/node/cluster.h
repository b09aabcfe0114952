// Nodes in this process: each shard on a real loop and thread of its own, over simulated disks; peers are
// connected by posts. Their machine echoes commands.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "io/loop.h"
#include "io/worker.h"
#include "node/directory.h"
#include "node/node.h"
#include "sim/disk.h"

// Answers a command with itself, or with CONDITION_FAILED when it begins with "refuse", and fails at
// "fail"; a question with the number of commands so far.
struct bop_machine {
  uint64_t commands = 0;
  bop_position applied{};
  std::string answer;
};

namespace bop::node::testing {

// The group whose echo machine does not open, as with a damaged store; empty: none.
inline std::string broken_group;

// Of all echo machines, for their states' hash.
inline std::atomic<uint64_t> hash_questions = 0;

inline const bop_machine_table* echo_machine() {
  static const bop_machine_table table = [] {
    bop_machine_table out{};
    out.size = sizeof out;
    out.abi = BOP_MACHINE_ABI;
    out.kind = "echo";
    out.version = out.version_min = 1;
    out.open = [](const bop_machine_table*, const bop_machine_host*,
                  const bop_machine_options* options, bop_machine** machine, char* error,
                  size_t capacity) -> int32_t {
      if (broken_group == options->group) {
        std::snprintf(error, capacity, "a page is damaged");
        return BOP_E_DAMAGED;
      }
      *machine = new bop_machine;
      return BOP_OK;
    };
    out.apply = [](bop_machine* machine, const bop_entry* entries, size_t count, bop_reply* replies,
                   uint64_t) -> int32_t {
      for (size_t i = 0; i < count; ++i) {
        const bop_bytes command = entries[i].command;
        const std::string_view text(reinterpret_cast<const char*>(command.data), command.size);
        if (text == "fail") return BOP_E_MACHINE;
        ++machine->commands;
        machine->applied = {entries[i].index, entries[i].term};
        replies[i].status = text.starts_with("refuse") ? BOP_E_CONDITION_FAILED : BOP_OK;
        replies[i].body = command;
      }
      return BOP_OK;
    };
    out.query = [](bop_machine* machine, bop_bytes, bop_reply* reply, uint64_t) -> int32_t {
      machine->answer = std::to_string(machine->commands);
      reply->body = {reinterpret_cast<const uint8_t*>(machine->answer.data()),
                     machine->answer.size()};
      return BOP_OK;
    };
    out.sync = [](bop_machine*, uint64_t) -> int32_t { return BOP_OK; };
    out.applied = [](bop_machine* machine) { return machine->applied; };
    out.durable = [](bop_machine*) { return bop_position{0, 0}; };
    out.stable = [](bop_machine*, uint64_t) {};
    out.state_hash = [](bop_machine*, bop_state_hash*) -> int32_t {
      ++hash_questions;
      return BOP_E_NOT_FOUND;
    };
    out.close = [](bop_machine* machine) { delete machine; };
    return out;
  }();
  return &table;
}

inline mem::Buffer buffer(std::string_view text) {
  return mem::Buffer::copy({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// Remembers what it is answered, and on which thread.
class Asker final : public port::Completion {
 public:
  struct Heard {
    uint64_t token = 0;
    bop_status status = BOP_OK;
    std::string body;
    Index index = 0;
    std::string detail;
    std::thread::id thread;
    Instant at = 0;
  };

  void complete(uint64_t token, const port::Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    heard_.push_back({token,
                      outcome.status,
                      {outcome.body.begin(), outcome.body.end()},
                      outcome.index,
                      std::string(outcome.detail),
                      std::this_thread::get_id(),
                      io::Loop::read_clock()});
    changed_.notify_all();
  }

  // All so far, `count` at least.
  std::vector<Heard> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    const auto enough = [&] { return heard_.size() >= count; };
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), enough))
        << heard_.size() << " of " << count << " answers";
    return heard_;
  }
  std::vector<Heard> heard() { return wait_for(0); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Heard> heard_;
};

class Cluster;

// One node: what Runtime wires, with a simulated disk for each shard.
class Member final : public port::Transport {
 public:
  Member(Cluster& cluster, const ShardOptions& options, uint32_t contexts);
  ~Member() override;

  sim::Disk& disk(uint32_t shard) { return shards_[shard]->disk; }
  io::Loop& loop(uint32_t shard) { return *shards_[shard]->loop; }
  Node& node() { return *node_; }

  Status open();
  // After halt(): as the next process on the same disks does.
  Status reopen();
  void start();
  // False when it takes unreasonably long.
  bool stop(Duration grace);
  void halt();  // its loops end
  // Runs `task` on that shard's thread and waits for it.
  void on(uint32_t shard, const std::function<void(Service&)>& task);
  NodeStatus status(uint32_t shard = 0);

  // port::Transport, on the first shard's thread.
  void set_receiver(port::TransportReceiver* receiver) override { receiver_ = receiver; }
  bool send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) override;
  uint64_t queued_bytes(NodeId, port::Channel) const override { return 0; }

 private:
  struct MemberShard {
    explicit MemberShard(uint64_t seed)
        : disk(seed,
               [this](Duration, std::function<void()> task) { loop->post(std::move(task)); }) {}
    std::unique_ptr<io::Loop> loop = std::make_unique<io::Loop>();
    sim::Disk disk;
    std::thread thread;
  };

  void make_node();

  Cluster& cluster_;
  ShardOptions options_;
  Identity identity_;
  std::vector<std::unique_ptr<MemberShard>> shards_;
  port::TransportReceiver* receiver_ = nullptr;
  std::unique_ptr<Node> node_;
};

class Cluster {
 public:
  Cluster(uint32_t nodes, uint32_t contexts, const std::vector<GroupSpec>& groups) {
    for (NodeId id = 1; id <= nodes; ++id) {
      ShardOptions options;
      options.cluster = {7};
      options.self = id;
      options.groups = groups;
      for (GroupSpec& group : options.groups) group.machine = "echo";
      for (NodeId peer = 1; peer <= nodes; ++peer)
        if (peer != id) options.peers.push_back({peer, "here"});
      options.fresh = true;
      options.raft.election_timeout = 300 * milliseconds;
      options.raft.heartbeat_interval = 50 * milliseconds;
      options.log.segment_bytes = 8u << 20;
      options.log.max_bytes = 64u << 20;
      members_.push_back(std::make_unique<Member>(*this, options, contexts));
    }
  }
  ~Cluster() {
    for (const auto& member : members_) member->halt();
  }

  void start() {
    for (const auto& member : members_) {
      const Status opened = member->open();
      ASSERT_TRUE(opened) << opened.error().to_string();
    }
    for (const auto& member : members_) member->start();
  }
  Member& member(NodeId id) { return *members_.at(id - 1); }
  size_t size() const { return members_.size(); }

 private:
  std::vector<std::unique_ptr<Member>> members_;
};

inline Member::Member(Cluster& cluster, const ShardOptions& options, uint32_t contexts)
    : cluster_(cluster), options_(options) {
  for (uint32_t index = 0; index < contexts; ++index)
    shards_.push_back(std::make_unique<MemberShard>(options.self * 100 + index));
  make_node();
}

inline void Member::make_node() {
  std::vector<ShardContext> contexts;
  for (const auto& shard : shards_) {
    io::Loop& loop = *shard->loop;
    contexts.push_back(
        {.clock = loop, .timers = loop, .post = loop, .files = shard->disk, .make_worker = [&loop] {
           return io::make_worker(loop, "machine");
         }});
  }
  node_ = std::make_unique<Node>(options_, std::move(contexts), *this,
                                 [](std::string_view) { return echo_machine(); });
}

inline Member::~Member() {
  halt();
  for (const auto& shard : shards_) shard->disk.process_crash();
  node_.reset();
}

inline Status Member::open() {
  for (const auto& shard : shards_)
    shard->thread = std::thread([&loop = *shard->loop] { loop.run(); });
  std::promise<Status> opened;
  node_->open([&](Status status) { opened.set_value(std::move(status)); });
  auto future = opened.get_future();
  if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
    halt();
    return fail(BOP_E_TIMEOUT, "the node does not open");
  }
  return future.get();
}

inline Status Member::reopen() {
  node_.reset();
  for (const auto& shard : shards_) {
    shard->disk.process_crash();
    shard->loop = std::make_unique<io::Loop>();
  }
  options_.fresh = false;
  make_node();
  return open();
}

inline void Member::start() {
  std::promise<void> started;
  loop(0).post([&] {
    node_->start();
    for (NodeId peer = 1; peer <= cluster_.size(); ++peer)
      for (const port::Channel channel : {port::Channel::control, port::Channel::bulk})
        if (peer != options_.self) receiver_->on_channel(peer, channel, true);
    started.set_value();
  });
  started.get_future().wait();  // what is posted from now on comes after it, on every shard
}

inline bool Member::stop(Duration grace) {
  auto stopped = std::make_shared<std::promise<void>>();
  auto future = stopped->get_future();
  loop(0).post([this, grace, stopped] { node_->stop(grace, [stopped] { stopped->set_value(); }); });
  return future.wait_for(std::chrono::seconds(60)) == std::future_status::ready;
}

inline void Member::halt() {
  for (const auto& shard : shards_) shard->loop->stop();
  for (const auto& shard : shards_)
    if (shard->thread.joinable()) shard->thread.join();
}

inline void Member::on(uint32_t shard, const std::function<void(Service&)>& task) {
  std::promise<void> ran;
  loop(shard).post([&] {
    task(node_->service(shard));
    ran.set_value();
  });
  ran.get_future().wait();
}

inline NodeStatus Member::status(uint32_t shard) {
  std::promise<NodeStatus> given;
  on(shard, [&](Service& service) {
    service.status([&](NodeStatus status) { given.set_value(std::move(status)); });
  });
  return given.get_future().get();
}

inline bool Member::send(NodeId to, port::Channel, std::span<const mem::Buffer> parts) {
  std::vector<uint8_t> frame;
  for (const mem::Buffer& part : parts)
    frame.insert(frame.end(), part.data(), part.data() + part.size());
  Member& member = cluster_.member(to);
  member.loop(0).post([&member, from = options_.self, frame = std::move(frame)] {
    EXPECT_TRUE(member.receiver_->on_frame(from, mem::Buffer::copy(frame)));
  });
  return true;
}

}  // namespace bop::node::testing

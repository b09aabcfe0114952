// Snapshots that go from nodes to another one over a network that loses, repeats and delays, while either side is killed.
// Everything follows from the seed.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/random.h"
#include "group/snapshot_fetcher.h"
#include "group/snapshot_sender.h"
#include "manual_offload.h"
#include "sim/disk.h"

namespace bop::group {
namespace {

constexpr const char* directory = "shard0/snap/group-7";
constexpr GroupId group = 7;
constexpr uint64_t unlimited = 1'000'000'000;

TEST(TokenBucket, gives_the_rate_and_at_most_the_burst_at_once) {
  TokenBucket bucket(1000, 500, 0);
  EXPECT_TRUE(bucket.take(500, 0));
  EXPECT_FALSE(bucket.take(1, 0));
  EXPECT_EQ(bucket.available_at(100, 0), 100 * milliseconds + 1);
  EXPECT_FALSE(bucket.take(100, 99 * milliseconds));
  EXPECT_TRUE(bucket.take(100, 100 * milliseconds));
  EXPECT_FALSE(bucket.take(501, 1000 * seconds));
  EXPECT_TRUE(bucket.take(500, 1000 * seconds));
  bucket.give_back(200);
  EXPECT_TRUE(bucket.take(200, 1000 * seconds));
}

TEST(TokenBucket, however_often_it_is_asked_the_sum_is_the_rate) {
  Random random(3);
  for (const uint64_t rate : {uint64_t{7}, uint64_t{999'983}, uint64_t{50'000'000}}) {
    TokenBucket bucket(rate, rate / 4 + 1, 0);
    EXPECT_TRUE(bucket.take(rate / 4 + 1, 0));
    uint64_t taken = 0;
    Instant now = 0;
    const uint64_t piece = rate / 100 + 1;
    while (now < 20 * seconds) {
      now += static_cast<Duration>(random.below(3 * milliseconds));
      if (bucket.take(piece, now)) taken += piece;
    }
    EXPECT_LE(taken, rate * 20 + rate / 4 + piece);
    EXPECT_GE(taken + rate / 4 + 2 * piece, rate * 20);
    EXPECT_TRUE(bucket.take(piece, bucket.available_at(piece, now)));
  }
}

struct Weather {
  uint64_t loss = 0;    // per cent
  uint64_t repeat = 0;  // per cent
  Duration delay = 1 * milliseconds;
};

class World;

// What a node has: a disk that stays, and a process that may be killed.
class Process final : public SnapshotFetcher::Port, public SnapshotSender::Port {
 public:
  Process(World& world, NodeId id, uint64_t rate);
  void start();
  void kill();
  bool up() const { return fetcher_ != nullptr; }
  void run();  // its jobs, and a step
  bool fetch(NodeId from, const proto::FetchItem& item) override;
  void answer(NodeId to, const proto::ChunkItem& item) override;

  World& world;
  const NodeId id;
  const uint64_t rate;
  sim::Disk disk;
  machine::ManualOffload offload;
  std::shared_ptr<SnapshotFiles> files;
  std::optional<TokenBucket> budget;
  std::unique_ptr<SnapshotFetcher> fetcher_;
  std::unique_ptr<SnapshotSender> sender_;
  uint64_t lives = 0;
  std::optional<Result<snapshot::Stored>> result;
  bool lies = false;    // sends other bytes than it has
  bool silent = false;  // does not answer
  Instant armed = never;
};

class World {
 public:
  World(uint64_t seed, Weather weather, size_t nodes, uint64_t rate = unlimited)
      : random(seed), weather(weather) {
    for (NodeId id = 1; id <= nodes; ++id) {
      nodes_[id] = std::make_unique<Process>(*this, id, rate);
      nodes_[id]->start();
    }
  }

  Process& node(NodeId id) { return *nodes_.at(id); }

  void after(Duration delay, std::function<void()> action) {
    agenda_.emplace(std::pair(now + delay, ++order_), std::move(action));
  }
  // Item for a process that may be dead by then.
  void carry(NodeId to, std::function<void(Process&)> arrive) {
    if (random.chance(weather.loss, 100)) return;
    const int copies = random.chance(weather.repeat, 100) ? 2 : 1;
    for (int i = 0; i < copies; ++i)
      after(static_cast<Duration>(random.below(static_cast<uint64_t>(weather.delay) + 1)),
            [this, to, arrive] {
              if (!node(to).up()) return;
              arrive(node(to));
              node(to).run();
            });
  }
  bool run_until(const std::function<bool()>& done, Duration most = 3600 * seconds) {
    const Instant end = now + most;
    while (!done()) {
      if (agenda_.empty() || agenda_.begin()->first.first > end) return false;
      auto next = agenda_.extract(agenda_.begin());
      now = next.key().first;
      next.mapped()();
    }
    return true;
  }

  // Node `to` is offered the snapshot by `from`, again and again as by a leader's heartbeats.
  void offer(NodeId from, NodeId to, const raft::SnapshotRef& snapshot) {
    Process& receiver = node(to);
    if (receiver.up() && node(from).up() && !receiver.result) {
      std::vector<NodeId> others;
      for (const auto& [id, unused] : nodes_) others.push_back(id);
      receiver.fetcher_->fetch(now, snapshot, from, others,
                               [&receiver](const Result<snapshot::Stored>& result) {
                                 if (result) receiver.result = result;
                               });
      receiver.run();
    }
    after(100 * milliseconds, [this, from, to, snapshot] { offer(from, to, snapshot); });
  }

  Instant now = 0;
  Random random;
  Weather weather;
  uint64_t received = 0;           // bytes of chunks that arrived
  size_t open = 0, most_open = 0;  // requests that were not answered, on a network without faults
  std::map<NodeId, size_t> asked;  // requests, by whom

 private:
  std::map<NodeId, std::unique_ptr<Process>> nodes_;
  std::map<std::pair<Instant, uint64_t>, std::function<void()>> agenda_;
  uint64_t order_ = 0;
};

Process::Process(World& world, NodeId id, uint64_t rate)
    : world(world), id(id), rate(rate), disk(id * 17 + 1) {}

void Process::start() {
  ++lives;
  armed = never;
  files = std::make_shared<SnapshotFiles>(disk, directory);
  budget.emplace(rate, proto::max_chunk_bytes, world.now);
  fetcher_ = std::make_unique<SnapshotFetcher>(
      SnapshotFetcher::Options{.group = group, .name = "g", .self = id}, files, offload, *this,
      *budget);
  sender_ = std::make_unique<SnapshotSender>(SnapshotSender::Options{.group = group, .name = "g"},
                                             files, offload, *this, *budget);
}

void Process::kill() {
  fetcher_.reset();
  sender_.reset();
  while (offload.step(machine::Offload::WorkQueue::bulk)) {
  }
  files.reset();
  disk.process_crash();
}

void Process::run() {
  if (!up()) return;
  Instant next = never;
  do {
    offload.run();
    next = std::min(fetcher_->step(world.now), sender_->step(world.now));
  } while (!offload.idle());
  if (next == never || next >= armed) return;
  armed = next;
  world.after(next - world.now, [this, next, life = lives] {
    if (life != lives) return;
    if (armed == next) armed = never;
    run();
  });
}

bool Process::fetch(NodeId from, const proto::FetchItem& item) {
  if (!world.node(from).up()) return false;
  EXPECT_LE(item.length, proto::max_chunk_bytes);
  EXPECT_GT(item.length, 0u);
  ++world.asked[from];
  world.most_open = std::max(world.most_open, ++world.open);
  world.carry(from, [item, to = id](Process& source) {
    if (!source.silent) source.sender_->receive(to, item);
  });
  return true;
}

void Process::answer(NodeId to, const proto::ChunkItem& item) {
  proto::ChunkItem sent = item;
  if (lies && item.bytes.size() > 0) {
    std::vector<uint8_t> bytes(item.bytes.bytes().begin(), item.bytes.bytes().end());
    bytes[bytes.size() / 2] ^= 1;
    sent.bytes = mem::Buffer::copy(bytes);
  }
  world.carry(to, [sent, from = id](Process& receiver) {
    receiver.world.received += sent.bytes.size();
    --receiver.world.open;
    receiver.fetcher_->receive(receiver.world.now, from, sent);
  });
}

// A snapshot of that many parts on the node's disk; `changed` of them are of its own.
struct Made {
  raft::SnapshotRef ref;
  uint64_t bytes = 0;
};
Made make_snapshot(Process& on, Index index, size_t parts, uint64_t most_bytes,
                   size_t changed = 0) {
  auto snapshots = snapshot::Snapshots::open(on.disk, directory);
  EXPECT_TRUE(snapshots);
  snapshot::Manifest manifest;
  manifest.group = group;
  manifest.index = index;
  manifest.term = 3;
  manifest.kind = "kv";
  manifest.configuration = {2};
  for (size_t i = 0; i < parts; ++i) {
    Random random(i + 1000 * (i < changed ? index : 0));
    std::vector<uint8_t> bytes(i == 1 ? 0 : 1 + random.below(most_bytes));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    auto writer = snapshots->begin_part();
    EXPECT_TRUE(writer && writer->append(bytes));
    auto part = snapshots->publish(std::move(*writer), "part" + std::to_string(1000 + i));
    EXPECT_TRUE(part);
    manifest.parts.push_back(*part);
  }
  EXPECT_TRUE(snapshots->commit(manifest));
  return {{{manifest.term, manifest.index}, snapshots->list().back().id}, manifest.bytes()};
}

// The snapshot is whole on the node's disk.
testing::AssertionResult has(Process& process, const Made& made) {
  const auto snapshots = snapshot::Snapshots::open(process.disk, directory);
  if (!snapshots) return testing::AssertionFailure() << snapshots.error().to_string();
  for (const snapshot::Stored& each : snapshots->list()) {
    if (each.id != made.ref.id) continue;
    if (const Status verified = snapshots->verify(each); !verified)
      return testing::AssertionFailure() << verified.error().to_string();
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "it is not there";
}

TEST(SnapshotTransfer, brings_every_part_once) {
  World world(1, {}, 2);
  const Made made = make_snapshot(world.node(1), 100, 30, 700'000);
  world.offer(1, 2, made.ref);
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_TRUE(has(world.node(2), made));
  EXPECT_EQ((*world.node(2).result)->index, 100u);
  EXPECT_GE(world.received, made.bytes);
  EXPECT_LE(world.received, made.bytes + 10'000);  // the manifest
  EXPECT_EQ(world.node(2).fetcher_->received_bytes(), world.received);
  EXPECT_EQ(world.node(1).sender_->sent_bytes(), world.received);
  EXPECT_EQ(world.most_open, 4u);
}

TEST(SnapshotTransfer, what_is_here_already_is_not_fetched) {
  World world(1, {}, 2);
  const Made before = make_snapshot(world.node(1), 100, 100, 200'000);
  (void)make_snapshot(world.node(2), 100, 100, 200'000);
  const Made made = make_snapshot(world.node(1), 200, 100, 200'000, 1);
  world.offer(1, 2, made.ref);
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_TRUE(has(world.node(2), made));
  EXPECT_LE(world.received, made.bytes / 20);
  // It was fetched but not installed, as after a crash: it is there.
  world.node(2).result.reset();
  world.received = 0;
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_EQ(world.received, 0u);
  (void)before;
}

TEST(SnapshotTransfer, survives_a_network_that_loses_repeats_and_delays) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed, {.loss = 10, .repeat = 5, .delay = 300 * milliseconds}, 3);
    const Made made = make_snapshot(world.node(1), 100, 20, 700'000);
    (void)make_snapshot(world.node(3), 100, 20, 700'000);
    world.offer(1, 2, made.ref);
    ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); })) << seed;
    EXPECT_TRUE(has(world.node(2), made)) << seed;
  }
}

// Figure: both sides killed halfway cost at most 15 % more than the snapshot.
TEST(SnapshotTransfer, goes_on_where_it_was_when_either_side_is_killed) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    World world(seed, {.delay = 20 * milliseconds}, 2);
    const Made made = make_snapshot(world.node(1), 100, 60, 1'000'000);
    world.offer(1, 2, made.ref);
    const auto restart = [&](NodeId id) {
      world.node(id).kill();
      world.after(700 * milliseconds, [&world, id] { world.node(id).start(); });
    };
    ASSERT_TRUE(world.run_until([&] { return world.received > made.bytes / 2; }));
    restart(2);
    ASSERT_TRUE(world.run_until([&] { return world.received > made.bytes * 6 / 10; }));
    restart(1);
    ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); })) << seed;
    EXPECT_TRUE(has(world.node(2), made));
    EXPECT_GE(world.received, made.bytes);
    EXPECT_LE(world.received, made.bytes * 115 / 100) << seed;
    if (seed == 1)
      std::printf("received %.3f of the snapshot's bytes, both sides killed\n",
                  static_cast<double>(world.received) / static_cast<double>(made.bytes));
  }
}

TEST(SnapshotTransfer, takes_what_it_needs_from_whoever_has_it) {
  World world(5, {}, 4);
  const Made made = make_snapshot(world.node(1), 100, 10, 700'000);
  (void)make_snapshot(world.node(3), 100, 10, 700'000);
  world.offer(1, 2, made.ref);
  ASSERT_TRUE(world.run_until([&] { return world.received > made.bytes / 3; }));
  world.node(1).kill();  // for good; node 4 has nothing
  world.node(2).fetcher_->node_lost(1);
  world.node(2).run();
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_TRUE(has(world.node(2), made));
  EXPECT_GT(world.asked[3], 0u);
  EXPECT_LE(world.asked[4], 8u);  // until it told that it does not have it
}

TEST(SnapshotTransfer, a_source_that_does_not_answer_is_replaced) {
  World world(5, {}, 3);
  const Made made = make_snapshot(world.node(1), 100, 10, 700'000);
  (void)make_snapshot(world.node(3), 100, 10, 700'000);
  world.node(1).silent = true;
  world.offer(1, 2, made.ref);
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_TRUE(has(world.node(2), made));
}

TEST(SnapshotTransfer, a_source_that_is_busy_is_replaced) {
  World world(5, {}, 3);
  const Made made = make_snapshot(world.node(1), 100, 10, 700'000);
  (void)make_snapshot(world.node(3), 100, 10, 700'000);
  world.offer(1, 2, made.ref);
  world.node(1).sender_ = std::make_unique<SnapshotSender>(
      SnapshotSender::Options{.group = group, .name = "g", .max_waiting = 0}, world.node(1).files,
      world.node(1).offload, world.node(1), *world.node(1).budget);
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_TRUE(has(world.node(2), made));
}

TEST(SnapshotTransfer, bytes_with_another_digest_are_never_taken) {
  World world(9, {}, 3);
  const Made made = make_snapshot(world.node(1), 100, 10, 700'000);
  (void)make_snapshot(world.node(3), 100, 10, 700'000);
  world.node(1).lies = true;
  world.offer(1, 2, made.ref);
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  EXPECT_TRUE(has(world.node(2), made));

  World alone(9, {}, 2);
  const Made other = make_snapshot(alone.node(1), 100, 10, 700'000);
  alone.node(1).lies = true;
  alone.offer(1, 2, other.ref);
  EXPECT_FALSE(alone.run_until([&] { return alone.node(2).result.has_value(); }, 60 * seconds));
  EXPECT_FALSE(has(alone.node(2), other));
  EXPECT_LE(alone.asked[1], 10u);  // although it is offered ten times a second
  alone.node(1).lies = false;
  EXPECT_TRUE(alone.run_until([&] { return alone.node(2).result.has_value(); }));
}

TEST(SnapshotTransfer, stays_within_the_budget_and_uses_it) {
  World world(2, {}, 2, 1'000'000);
  const Made made = make_snapshot(world.node(1), 100, 30, 700'000);
  world.offer(1, 2, made.ref);
  const Instant begun = world.now;
  ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
  const double took = static_cast<double>(world.now - begun) / 1e9;
  const double least = static_cast<double>(made.bytes - proto::max_chunk_bytes) / 1e6;
  EXPECT_GE(took, least);
  EXPECT_LE(took, least * 1.3 + 2);
}

// Of the receiver's disk: each operation fails once, then power is lost. Whole or not there, and the next attempt succeeds.
TEST(SnapshotTransfer, a_disk_that_fails_and_loses_power_has_all_of_it_or_none) {
  using enum sim::DiskOperation;
  for (const sim::DiskOperation kind : {write, sync, open, rename, sync_directory}) {
    for (uint64_t nth = 1; nth < 40; ++nth) {
      World world(nth, {}, 2);
      const Made made = make_snapshot(world.node(1), 100, 8, 300'000);
      world.node(2).disk.fail(kind, BOP_E_IO, nth);
      world.offer(1, 2, made.ref);
      world.run_until([&] { return world.node(2).result.has_value(); }, 2 * seconds);
      const bool told = world.node(2).result.has_value();
      world.node(2).kill();
      world.node(2).disk.heal();
      world.node(2).disk.power_loss();
      EXPECT_TRUE(!told || has(world.node(2), made)) << static_cast<int>(kind) << " " << nth;
      const auto left = snapshot::Snapshots::open(world.node(2).disk, directory);
      ASSERT_TRUE(left);
      EXPECT_TRUE(left->damaged().empty());
      for (const snapshot::Stored& each : left->list()) EXPECT_TRUE(left->verify(each));
      world.node(2).result.reset();
      world.node(2).start();
      ASSERT_TRUE(world.run_until([&] { return world.node(2).result.has_value(); }));
      EXPECT_TRUE(has(world.node(2), made));
    }
  }
}

TEST(SnapshotSender, refuses_what_it_does_not_have_and_what_is_too_much) {
  World world(2, {}, 2);
  Process& sender = world.node(1);
  const Made made = make_snapshot(sender, 100, 3, 1000);
  struct Answers final : SnapshotSender::Port {
    void answer(NodeId, const proto::ChunkItem& item) override { items.push_back(item); }
    std::vector<proto::ChunkItem> items;
  } answers;
  SnapshotSender few({.group = group, .name = "g", .max_waiting = 2}, sender.files, sender.offload,
                     answers, *sender.budget);
  proto::FetchItem item{group, 0, 1, made.ref.id, {}, 0, 1000};
  for (item.request = 1; item.request <= 3; ++item.request) few.receive(2, item);
  ASSERT_EQ(answers.items.size(), 1u);
  EXPECT_EQ(answers.items[0].request, 3u);
  EXPECT_EQ(answers.items[0].status, BOP_E_OVERLOADED);
  const auto ask = [&](Hash128 id, Hash128 part, uint64_t offset) {
    answers.items.clear();
    few.receive(2, {group, 0, 9, id, part, offset, 1000});
    for (int i = 0; i < 5; ++i) {
      few.step(++world.now * seconds);
      sender.offload.run();
    }
    return answers.items.back().status;
  };
  EXPECT_EQ(ask(made.ref.id, {}, 0), BOP_OK);
  EXPECT_EQ(ask({1, 2}, {}, 0), BOP_E_NOT_FOUND);
  EXPECT_EQ(ask(made.ref.id, {1, 2}, 0), BOP_E_NOT_FOUND);
  EXPECT_EQ(ask(made.ref.id, {}, 1 << 20), BOP_E_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace bop::group

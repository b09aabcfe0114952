// A replica's exchange of snapshots with another node's: from the offer to the machine that is ready.
#include "group/snapshot_exchange.h"

#include <gtest/gtest.h>

#include "manual_offload.h"
#include "memory_machine.h"
#include "raft/configuration.h"
#include "sim/disk.h"

namespace bop::group {
namespace {

struct Clock final : port::Clock {
  Instant now() const override { return now_ns; }
  int64_t wall_ns() const override { return now_ns; }
  Instant now_ns = 1 * seconds;
};

struct Timers final : port::Timers {
  struct One final : port::Timer {
    void arm(Instant) override {}
    void cancel() override {}
  };
  std::unique_ptr<port::Timer> make_timer(std::function<void()>) override {
    return std::make_unique<One>();
  }
};

const raft::Configuration members{{1, 2, 3}, {}};

struct Side final : Host {
  explicit Side(NodeId id) : id(id), disk(id) {
    files = std::make_shared<SnapshotFiles>(disk, "shard0/snap/group-7");
    SnapshotExchange::Options options;
    options.installer = {
        .cluster = {}, .group = 7, .name = "g", .machine = &table, .machine_options = {}};
    options.self = id;
    options.instance = 4;
    options.directory_of = [](uint64_t instance) {
      return "shard0/group-7/" + std::to_string(instance);
    };
    exchange = std::make_unique<SnapshotExchange>(std::move(options), files,
                                                  SnapshotExchange::Ports{.clock = clock,
                                                                          .timers = timers,
                                                                          .host = *this,
                                                                          .offload = offload,
                                                                          .budget = budget,
                                                                          .metrics = &metrics},
                                                  [this] { scheduled = true; });
  }
  void schedule(Replica&) override {}
  void send(GroupId, const raft::Message&) override {}
  bool forward(NodeId, GroupId, const Forward&) override { return false; }
  void reply_forward(NodeId, GroupId, const ForwardReply&) override {}
  bool fetch(NodeId from, const proto::FetchItem& item) override {
    if (other == nullptr || from != other->id) return false;
    other->exchange->receive_fetch(id, item);
    return true;
  }
  void answer_fetch(NodeId to, const proto::ChunkItem& item) override {
    EXPECT_EQ(to, other->id);
    other->exchange->receive_chunk(id, item);
  }
  // Its jobs and its turns, until nothing happens any more.
  bool run() {
    bool any = false;
    while (!offload.idle() || scheduled) {
      any = true;
      offload.run();
      if (std::exchange(scheduled, false)) exchange->step();
    }
    return any;
  }

  const NodeId id;
  sim::Disk disk;
  Clock clock;
  Timers timers;
  machine::ManualOffload offload;
  machine::test::MemoryTable table;
  TokenBucket budget{1'000'000'000, 1 << 20, 0};
  metrics::Registry metrics;
  std::shared_ptr<SnapshotFiles> files;
  std::unique_ptr<SnapshotExchange> exchange;
  Side* other = nullptr;
  bool scheduled = false;
};

class SnapshotExchangeTest : public testing::Test {
 protected:
  void SetUp() override {
    donor_.other = &receiver_;
    receiver_.other = &donor_;
    offer_ = {1, 9, make_snapshot(members)};
  }
  raft::SnapshotRef make_snapshot(const raft::Configuration& configuration) {
    auto snapshots = snapshot::Snapshots::open(donor_.disk, donor_.files->directory);
    EXPECT_TRUE(snapshots);
    snapshot::Manifest manifest;
    manifest.group = 7;
    manifest.index = 30;
    manifest.term = 4;
    manifest.time_ns = 55;
    manifest.kind = "memory";
    manifest.version = 1;
    const mem::Buffer encoded = raft::encode_configuration(configuration);
    manifest.configuration = {encoded.data(), encoded.data() + encoded.size()};
    manifest.configuration_index = 3;
    for (const char* bytes : {"a=1\nb=2\n", "c=3\n"}) {
      auto writer = snapshots->begin_part();
      EXPECT_TRUE(writer && writer->append(as_bytes(bytes)));
      auto part = snapshots->publish(std::move(*writer), std::string(bytes, 1));
      EXPECT_TRUE(part);
      manifest.parts.push_back(*part);
    }
    EXPECT_TRUE(snapshots->commit(manifest));
    return {{manifest.term, manifest.index}, snapshots->list().back().id};
  }
  void run() {
    while (donor_.run() || receiver_.run()) {
    }
  }

  Side donor_{1};
  Side receiver_{2};
  raft::Update::Offer offer_{};
};

TEST_F(SnapshotExchangeTest, an_offer_becomes_a_machine_that_the_core_can_be_told_of) {
  EXPECT_FALSE(receiver_.exchange->progress());
  receiver_.exchange->offered(offer_, members);
  EXPECT_TRUE(receiver_.exchange->progress());
  run();
  const auto ready = receiver_.exchange->ready();
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->term, 9u);
  EXPECT_EQ(ready->at, (raft::EntryId{4, 30}));
  EXPECT_EQ(ready->time_ns, 55);
  EXPECT_EQ(ready->configuration.configuration, members);
  EXPECT_EQ(ready->configuration.index, 3u);
  const SnapshotInstaller::Installed installed = receiver_.exchange->take();
  EXPECT_FALSE(receiver_.exchange->ready());
  EXPECT_EQ(installed.instance, 5u);
  EXPECT_EQ(installed.directory, "shard0/group-7/5");
  EXPECT_EQ(installed.manifest.configuration_index, 3u);
  EXPECT_EQ(installed.driver->applied().index, 30u);
  EXPECT_EQ(receiver_.table.opened->state.size(), 3u);
  EXPECT_FALSE(receiver_.exchange->progress());
}

TEST_F(SnapshotExchangeTest, an_offer_that_is_repeated_meanwhile_does_not_begin_again) {
  for (int i = 0; i < 20; ++i) {
    receiver_.exchange->offered(offer_, members);
    receiver_.offload.step(machine::Offload::WorkQueue::bulk);
  }
  run();
  ASSERT_TRUE(receiver_.exchange->ready());
  receiver_.exchange->offered(offer_, members);
  run();
  EXPECT_EQ(receiver_.exchange->take().instance, 5u);
}

TEST_F(SnapshotExchangeTest, one_that_the_core_did_not_adopt_is_dropped_and_not_repeated_at_once) {
  receiver_.exchange->offered(offer_, members);
  run();
  ASSERT_TRUE(receiver_.exchange->ready());
  receiver_.exchange->discard();
  receiver_.exchange->offered(offer_, members);
  run();
  EXPECT_FALSE(receiver_.exchange->ready());
  receiver_.clock.now_ns += 11 * seconds;
  receiver_.exchange->offered(offer_, members);
  run();
  ASSERT_TRUE(receiver_.exchange->ready());
  EXPECT_EQ(receiver_.exchange->take().instance, 6u);  // what was restored before is not used again
}

TEST_F(SnapshotExchangeTest, without_a_way_to_the_node_it_waits_for_the_next_offer) {
  receiver_.other = nullptr;
  receiver_.exchange->offered(offer_, members);
  receiver_.run();
  EXPECT_FALSE(receiver_.exchange->ready());
  receiver_.other = &donor_;
  receiver_.clock.now_ns += 1 * seconds;
  receiver_.exchange->offered(offer_, members);
  receiver_.exchange->step();
  run();
  EXPECT_TRUE(receiver_.exchange->ready());
}

}  // namespace
}  // namespace bop::group

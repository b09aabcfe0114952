// The core over a transport in memory: the life of a call, without sockets and without waiting.
#include "client/core.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "memory_transport.h"

namespace bop::client {
namespace {

using proto::RequestKind;

class Outcomes final : public Listener {
 public:
  struct Seen {
    int32_t status = 0;
    uint32_t attempts = 0;
  };
  void complete(const Outcome& outcome) override {
    EXPECT_TRUE(seen.emplace(outcome.tag, Seen{outcome.status, outcome.attempts}).second);
  }
  std::map<uint64_t, Seen> seen;
};

// A core with one endpoint, and a server that answers each request as a test says.
class Rig {
 public:
  using Answer = std::function<std::optional<proto::ClientReply>(const proto::ClientRequest&)>;

  explicit Rig(Answer answer, bool by_name = true) : answer_(std::move(answer)), by_name_(by_name) {
    Options options;
    options.endpoints = {{"127.0.0.1", 7100, {}}};
    core_ = std::make_unique<Core>(options, outcomes, transport);
  }
  ~Rig() { core_->stop(); }

  void begin(RequestKind kind, uint64_t tag, Duration timeout = 5 * seconds) {
    Call call;
    call.tag = tag;
    call.kind = kind;
    if (kind != RequestKind::status) {
      if (by_name_) {
        call.group_name = "kv";
      } else {
        call.group = 1;
      }
    }
    call.deadline = transport.now() + timeout;
    core_->begin(std::move(call));
  }
  void stop() { core_->stop(); }

  // Runs until all calls are completed, or for that long.
  void run(size_t outcomes_wanted, Duration limit = 20 * seconds) {
    const Instant until = transport.now() + limit;
    while (outcomes.seen.size() < outcomes_wanted && transport.now() < until) turn();
  }
  void turn() {
    for (const auto& wire : transport.wires) serve(wire);
    while (!on_the_way_.empty() && on_the_way_.front().at <= transport.now()) {
      on_the_way_.front().wire->send(on_the_way_.front().bytes);
      on_the_way_.pop_front();
    }
    transport.advance(1 * milliseconds);
  }

  Outcomes outcomes;
  MemoryTransport transport;
  std::map<RequestKind, int> heard;  // requests by kind
  Duration round_trip = 0;

 private:
  struct Delayed {
    Instant at;
    std::shared_ptr<Wire> wire;
    std::string bytes;
  };

  void serve(const std::shared_ptr<Wire>& wire) {
    const std::string sent = wire->take();
    proto::FrameSplitter splitter(proto::client_format);
    std::vector<mem::Buffer> frames;
    ASSERT_TRUE(splitter.push(mem::Buffer::copy(as_bytes(sent)), frames));
    for (const mem::Buffer& frame : frames) {
      const auto decoded = proto::decode_client_frame(frame);
      ASSERT_TRUE(decoded);
      writer_.begin();
      if (const auto* request = std::get_if<proto::ClientRequest>(&*decoded)) {
        ++heard[request->kind];
        std::optional<proto::ClientReply> reply = answer_(*request);
        if (!reply) {
          wire->hang_up();
          return;
        }
        reply->correlation = request->correlation;
        encode(*reply, writer_);
      } else {
        encode(proto::ClientHelloAck{}, writer_);
      }
      std::string bytes;
      for (const mem::Buffer& part : writer_.finish()) bytes += as_text(part.bytes());
      on_the_way_.push_back({transport.now() + round_trip, wire, std::move(bytes)});
    }
  }

  const Answer answer_;
  const bool by_name_;
  proto::PartWriter writer_;
  std::deque<Delayed> on_the_way_;
  std::unique_ptr<Core> core_;
};

std::optional<proto::ClientReply> reply(int32_t status) {
  proto::ClientReply out;
  out.status = status;
  return out;
}

std::optional<proto::ClientReply> group_id() {
  proto::ClientReply out;
  out.body = mem::Buffer::copy(as_bytes(std::string_view("\x2a\0\0\0\0\0\0\0", 8)));
  return out;
}

TEST(AClientCore, is_answered_over_any_round_trip_below_the_deadline) {
  for (const Duration round_trip : {900 * milliseconds, 1300 * milliseconds, 3 * seconds}) {
    Rig rig([](const proto::ClientRequest&) { return reply(BOP_OK); }, false);
    rig.round_trip = round_trip;
    for (uint64_t tag = 1; tag <= 3; ++tag) {
      rig.begin(RequestKind::query, tag, 30 * seconds);
      rig.run(tag, 30 * seconds);
      EXPECT_EQ(rig.outcomes.seen[tag].status, BOP_OK) << round_trip / milliseconds << " ms";
    }
  }
}

TEST(AClientCore, never_reports_an_unknown_outcome_for_a_command_that_was_not_sent) {
  Rig rig([](const auto& request) {
    EXPECT_EQ(request.kind, RequestKind::find_group);
    return reply(BOP_E_OUTCOME_UNKNOWN);
  });
  rig.begin(RequestKind::propose, 1, 300 * milliseconds);
  rig.run(1);
  EXPECT_EQ(rig.outcomes.seen[1].status, BOP_E_UNAVAILABLE);
  EXPECT_EQ(rig.outcomes.seen[1].attempts, 0u);
  EXPECT_GT(rig.heard[RequestKind::find_group], 1);  // it asked again
}

TEST(AClientCore, never_reports_an_unknown_outcome_for_a_status_request) {
  Rig rig([](const auto&) { return reply(BOP_E_OUTCOME_UNKNOWN); });
  rig.begin(RequestKind::status, 1);
  rig.run(1);
  EXPECT_EQ(rig.outcomes.seen[1].status, BOP_E_UNAVAILABLE);
}

TEST(AClientCore, sends_its_command_when_find_group_is_answered_late) {
  int asked = 0;
  Rig rig([&](const auto& request) {
    if (request.kind == RequestKind::propose) return reply(BOP_OK);
    return ++asked < 3 ? reply(BOP_E_OUTCOME_UNKNOWN) : group_id();
  });
  rig.begin(RequestKind::propose, 1);
  rig.run(1);
  EXPECT_EQ(rig.outcomes.seen[1].status, BOP_OK);
  EXPECT_EQ(rig.outcomes.seen[1].attempts, 1u);
}

TEST(AClientCore, passes_on_an_unknown_outcome_of_a_server) {
  Rig rig([](const auto&) { return reply(BOP_E_OUTCOME_UNKNOWN); }, false);
  rig.begin(RequestKind::propose, 1);
  rig.run(1);
  EXPECT_EQ(rig.outcomes.seen[1].status, BOP_E_OUTCOME_UNKNOWN);
  EXPECT_EQ(rig.outcomes.seen[1].attempts, 1u);
  EXPECT_EQ(rig.heard[RequestKind::propose], 1);
}

// The connection breaks, or the client is closed, while find_group is in flight: the command itself was not
// sent.
TEST(AClientCore, distinguishes_find_group_from_the_command_that_waits_for_it) {
  Rig rig([](const auto&) { return std::nullopt; });
  rig.begin(RequestKind::propose, 1, 300 * milliseconds);
  rig.run(1);
  EXPECT_EQ(rig.outcomes.seen[1].status, BOP_E_UNAVAILABLE);
  rig.begin(RequestKind::propose, 2);
  rig.turn();
  rig.stop();
  EXPECT_EQ(rig.outcomes.seen[2].status, BOP_E_STOPPED);
  for (const uint64_t tag : {1, 2}) EXPECT_EQ(rig.outcomes.seen[tag].attempts, 0u);
}

TEST(AClientCore, refuses_a_call_at_its_deadline_when_no_endpoint_listens) {
  Rig rig([](const auto&) { return reply(BOP_OK); });
  rig.transport.listens = [](const net::Address&) { return false; };
  const Instant begun = rig.transport.now();
  rig.begin(RequestKind::propose, 1, 300 * milliseconds);
  rig.run(1);
  EXPECT_EQ(rig.outcomes.seen[1].status, BOP_E_UNAVAILABLE);
  EXPECT_GE(rig.transport.now() - begun, 300 * milliseconds);
  EXPECT_LE(rig.transport.now() - begun, 300 * milliseconds + 2 * Calls::tick);
}

}  // namespace
}  // namespace bop::client

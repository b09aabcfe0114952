// What crosses between the shards of a node: requests and their answers, frames to peers. Everything
// that crosses is copied, since buffers belong to one thread, and goes in one batch a turn.
#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "node/node.h"

namespace bop::node {

struct CrossingRequest {
  bool read = false;
  GroupId group = 0;
  std::vector<uint8_t> payload;
  Instant deadline = 0;  // the seats of a node have one clock
  uint64_t token = 0;    // of the asking side
};

struct CrossingOutcome {
  uint64_t token = 0;
  bop_status status = BOP_OK;
  std::vector<uint8_t> body;
  Index index = 0;
  NodeId leader = 0;
  std::string detail;
};

// The Service of one seat: what its own shard hosts goes there at once, the rest crosses.
class CrossingService final : public Service {
 public:
  CrossingService(Node& node, uint32_t seat);
  ~CrossingService() override;

  Result<GroupId> find_group(std::string_view name) const override;
  void propose(Request request) override { route(std::move(request), false); }
  void query(Request request) override { route(std::move(request), true); }
  void status(std::function<void(NodeStatus)> done) override;
  bool ready() const override;
  Instant now() const override;

  static constexpr size_t max_open_calls = 1 << 16;

  void start();  // keeps what other seats may ask of this one's readiness current
  // Calls `done` once no call to another shard is open, or at the deadline.
  void when_completed(Instant deadline, std::function<void()> done);

 private:
  // Answers what another seat asked for; a Completion for this seat's shard.
  class RemoteCompletion;

  struct Call {
    Completion* completion = nullptr;
    uint64_t token = 0;
  };

  // A status on its way from all seats.
  struct Gathering {
    std::vector<NodeStatus> parts;  // by seat
    size_t left = 0;
    std::function<void(NodeStatus)> done;
  };

  void route(Request request, bool read);
  void cross(uint32_t seat, Request request, bool read);
  void flush();
  void request_flush();
  void take_requests(uint32_t from, std::vector<CrossingRequest> requests);
  void take_outcomes(std::vector<CrossingOutcome> answers);
  void take_status(uint64_t gathering, uint32_t seat, NodeStatus status);
  void check_completed();
  size_t open_calls() const { return calls_.size() - free_calls_.size(); }

  Node& node_;
  const uint32_t seat_;
  Shard& shard_;
  std::vector<Call> calls_;
  std::vector<uint64_t> free_calls_;
  std::vector<CrossingOutcome> refused_;
  std::vector<std::vector<CrossingRequest>> requests_;                 // by the seat they go to
  std::vector<std::unique_ptr<RemoteCompletion>> remote_completions_;  // by the seat that asked
  bool flush_requested_ = false;
  std::map<uint64_t, Gathering> gatherings_;  // by number
  uint64_t last_gathering_ = 0;
  std::unique_ptr<port::Timer> ready_timer_;
  std::unique_ptr<port::Timer> completed_timer_;
  std::function<void()> completed_;
  Instant completed_deadline_ = 0;
  std::atomic<bool> ready_ = false;  // read by other seats
};

// The Transport of a seat without connections: frames cross to the first seat, which has them.
//
// queued_bytes() counts what crosses: what the connections themselves have queued is only known to the
// first seat, which drops what they do not take, as any frame may be lost.
class CrossingTransport final : public port::Transport {
 public:
  CrossingTransport(Node& node, uint32_t seat) : node_(node), seat_(seat) {}

  void set_receiver(port::TransportReceiver*) override {}
  bool send(NodeId to, port::Lane lane, std::span<const mem::Buffer> parts) override;
  uint64_t queued_bytes(NodeId, port::Lane) const override { return queued_bytes_; }

 private:
  struct Frame {
    NodeId to;
    port::Lane lane;
    std::vector<uint8_t> bytes;
  };

  Node& node_;
  const uint32_t seat_;
  std::vector<Frame> frames_;
  std::atomic<uint64_t> queued_bytes_ = 0;
};

}  // namespace bop::node

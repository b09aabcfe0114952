#include "node/crossing.h"

#include <algorithm>

namespace bop::node {

namespace {

constexpr Duration ready_every = 100 * milliseconds;
constexpr Duration completed_every = 10 * milliseconds;

CrossingOutcome copy_of(uint64_t token, const Outcome& outcome) {
  return {.token = token,
          .status = outcome.status,
          .body = {outcome.body.begin(), outcome.body.end()},
          .index = outcome.index,
          .leader = outcome.leader,
          .detail = std::string(outcome.detail)};
}

// The first seat speaks for the node, each for its log and its groups.
NodeStatus merged(const std::vector<NodeStatus>& parts) {
  NodeStatus all = parts.front();
  for (size_t seat = 1; seat < parts.size(); ++seat) {
    const NodeStatus& part = parts[seat];
    all.groups.insert(all.groups.end(), part.groups.begin(), part.groups.end());
    all.log_used_bytes += part.log_used_bytes;
    all.shards.insert(all.shards.end(), part.shards.begin(), part.shards.end());
    if (part.log_latched) all.log_latched = true, all.log_error = part.log_error;
  }
  std::sort(all.groups.begin(), all.groups.end(),
            [](const GroupStatus& a, const GroupStatus& b) { return a.id < b.id; });
  return all;
}

}  // namespace

class CrossingService::RemoteCompletion final : public Completion {
 public:
  RemoteCompletion(CrossingService& service, uint32_t asker) : service_(service), asker_(asker) {}

  void complete(uint64_t token, const Outcome& outcome) override {
    outcomes_.push_back(copy_of(token, outcome));
    service_.request_flush();
  }

  void flush() {
    if (outcomes_.empty()) return;
    CrossingService* to = service_.node_.services_[asker_].get();
    service_.node_.seats_[asker_].post.post(
        [to, answers = std::exchange(outcomes_, {})] { to->take_outcomes(answers); });
  }

 private:
  CrossingService& service_;
  const uint32_t asker_;
  std::vector<CrossingOutcome> outcomes_;
};

CrossingService::CrossingService(Node& node, uint32_t seat)
    : node_(node),
      seat_(seat),
      shard_(*node.shards_[seat]),
      requests_(node.seats_.size()),
      remote_completions_(node.seats_.size()) {
  for (uint32_t asker = 0; asker < remote_completions_.size(); ++asker)
    remote_completions_[asker] = std::make_unique<RemoteCompletion>(*this, asker);
}

CrossingService::~CrossingService() = default;

void CrossingService::start() {
  const Seat& seat = node_.seats_[seat_];
  ready_timer_ = seat.timers.make_timer([this, &seat] {
    ready_.store(shard_.own_ready(), std::memory_order_relaxed);
    ready_timer_->arm(seat.clock.now() + ready_every);
  });
  completed_timer_ = seat.timers.make_timer([this] { check_completed(); });
  if (node_.seats_.size() > 1) ready_timer_->arm(seat.clock.now());
}

void CrossingService::when_completed(Instant deadline, std::function<void()> done) {
  completed_ = std::move(done);
  completed_deadline_ = deadline;
  check_completed();
}

void CrossingService::check_completed() {
  if (open_calls() > 0 && now() < completed_deadline_)
    return completed_timer_->arm(now() + completed_every);
  std::exchange(completed_, {})();
}

Result<GroupId> CrossingService::find_group(std::string_view name) const {
  return shard_.find_group(name);
}

Instant CrossingService::now() const { return shard_.now(); }

bool CrossingService::ready() const {
  for (const auto& other : node_.services_) {
    const bool ready =
        other.get() == this ? shard_.own_ready() : other->ready_.load(std::memory_order_relaxed);
    if (!ready) return false;
  }
  return true;
}

// ---- the asking side ----

void CrossingService::route(Request request, bool read) {
  const uint32_t seat = node_.seat_of(request.group);
  if (seat != seat_ && seat < node_.seats_.size()) return cross(seat, std::move(request), read);
  // Ours, or nobody's, which the shard says.
  if (read)
    shard_.query(std::move(request));
  else
    shard_.propose(std::move(request));
}

void CrossingService::cross(uint32_t seat, Request request, bool read) {
  if (free_calls_.empty()) {
    free_calls_.push_back(calls_.size());
    calls_.emplace_back();
  }
  const uint64_t call = free_calls_.back();
  free_calls_.pop_back();
  calls_[call] = {request.completion, request.token};
  request_flush();
  if (open_calls() > max_open_calls) {
    refused_.emplace_back();
    refused_.back().token = call;
    refused_.back().status = BOP_E_OVERLOADED;
    refused_.back().detail = "too many requests wait for other shards";
    return;
  }
  requests_[seat].push_back(
      {.read = read,
       .group = request.group,
       .payload = {request.payload.data(), request.payload.data() + request.payload.size()},
       .deadline = request.deadline,
       .token = call});
}

void CrossingService::take_outcomes(std::vector<CrossingOutcome> answers) {
  for (const CrossingOutcome& from : answers) {
    const Call call = calls_[from.token];
    free_calls_.push_back(from.token);
    Outcome out;
    out.status = from.status;
    out.body = from.body;
    out.index = from.index;
    out.leader = from.leader;
    out.detail = from.detail;
    call.completion->complete(call.token, out);
  }
}

void CrossingService::request_flush() {
  if (flush_requested_) return;
  flush_requested_ = true;
  node_.seats_[seat_].post.at_end_of_turn(port::Phase::submit, [this] { flush(); });
}

void CrossingService::flush() {
  flush_requested_ = false;
  for (uint32_t seat = 0; seat < requests_.size(); ++seat) {
    if (requests_[seat].empty()) continue;
    CrossingService* to = node_.services_[seat].get();
    node_.seats_[seat].post.post(
        [to, from = seat_, requests = std::exchange(requests_[seat], {})]() mutable {
          to->take_requests(from, std::move(requests));
        });
  }
  for (auto& remote_completion : remote_completions_) remote_completion->flush();
  take_outcomes(std::exchange(refused_, {}));
}

// ---- the answering side ----

void CrossingService::take_requests(uint32_t from, std::vector<CrossingRequest> requests) {
  for (const CrossingRequest& crossed : requests) {
    Request request;
    request.group = crossed.group;
    request.payload = mem::Buffer::copy(crossed.payload);
    request.deadline = crossed.deadline;
    request.completion = remote_completions_[from].get();
    request.token = crossed.token;
    if (crossed.read)
      shard_.query(std::move(request));
    else
      shard_.propose(std::move(request));
  }
}

// ---- status ----

// Only values cross: `done` belongs to this seat's thread, where it is destroyed too.
void CrossingService::status(std::function<void(NodeStatus)> done) {
  const size_t seats = node_.seats_.size();
  const uint64_t gathering = ++last_gathering_;
  gatherings_[gathering] = {
      .parts = std::vector<NodeStatus>(seats), .left = seats, .done = std::move(done)};
  for (uint32_t seat = 0; seat < seats; ++seat) {
    node_.seats_[seat].post.post([this, seat, gathering] {
      node_.seats_[seat_].post.post(
          [this, seat, gathering, status = node_.shards_[seat]->own_status()]() mutable {
            take_status(gathering, seat, std::move(status));
          });
    });
  }
}

void CrossingService::take_status(uint64_t number, uint32_t seat, NodeStatus status) {
  Gathering& gathering = gatherings_.at(number);
  gathering.parts[seat] = std::move(status);
  if (--gathering.left > 0) return;
  const Gathering whole = std::move(gathering);
  gatherings_.erase(number);
  whole.done(merged(whole.parts));
}

// ---- frames ----

bool CrossingTransport::send(NodeId to, port::Lane lane, std::span<const mem::Buffer> parts) {
  if (queued_bytes_ > node_.options_.peer_queue_bytes / 2) return false;
  Frame frame{to, lane, {}};
  for (const mem::Buffer& part : parts)
    frame.bytes.insert(frame.bytes.end(), part.data(), part.data() + part.size());
  queued_bytes_ += frame.bytes.size();
  if (frames_.empty()) {
    // One batch a turn: what is sent until the turn ends joins it.
    node_.seats_[seat_].post.at_end_of_turn(port::Phase::submit, [this] {
      node_.seats_[0].post.post([this, frames = std::exchange(frames_, {})] {
        for (const Frame& crossed : frames) {
          queued_bytes_ -= crossed.bytes.size();
          const mem::Buffer part = mem::Buffer::copy(crossed.bytes);
          (void)node_.transport_.send(crossed.to, crossed.lane, {&part, 1});
        }
      });
    });
  }
  frames_.push_back(std::move(frame));
  return true;
}

}  // namespace bop::node

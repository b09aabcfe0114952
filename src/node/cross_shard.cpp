#include "node/cross_shard.h"

#include <algorithm>
#include <utility>

#include "node/status.h"

namespace bop::node {

namespace {

// How long a status waits for the other shards.
constexpr Duration status_patience = 1 * seconds;
constexpr Duration completed_every = 10 * milliseconds;
// Of outcomes that are passed on in one turn, as in group::Limits.
constexpr size_t max_outcome_bytes_a_turn = 4 << 20;

CrossShardOutcome copy_of(uint64_t token, const Outcome& outcome) {
  return {.token = token,
          .status = outcome.status,
          .body = {outcome.body.begin(), outcome.body.end()},
          .index = outcome.index,
          .leader = outcome.leader,
          .detail = std::string(outcome.detail)};
}

}  // namespace

class CrossShardService::RemoteCompletion final : public Completion {
 public:
  RemoteCompletion(CrossShardService& service, uint32_t asker) : service_(service), asker_(asker) {}

  void complete(uint64_t token, const Outcome& outcome) override {
    outcomes_.push_back(copy_of(token, outcome));
    service_.request_flush();
  }

  void flush() {
    if (outcomes_.empty()) return;
    CrossShardService* to = service_.node_.services_[asker_].get();
    service_.node_.contexts_[asker_].post.post(
        [to, answers = std::exchange(outcomes_, {})]() mutable {
          to->take_outcomes(std::move(answers));
        });
  }

 private:
  CrossShardService& service_;
  const uint32_t asker_;
  std::vector<CrossShardOutcome> outcomes_;
};

CrossShardService::CrossShardService(Node& node, uint32_t shard_index)
    : node_(node),
      shard_index_(shard_index),
      shard_(*node.shards_[shard_index]),
      requests_(node.contexts_.size()),
      remote_completions_(node.contexts_.size()) {
  for (uint32_t asker = 0; asker < remote_completions_.size(); ++asker)
    remote_completions_[asker] = std::make_unique<RemoteCompletion>(*this, asker);
}

CrossShardService::~CrossShardService() = default;

void CrossShardService::start() {
  const ShardContext& context = node_.contexts_[shard_index_];
  status_timer_ = context.timers.make_timer([this] { expire_statuses(); });
  completed_timer_ = context.timers.make_timer([this] { check_completed(); });
}

void CrossShardService::when_completed(Instant deadline, std::function<void()> done) {
  completed_ = std::move(done);
  completed_deadline_ = deadline;
  check_completed();
}

void CrossShardService::check_completed() {
  if (open_calls() > 0 && now() < completed_deadline_)
    return completed_timer_->arm(now() + completed_every);
  std::exchange(completed_, {})();
}

Result<GroupId> CrossShardService::find_group(std::string_view name) const {
  return shard_.find_group(name);
}

std::string_view CrossShardService::machine_of(GroupId group) const {
  return shard_.machine_of(group);
}

Instant CrossShardService::now() const { return shard_.now(); }

// ---- the asking side ----

void CrossShardService::route(Request request, bool read) {
  const uint32_t shard_index = node_.shard_of(request.group);
  if (shard_index != shard_index_ && shard_index < node_.contexts_.size())
    return cross(shard_index, std::move(request), read);
  // A group of no shard, too: this one refuses it by name.
  if (read)
    shard_.query(std::move(request));
  else
    shard_.propose(std::move(request));
}

void CrossShardService::cross(uint32_t shard_index, Request request, bool read) {
  BOP_ASSERT_NE(shard_index, shard_index_);
  BOP_ASSERT(request.completion != nullptr);
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
  requests_[shard_index].push_back(
      {.read = read,
       .group = request.group,
       .payload = {request.payload.data(), request.payload.data() + request.payload.size()},
       .deadline = request.deadline,
       .token = call,
       .connection = request.connection});
}

void CrossShardService::take_outcomes(std::vector<CrossShardOutcome> answers) {
  size_t bytes = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (bytes >= max_outcome_bytes_a_turn) {
      answers.erase(answers.begin(), answers.begin() + static_cast<ptrdiff_t>(i));
      // Before later ones of that shard, which are posted behind it.
      node_.contexts_[shard_index_].post.post(
          [this, rest = std::move(answers)]() mutable { take_outcomes(std::move(rest)); });
      return;
    }
    const CrossShardOutcome& from = answers[i];
    bytes += from.body.size();
    BOP_ASSERT_LT(from.token, calls_.size());
    const Call call = std::exchange(calls_[from.token], {});
    BOP_ASSERT(call.completion != nullptr);  // each call is completed once
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

void CrossShardService::request_flush() {
  if (flush_requested_) return;
  flush_requested_ = true;
  node_.contexts_[shard_index_].post.at_end_of_turn(port::Phase::submit, [this] { flush(); });
}

void CrossShardService::flush() {
  flush_requested_ = false;
  for (uint32_t shard_index = 0; shard_index < requests_.size(); ++shard_index) {
    if (requests_[shard_index].empty()) continue;
    CrossShardService* to = node_.services_[shard_index].get();
    node_.contexts_[shard_index].post.post(
        [to, from = shard_index_, requests = std::exchange(requests_[shard_index], {})]() mutable {
          to->take_requests(from, std::move(requests));
        });
  }
  for (auto& remote_completion : remote_completions_) remote_completion->flush();
  take_outcomes(std::exchange(refused_, {}));
#if defined(BOP_SLOW_ASSERTS)
  check_invariants();
#endif
}

// After a flush: nothing waits for one, and a call is open or its number is free.
void CrossShardService::check_invariants() const {
  BOP_ASSERT_LE(free_calls_.size(), calls_.size());
  BOP_ASSERT(requests_[shard_index_].empty());
  size_t open = 0;
  for (const Call& call : calls_) open += call.completion != nullptr;
  BOP_ASSERT_EQ(open, open_calls());
  for (const uint64_t call : free_calls_) BOP_ASSERT(calls_[call].completion == nullptr);
}

// ---- the answering side ----

void CrossShardService::take_requests(uint32_t from, std::vector<CrossShardRequest> requests) {
  BOP_ASSERT_LT(from, remote_completions_.size());
  BOP_ASSERT_NE(from, shard_index_);
  for (const CrossShardRequest& crossed : requests) {
    Request request;
    request.group = crossed.group;
    request.payload = mem::Buffer::copy(crossed.payload);
    request.deadline = crossed.deadline;
    request.completion = remote_completions_[from].get();
    request.token = crossed.token;
    request.connection = crossed.connection;
    if (crossed.read)
      shard_.query(std::move(request));
    else
      shard_.propose(std::move(request));
  }
}

// ---- status ----

// Only values cross: `done` is called and destroyed on this shard's thread.
void CrossShardService::status(std::function<void(NodeStatus)> done) {
  const size_t shards = node_.contexts_.size();
  const uint64_t gathering = ++last_gathering_;
  const Instant deadline = now() + status_patience;
  if (gatherings_.empty()) status_timer_->arm(deadline);
  gatherings_[gathering] = {.parts = std::vector<std::optional<NodeStatus>>(shards),
                            .left = shards,
                            .deadline = deadline,
                            .done = std::move(done)};
  for (uint32_t shard_index = 0; shard_index < shards; ++shard_index) {
    node_.contexts_[shard_index].post.post([this, shard_index, gathering] {
      node_.contexts_[shard_index_].post.post(
          [this, shard_index, gathering, status = node_.status_of(shard_index)]() mutable {
            take_status(gathering, shard_index, std::move(status));
          });
    });
  }
}

void CrossShardService::take_status(uint64_t number, uint32_t shard_index, NodeStatus status) {
  const auto found = gatherings_.find(number);
  if (found == gatherings_.end()) return;  // too late
  Gathering& gathering = found->second;
  BOP_ASSERT(!gathering.parts[shard_index].has_value());
  gathering.parts[shard_index] = std::move(status);
  if (--gathering.left == 0) finish_status(number);
}

void CrossShardService::finish_status(uint64_t number) {
  Gathering whole = std::move(gatherings_.at(number));
  gatherings_.erase(number);
  whole.done(merged(node_.options_, std::move(whole.parts)));
}

void CrossShardService::expire_statuses() {
  while (!gatherings_.empty()) {
    const auto& [number, oldest] = *gatherings_.begin();
    if (oldest.deadline > now()) return status_timer_->arm(oldest.deadline);
    // This shard did not run itself for long, and its own part is still on its way.
    if (!oldest.parts[shard_index_]) return status_timer_->arm(now() + 1 * milliseconds);
    finish_status(number);
  }
}

// ---- snapshots ----

// As of a status, only values cross.
void CrossShardService::snapshots(GroupId group, SnapshotAction action, SnapshotsDone done) {
  uint32_t shard_index = node_.shard_of(group);
  if (shard_index >= node_.contexts_.size()) shard_index = shard_index_;  // it refuses it by name
  const uint64_t number = ++last_snapshots_;
  const bool too_many = snapshots_.size() >= max_open_snapshots;
  snapshots_[number] = std::move(done);
  if (too_many) {
    node_.contexts_[shard_index_].post.post([this, number] {
      take_snapshots(number, fail(BOP_E_OVERLOADED, "too many requests for snapshots are open"));
    });
    return;
  }
  const auto back = [this, number](Result<std::vector<SnapshotStatus>> result) {
    node_.contexts_[shard_index_].post.post([this, number, result = std::move(result)]() mutable {
      take_snapshots(number, std::move(result));
    });
  };
  node_.contexts_[shard_index].post.post([&shard = *node_.shards_[shard_index], group, action,
                                          back] { shard.snapshots(group, action, back); });
}

void CrossShardService::take_snapshots(uint64_t number,
                                       Result<std::vector<SnapshotStatus>> result) {
  const auto found = snapshots_.find(number);
  BOP_ASSERT(found != snapshots_.end());  // each is answered once
  const SnapshotsDone done = std::move(found->second);
  snapshots_.erase(found);
  done(std::move(result));
}

// ---- frames ----

// As of the last heartbeat to that peer.
uint64_t CrossShardTransport::delivered_bytes(NodeId to, port::Channel channel) const {
  return channel == port::Channel::bulk ? node_.delivered_bytes(to) : 0;
}

bool CrossShardTransport::send(NodeId to, port::Channel channel,
                               std::span<const mem::Buffer> parts) {
  if (queued_bytes_ > node_.options_.peer_queue_bytes / 2) return false;
  Frame frame{to, channel, {}};
  for (const mem::Buffer& part : parts)
    frame.bytes.insert(frame.bytes.end(), part.data(), part.data() + part.size());
  queued_bytes_ += frame.bytes.size();
  if (frames_.empty()) {
    // One batch a turn: what is sent until the turn ends joins it.
    node_.contexts_[shard_index_].post.at_end_of_turn(port::Phase::submit, [this] {
      node_.contexts_[0].post.post([this, frames = std::exchange(frames_, {})] {
        for (const Frame& crossed : frames) {
          queued_bytes_ -= crossed.bytes.size();
          const mem::Buffer part = mem::Buffer::copy(crossed.bytes);
          (void)node_.transport_.send(crossed.to, crossed.channel, {&part, 1});
        }
      });
    });
  }
  frames_.push_back(std::move(frame));
  return true;
}

}  // namespace bop::node

#include "group/forwarder.h"

#include <utility>

#include "group/seeded_bugs.h"

namespace bop::group {

bool Forwarder::has_held(uint64_t connection) const {
  return held_.contains(connection) && !seeded(Bug::overtake_undecided);
}

// The requests to earlier leaders that have no reply hold back the later ones of their connections.
void Forwarder::change_leader(const Leadership& leader) {
  leader_ = leader;
  for (auto& [connection, held] : held_) held.undecided = 0;
  for (const auto& [sequence, sent] : sent_)
    if (sent.request.connection != 0 && sent.leader != leader)
      ++held_[sent.request.connection].undecided;
  std::erase_if(waiting_, [this](Request& request) {
    if (!holds(request.connection)) return false;
    held_[request.connection].later.push_back(std::move(request));
    ++held_requests_;
    return true;
  });
}

void Forwarder::decided(const Sent& sent) {
  if (held_.empty() || sent.request.connection == 0 || sent.leader == leader_) return;
  const auto held = held_.find(sent.request.connection);
  if (held == held_.end()) return;
  BOP_ASSERT_GT(held->second.undecided, 0u);
  if (--held->second.undecided == 0) let_go(held);
}

void Forwarder::let_go(HeldOf::iterator held) {
  const Held requests = std::move(held->second);
  held_.erase(held);
  held_requests_ -= requests.refused.size() + requests.later.size();
  for (const auto& [sequence, request] : requests.refused) waiting_.push_back(request);
  waiting_.insert(waiting_.end(), requests.later.begin(), requests.later.end());
}

void Forwarder::wait(Request request) {
  if (waiting_.size() + held_requests_ >= options_.capacity)
    return inbox_.complete(request, BOP_E_OVERLOADED, "too many requests wait for a leader");
  if (!holds(request.connection)) return waiting_.push_back(std::move(request));
  held_[request.connection].later.push_back(std::move(request));
  ++held_requests_;
}

void Forwarder::send(Instant now, Request request) {
  BOP_ASSERT_NE(leader_.node, 0u);
  const Duration left = request.deadline - now;
  if (left <= 0) return inbox_.complete(request, BOP_E_TIMEOUT);
  if (sent_.size() >= options_.capacity)
    return inbox_.complete(request, BOP_E_OVERLOADED, "too many requests wait for the leader");
  const Forward forward{.origin_epoch = options_.epoch,
                        .sequence = ++sequence_,
                        .term = leader_.term,
                        .time_left = left,
                        .payload = request.payload};
  if (!host_.forward(leader_.node, options_.group, forward)) {
    inbox_.add(raft::ForwardFailed{leader_.node});
    return wait(std::move(request));
  }
  sent_.emplace(forward.sequence, Sent{leader_, std::move(request)});
}

void Forwarder::put_back(std::deque<Request> requests) {
  for (; !waiting_.empty(); waiting_.pop_back()) requests.push_front(std::move(waiting_.back()));
  waiting_ = std::move(requests);
}

std::optional<Forwarder::Sent> Forwarder::take_sent(NodeId from, const ForwardReply& reply) {
  if (reply.origin_epoch != options_.epoch) return {};
  const auto found = sent_.find(reply.sequence);
  if (found == sent_.end() || found->second.leader.node != from) return {};
  // It leads no more, and may refuse the others that it was sent, too.
  if (reply.outcome.status == BOP_E_NOT_LEADER && found->second.leader == leader_) {
    refused_by_ = leader_;
    change_leader({});
  }
  Sent sent = std::move(found->second);
  sent_.erase(found);
  return sent;
}

void Forwarder::send_again(uint64_t sequence, Sent sent) {
  const uint64_t connection = sent.request.connection;
  if (!holds(connection)) {
    const Request request = sent.request;
    decided(sent);
    return wait(request);
  }
  held_[connection].refused.emplace(sequence, sent.request);
  ++held_requests_;
  decided(sent);
}

void Forwarder::channel_lost(NodeId node) {
  bool lost = false;
  for (auto it = sent_.begin(); it != sent_.end();) {
    if (it->second.leader.node != node) {
      ++it;
      continue;
    }
    const Sent sent = std::move(it->second);
    it = sent_.erase(it);
    if (seeded(Bug::forward_twice))
      wait(sent.request);
    else
      inbox_.complete(sent.request, BOP_E_OUTCOME_UNKNOWN,
                      "the connection to the leader broke before it answered");
    decided(sent);
    lost = true;
  }
  if (lost) inbox_.add(raft::ForwardFailed{node});
}

void Forwarder::expire_sent(Instant now) {
  std::erase_if(sent_, [&](const auto& entry) {
    const Sent& sent = entry.second;
    if (sent.request.deadline > now) return false;
    inbox_.complete(sent.request,
                    seeded(Bug::unknown_as_unavailable) ? BOP_E_UNAVAILABLE : BOP_E_OUTCOME_UNKNOWN,
                    "the leader did not answer before the deadline");
    inbox_.add(raft::ForwardFailed{sent.leader.node});
    decided(sent);
    return true;
  });
}

template <class Complete>
void Forwarder::erase_held_if(Complete complete) {
  for (auto& [connection, held] : held_) {
    held_requests_ -=
        std::erase_if(held.refused, [&](auto& entry) { return complete(entry.second); });
    held_requests_ -= std::erase_if(held.later, complete);
  }
}

void Forwarder::expire_waiting(Instant now) {
  std::erase_if(waiting_, [&](const Request& request) {
    if (request.deadline > now) return false;
    inbox_.complete(request, BOP_E_UNAVAILABLE, "no leader was known before the deadline");
    return true;
  });
  erase_held_if([&](const Request& request) {
    if (request.deadline > now) return false;
    inbox_.complete(request, BOP_E_UNAVAILABLE,
                    "an earlier command of this connection was not decided before the deadline");
    return true;
  });
}

void Forwarder::refuse_waiting(const Error& reason) {
  for (const Request& request : take_waiting())
    inbox_.complete(request, reason.code, reason.detail);
  erase_held_if([&](const Request& request) {
    inbox_.complete(request, reason.code, reason.detail);
    return true;
  });
}

void Forwarder::abandon_sent() {
  for (const auto& [sequence, sent] : std::exchange(sent_, {}))
    inbox_.complete(sent.request, BOP_E_OUTCOME_UNKNOWN,
                    "the leader did not answer before this node stopped");
  // Those that were held are completed: without undecided ones nothing holds them.
  held_.clear();
}

void Forwarder::check_invariants() const {
  BOP_ASSERT_LE(waiting_.size(), 2 * options_.capacity);
  BOP_ASSERT_LE(sent_.size(), options_.capacity);
  if (!sent_.empty()) BOP_ASSERT_LE(sent_.rbegin()->first, sequence_);
  size_t held_requests = 0;
  for (const auto& [connection, held] : held_) {
    BOP_ASSERT_GT(held.undecided, 0u);
    held_requests += held.refused.size() + held.later.size();
  }
  BOP_ASSERT_EQ(held_requests, held_requests_);
}

}  // namespace bop::group

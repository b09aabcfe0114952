#include "group/forwarder.h"

#include <utility>

#include "group/seeded_bugs.h"

namespace bop::group {

void Forwarder::wait_for_leader(Request request) {
  if (waiting_.size() >= options_.capacity)
    return inbox_.complete(request, BOP_E_OVERLOADED, "too many requests wait for a leader");
  waiting_.push_back(std::move(request));
}

void Forwarder::send(NodeId leader, Term term, Instant now, Request request) {
  BOP_ASSERT_NE(leader, 0u);
  const Duration left = request.deadline - now;
  if (left <= 0) return inbox_.complete(request, BOP_E_TIMEOUT);
  if (sent_.size() >= options_.capacity)
    return inbox_.complete(request, BOP_E_OVERLOADED, "too many requests wait for the leader");
  const Forward forward{.origin_epoch = options_.epoch,
                        .sequence = ++sequence_,
                        .term = term,
                        .time_left = left,
                        .payload = request.payload};
  if (!host_.forward(leader, options_.group, forward)) {
    inbox_.add(raft::ForwardFailed{leader});
    return wait_for_leader(std::move(request));
  }
  sent_.emplace(forward.sequence, Sent{leader, term, std::move(request)});
}

void Forwarder::put_back(std::deque<Request> requests) {
  for (; !waiting_.empty(); waiting_.pop_back()) requests.push_front(std::move(waiting_.back()));
  waiting_ = std::move(requests);
}

std::optional<Forwarder::Sent> Forwarder::take_sent(NodeId from, const ForwardReply& reply) {
  if (reply.origin_epoch != options_.epoch) return {};
  const auto found = sent_.find(reply.sequence);
  if (found == sent_.end() || found->second.to != from) return {};
  Sent sent = std::move(found->second);
  sent_.erase(found);
  return sent;
}

void Forwarder::channel_lost(NodeId node) {
  bool lost = false;
  for (auto it = sent_.begin(); it != sent_.end();) {
    if (it->second.to != node) {
      ++it;
      continue;
    }
    Request request = std::move(it->second.request);
    it = sent_.erase(it);
    if (seeded(Bug::forward_twice))
      wait_for_leader(std::move(request));
    else
      inbox_.complete(request, BOP_E_OUTCOME_UNKNOWN,
                      "the connection to the leader broke before it answered");
    lost = true;
  }
  if (lost) inbox_.add(raft::ForwardFailed{node});
}

void Forwarder::expire_sent(Instant now) {
  std::erase_if(sent_, [&](const auto& entry) {
    const Request& request = entry.second.request;
    if (request.deadline > now) return false;
    inbox_.complete(request,
                    seeded(Bug::unknown_as_unavailable) ? BOP_E_UNAVAILABLE : BOP_E_OUTCOME_UNKNOWN,
                    "the leader did not answer before the deadline");
    inbox_.add(raft::ForwardFailed{entry.second.to});
    return true;
  });
}

void Forwarder::expire_waiting(Instant now) {
  std::erase_if(waiting_, [&](const Request& request) {
    if (request.deadline > now) return false;
    inbox_.complete(request, BOP_E_UNAVAILABLE, "no leader was known before the deadline");
    return true;
  });
}

void Forwarder::refuse_waiting(const Error& reason) {
  for (const Request& request : take_waiting())
    inbox_.complete(request, reason.code, reason.detail);
}

void Forwarder::abandon_sent() {
  for (const auto& [sequence, sent] : std::exchange(sent_, {}))
    inbox_.complete(sent.request, BOP_E_OUTCOME_UNKNOWN,
                    "the leader did not answer before this node stopped");
}

void Forwarder::check_invariants() const {
  BOP_ASSERT_LE(waiting_.size(), options_.capacity);
  BOP_ASSERT_LE(sent_.size(), options_.capacity);
  if (!sent_.empty()) BOP_ASSERT_LE(sent_.rbegin()->first, sequence_);
}

}  // namespace bop::group

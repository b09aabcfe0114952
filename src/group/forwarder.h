// A follower's requests that the leader has to execute: those that wait until a leader is known, and those
// that were sent to it and have no reply yet.
//
//            a leader is known                    its reply
//   waiting ───────────────────► sent ─────────────────────────► completed
//      ▲                          │ NOT_LEADER: not proposed         ▲
//      └──────────────────────────┤                                  │
//                                 └─ deadline, channel lost: OUTCOME_UNKNOWN
//
// A request is forwarded once, and sent again only if it provably was not proposed. Every failure to send
// is an event for the core: a follower of a quiesced group expects no heartbeats, so a failed request may
// be the first sign that the leader is lost.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "group/host.h"
#include "group/inbox.h"

namespace bop::group {

class Forwarder {
 public:
  struct Options {
    GroupId group = 0;
    uint64_t epoch =
        0;  // of this node's log: distinguishes requests of this start from earlier ones
    size_t capacity = 0;  // limit of the waiting requests, and of the sent ones
  };
  // A request that was sent to the leader.
  struct Sent {
    NodeId to = 0;
    Term term = 0;  // in which `to` leads
    Request request;
  };

  Forwarder(const Options& options, Host& host, Inbox& inbox)
      : options_(options), host_(host), inbox_(inbox) {}

  void wait_for_leader(Request request);
  // If it cannot be sent now, it waits.
  void send(NodeId leader, Term term, Instant now, Request request);
  // Takes out the waiting requests, to be routed again.
  std::deque<Request> take_waiting() { return std::exchange(waiting_, {}); }
  // Those of them that were not routed, in order: behind the ones that had to wait again.
  void put_back(std::deque<Request> requests);
  // The request that `reply` belongs to; nullopt: it is completed already, or of an earlier start.
  std::optional<Sent> take_sent(NodeId from, const ForwardReply& reply);

  void channel_lost(NodeId node);
  void expire_sent(Instant now);
  void expire_waiting(Instant now);
  void refuse_waiting(const Error& reason);
  // Completes the sent requests with OUTCOME_UNKNOWN, since the node stops.
  void abandon_sent();

  bool has_waiting() const { return !waiting_.empty(); }
  bool idle() const { return waiting_.empty() && sent_.empty(); }

  void check_invariants() const;

 private:
  const Options options_;
  Host& host_;
  Inbox& inbox_;
  std::deque<Request> waiting_;
  std::map<uint64_t, Sent> sent_;  // by sequence
  uint64_t sequence_ = 0;          // of the latest one sent
};

}  // namespace bop::group

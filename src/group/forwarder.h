// A follower's requests on their way to the leader: those that wait until one is known, and those that
// were sent to it and have no reply yet.
//
//            a leader is known                    its reply
//   waiting ───────────────────► sent ─────────────────────────► completed
//      ▲                          │ NOT_LEADER: not proposed         ▲
//      └──────────────────────────┤                                  │
//                                 └─ deadline, channel lost: OUTCOME_UNKNOWN
//
// One hop, and nothing is sent twice unless it provably was not proposed. The core hears of every send
// that failed: a quiesced group waits for no heartbeat, so that whoever needs its leader finds out first
// that it is gone.
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
    uint64_t epoch = 0;   // of this node's log: tells the requests of this start from earlier ones
    size_t capacity = 0;  // of those that wait, and of those that are sent
  };
  // A request the leader has.
  struct Sent {
    NodeId to = 0;
    Term term = 0;  // in which `to` leads
    Request request;
  };

  Forwarder(const Options& options, Host& host, Inbox& inbox)
      : options_(options), host_(host), inbox_(inbox) {}

  void wait_for_leader(Request request);
  // Waits when it cannot be sent now.
  void send(NodeId leader, Term term, Instant now, Request request);
  // Those that waited, to be routed again.
  std::deque<Request> take_waiting() { return std::exchange(waiting_, {}); }
  // What `reply` is to; nothing when it was completed before, or belongs to an earlier start.
  std::optional<Sent> take_sent(NodeId from, const ForwardReply& reply);

  void channel_lost(NodeId node);
  void expire_sent(Instant now);
  void expire_waiting(Instant now);
  void refuse_waiting(const Error& reason);
  // Completes what was sent, as the node ends.
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

// A follower's requests that the leader has to execute: those that wait until a leader is known, and those
// that were sent to it and have no reply yet.
//
//            a leader is known                    its reply
//   waiting ───────────────────► sent ─────────────────────────► completed
//    ▲   ▲                        │ NOT_LEADER: not proposed         ▲
//    │   └────────────────────────┤                                  │
//    │                            └─ deadline, channel lost: OUTCOME_UNKNOWN
//    │ all of them are decided
//    └──────────────────────────── held: sent to another leader before, or proposed by the same connection
//                                  after such a request
//
// A request is forwarded once, and sent again only if it provably was not proposed. Every failure to send
// is an event for the core: a follower of a quiesced group expects no heartbeats, so a failed request may
// be the first sign that the leader is lost.
//
// The commands of a connection take effect in order. To one leader in one term they are sent in order. After
// a change of the leader an earlier one may still be refused by the old leader, to be sent again; until it is
// decided (at its deadline at the latest) the later ones are held. Without a change nothing is looked up.
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
    size_t capacity = 0;  // limit of the waiting and held requests, and of the sent ones
  };
  struct Leadership {
    NodeId node = 0;
    Term term = 0;
    friend bool operator==(const Leadership&, const Leadership&) = default;
  };
  // A request that was sent to the leader.
  struct Sent {
    Leadership leader;
    Request request;
  };

  Forwarder(const Options& options, Host& host, Inbox& inbox)
      : options_(options), host_(host), inbox_(inbox) {}

  // From now on requests go to this leader, which may be this node itself. False: it refused one since, so it leads
  // no more.
  bool aim(const Leadership& leader) {
    if (leader == refused_by_) return false;
    if (leader != leader_) change_leader(leader);
    return true;
  }
  // Whether later requests of the connection have to wait behind earlier ones.
  bool holds(uint64_t connection) const {
    return !held_.empty() && connection != 0 && has_held(connection);
  }
  // It waits for a leader, or behind the earlier requests of its connection.
  void wait(Request request);
  // To the leader aimed at. If it cannot be sent now, it waits.
  void send(Instant now, Request request);
  // Takes out the waiting requests, to be routed again.
  std::deque<Request> take_waiting() { return std::exchange(waiting_, {}); }
  // Those of them that were not routed, in order: behind the ones that had to wait again.
  void put_back(std::deque<Request> requests);
  // The request that `reply` belongs to; nullopt: it is completed already, or of an earlier start. It has to be
  // passed to decided() or send_again().
  std::optional<Sent> take_sent(NodeId from, const ForwardReply& reply);
  // It is completed.
  void decided(const Sent& sent);
  // The leader refused this request with `sequence`: it was not proposed.
  void send_again(uint64_t sequence, Sent sent);

  void channel_lost(NodeId node);
  void expire_sent(Instant now);
  void expire_waiting(Instant now);
  void refuse_waiting(const Error& reason);
  // Completes the sent requests with OUTCOME_UNKNOWN, since the node stops.
  void abandon_sent();

  bool has_waiting() const { return !waiting_.empty(); }
  bool idle() const { return waiting_.empty() && sent_.empty() && held_.empty(); }

  void check_invariants() const;

 private:
  // Of a connection, after a change of the leader.
  struct Held {
    size_t undecided = 0;                 // sent to an earlier leader, without a reply
    std::map<uint64_t, Request> refused;  // by it, by sequence: they come first
    std::deque<Request> later;            // not sent yet
  };
  using HeldOf = std::map<uint64_t, Held>;  // by connection

  bool has_held(uint64_t connection) const;
  void change_leader(const Leadership& leader);
  void let_go(HeldOf::iterator held);
  template <class Complete>
  void erase_held_if(Complete complete);

  const Options options_;
  Host& host_;
  Inbox& inbox_;
  Leadership leader_;  // aimed at; node 0: none
  Leadership refused_by_;
  std::deque<Request> waiting_;
  std::map<uint64_t, Sent> sent_;  // by sequence
  uint64_t sequence_ = 0;          // of the latest one sent
  HeldOf held_;
  size_t held_requests_ = 0;
};

}  // namespace bop::group

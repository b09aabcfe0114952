// Calls: the requests in flight, by correlation id, and their deadlines.
//
// Slots are reused. A correlation id contains the slot's generation, so that a late reply to a call that
// ended matches no call. Deadlines are in a timing wheel: adding and removing one takes constant time, and
// a call expires within a tick of its deadline.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "mem/buffer.h"
#include "proto/client.h"

namespace bop::client {

class Channel;

// free ──add──► queued ──► sent ──reply───► free
//                 ▲  │      │
//                 │  └► parked: no endpoint is usable, or it was refused and waits for its next attempt
//                 └─────────┘
struct Call {
  enum class State : uint8_t { free, queued, sent, parked };

  uint64_t tag = 0;
  proto::RequestKind kind{};
  State state = State::free;
  uint32_t generation = 1;  // from 1, so that no call has correlation 0
  uint32_t connection = 0;  // bop_request::connection
  uint32_t attempts = 0;    // how often it was sent
  uint32_t refusals =
      0;  // how often it was not executed: each doubles the pause before the next attempt
  GroupId group = 0;  // 0: group_name has to be resolved
  std::string group_name;
  mem::Buffer payload;
  Instant deadline = 0;
  Instant not_before = 0;      // when a parked call may be sent again
  Channel* channel = nullptr;  // of a queued or sent call
  NodeId leader = 0;           // hint of the last reply
  int32_t refused_as = 0;      // status of the last refusal

  uint32_t next = 0, previous = 0;  // slots in a list of the wheel, or in the free list
  uint32_t bucket = 0;              // of the wheel

  // Sent only to the endpoint of number `connection`.
  bool pinned() const {
    return kind == proto::RequestKind::status || kind == proto::RequestKind::snapshot;
  }
  // Can be executed twice without harm.
  bool repeatable() const { return kind != proto::RequestKind::propose; }
  // The id of its group has to be found first: a find_group is sent in its place.
  bool resolving() const { return group == 0 && !group_name.empty(); }
  // A command that was sent and has no reply: whether it was executed is unknown.
  bool may_have_run() const { return state == State::sent && !repeatable() && !resolving(); }
};

class Calls {
 public:
  static constexpr Duration tick = 10 * milliseconds;

  explicit Calls(Instant now);

  // Returns the call's correlation. Its deadline is in the wheel until remove().
  uint64_t add(Call call);
  Call* find(uint64_t correlation);
  void remove(uint64_t correlation);
  uint64_t correlation_of(const Call& call) const;

  size_t count() const { return count_; }

  // Appends the correlations of all calls whose deadline is at or before `now`.
  void expired(Instant now, std::vector<uint64_t>& out);
  // Appends the correlations of all calls, in no particular order.
  void all(std::vector<uint64_t>& out) const;

 private:
  static constexpr uint32_t none = UINT32_MAX;
  static constexpr size_t buckets = 512;  // one for each tick of 5 s; later deadlines share them

  void link(uint32_t slot);
  void unlink(uint32_t slot);

  std::vector<Call> slots_;
  uint32_t free_ = none;
  size_t count_ = 0;
  std::array<uint32_t, buckets> heads_;
  int64_t ticked_;  // all deadlines up to this tick were checked
};

}  // namespace bop::client

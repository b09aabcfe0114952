// What the client connections of one loop may hold together, received and unsent. When they hold more,
// the one that holds most is disconnected, then the next, until they hold less: a bound of each
// connection alone is no bound on ten thousand of them.
//
// Of the loop's thread. Must outlive its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "io/loop.h"
#include "net/log_lines.h"

namespace bop::net {

struct StreamBudgetLimits {
  size_t input_bytes = SIZE_MAX;   // received and not executed yet
  size_t output_bytes = SIZE_MAX;  // replies that are not sent yet
};

class StreamBudget {
 public:
  // One connection's part.
  class Member {
   public:
    virtual ~Member() = default;
    virtual const std::string& peer() const = 0;
    // Closes it at once; it holds nothing then.
    virtual void disconnect(const Error& reason) = 0;

   private:
    friend class StreamBudget;
    size_t input_ = 0;
    size_t output_ = 0;
    size_t position_ = 0;  // among the members
  };

  StreamBudget(io::Loop& loop, const StreamBudgetLimits& limits, metrics::Registry& registry,
               uint32_t shard);
  StreamBudget(const StreamBudget&) = delete;
  StreamBudget& operator=(const StreamBudget&) = delete;

  // May disconnect members.
  void set_limits(const StreamBudgetLimits& limits);

  void enter(Member& member);
  void leave(Member& member);
  // What the member holds now. May disconnect members, also this one.
  void set(Member& member, size_t input, size_t output);

  size_t input_bytes() const { return input_.held; }
  size_t output_bytes() const { return output_.held; }
  size_t connections() const { return members_.size(); }

 private:
  struct Direction {
    size_t Member::* part;
    const char* key;   // of the configuration
    const char* what;  // is held
    size_t limit;
    size_t held;
    metrics::Gauge& held_now;
    metrics::Counter& disconnected;
  };

  static Direction make(metrics::Registry& registry, uint32_t shard, bool output, size_t limit);
  static void count(Direction& direction, Member& member, size_t bytes);
  void shrink(Direction& direction);

  Direction input_;
  Direction output_;
  std::vector<Member*> members_;
  LogLines log_;
};

}  // namespace bop::net

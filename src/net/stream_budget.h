// A limit for the memory of all client connections of one loop together: a limit for each connection does
// not bound ten thousand of them. When they hold more, the one that holds most is disconnected, and so on
// until they hold less.
//
// Used on the loop's thread. Must outlive its connections.
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
  size_t input_bytes = SIZE_MAX;   // of commands that are not executed yet
  size_t output_bytes = SIZE_MAX;  // of replies that are not sent yet
};

class StreamBudget {
 public:
  // One connection.
  class Member {
   public:
    virtual ~Member() = default;
    virtual const std::string& peer() const = 0;
    // Closes the connection at once, after which it holds nothing.
    virtual void disconnect(const Error& reason) = 0;

   private:
    friend class StreamBudget;
    size_t input_ = 0;
    size_t output_ = 0;
    size_t position_ = 0;  // index into members_
  };

  StreamBudget(io::Loop& loop, const StreamBudgetLimits& limits, metrics::Registry& registry,
               uint32_t shard);
  StreamBudget(const StreamBudget&) = delete;
  StreamBudget& operator=(const StreamBudget&) = delete;

  // May disconnect members.
  void set_limits(const StreamBudgetLimits& limits);

  void enter(Member& member);
  void leave(Member& member);
  // Sets how many bytes the member holds. May disconnect any member, also this one.
  void set(Member& member, size_t input, size_t output);

  size_t input_bytes() const { return input_.held; }
  size_t output_bytes() const { return output_.held; }
  size_t connections() const { return members_.size(); }

 private:
  struct Direction {
    size_t Member::* part;
    const char* key;   // of the configuration, for messages
    const char* what;  // describes the bytes, for messages
    size_t limit;      // in bytes
    size_t held;       // by all members
    metrics::Gauge& held_now;
    metrics::Gauge& limit_now;
    metrics::Counter& disconnected;
  };

  static Direction make(metrics::Registry& registry, uint32_t shard, bool output, size_t limit);
  static void set_limit(Direction& direction, size_t limit);
  static void count(Direction& direction, Member& member, size_t bytes);
  void shrink(Direction& direction);

  Direction input_;
  Direction output_;
  std::vector<Member*> members_;
  LogLines log_;
};

}  // namespace bop::net

#include "node/shard_stop.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace bop::node {

namespace {

constexpr Duration check_every = 10 * milliseconds;

// In heartbeat intervals: longer than a message takes to a peer and back. A follower that does not know yet
// that this node resigned still forwards to it, and a reply may still be on its way out.
constexpr int linger_heartbeats = 2;

}  // namespace

ShardStop::ShardStop(const ShardOptions& options, const ShardPorts& ports, const log::Log& log,
                     Replicas& replicas, const FrameDelivery& delivery)
    : ports_(ports),
      log_(log),
      replicas_(replicas),
      delivery_(delivery),
      linger_(options.peers.empty() ? 0 : linger_heartbeats * options.raft.heartbeat_interval),
      timer_(ports.timers.make_timer([this] { check(); })) {}

void ShardStop::begin(Duration grace, std::function<void()> done) {
  BOP_ASSERT(!begun_);
  begun_ = true;
  done_ = std::move(done);
  busy_at_ = ports_.clock.now();
  deadline_ = busy_at_ + grace;
  for (group::Replica& replica : replicas_.all()) {
    replica.resign();
    replica.sync_machine();
  }
  check();
}

bool ShardStop::idle() const { return log_.idle() && replicas_.idle(); }

void ShardStop::check() {
  BOP_ASSERT(done_ != nullptr);
  const Instant now = ports_.clock.now();
  busy_at_ = idle() ? std::max(busy_at_, delivery_.forwarded_at()) : now;
  const bool at_rest = busy_at_ < now && now - busy_at_ >= linger_;
  if (now < deadline_ && !at_rest) return timer_->arm(now + check_every);
  for (group::Replica& replica : replicas_.all()) replica.abandon();
  // Posted, so that the end of this turn completes what was abandoned first.
  ports_.post.post(std::exchange(done_, nullptr));
}

}  // namespace bop::node

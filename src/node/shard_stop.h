// How a shard stops: it gives up its leaderships, waits until what is open was answered, and abandons what
// is left at the end of its grace.
//
//            begin()             idle for a while, or the grace is over
//   running ─────────► stopping ────────────────────────────────────────► stopped
//                      new requests are refused (Shard)
//
// What was proposed before is committed by the next leaders, and answered here when it is applied.
#pragma once

#include <functional>
#include <memory>

#include "log/log.h"
#include "node/frame_delivery.h"
#include "node/replicas.h"
#include "node/shard.h"

namespace bop::node {

class ShardStop {
 public:
  ShardStop(const ShardOptions& options, const ShardPorts& ports, const log::Log& log,
            Replicas& replicas, const FrameDelivery& delivery);

  // Once. `done` is called later, in a turn of its own.
  void begin(Duration grace, std::function<void()> done);
  bool begun() const { return begun_; }

 private:
  void check();
  bool idle() const;

  const ShardPorts& ports_;
  const log::Log& log_;
  Replicas& replicas_;
  const FrameDelivery& delivery_;
  const Duration linger_;  // how long nothing must have happened
  const std::unique_ptr<port::Timer> timer_;
  bool begun_ = false;
  std::function<void()> done_;
  Instant deadline_ = never;
  Instant busy_at_ = 0;  // when something was open last
};

}  // namespace bop::node

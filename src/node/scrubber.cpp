#include "node/scrubber.h"

#include <algorithm>

namespace bop::node {

namespace {

// The bytes of one interval are read in one job, which a flush may have to wait for.
constexpr Duration longest_interval = 250 * milliseconds;
constexpr uint64_t most_bytes_a_job = 8 << 20;

}  // namespace

Scrubber::Scrubber(const ShardOptions& options, const ShardPorts& ports, const Replicas& replicas)
    : shards_(options.shards),
      clock_(ports.clock),
      replicas_(replicas),
      timer_(ports.timers.make_timer([this] { tick(); })),
      bytes_per_s_(options.scrub_bytes_per_s) {}

void Scrubber::start() {
  running_ = true;
  arm();
}

void Scrubber::stop() {
  running_ = false;
  timer_->cancel();
}

void Scrubber::set_bytes_per_s(uint64_t bytes) {
  const bool armed = running_ && bytes_per_s_ != 0;
  bytes_per_s_ = bytes;
  if (!armed) arm();
}

void Scrubber::arm() {
  if (running_ && bytes_per_s_ != 0) timer_->arm(clock_.now() + interval());
}

uint64_t Scrubber::share() const { return std::max<uint64_t>(bytes_per_s_ / shards_, 1); }

Duration Scrubber::interval() const {
  const auto full = static_cast<Duration>(most_bytes_a_job * uint64_t{seconds} / share());
  return std::min(full, longest_interval);
}

// A machine's turn ends with its pass.
void Scrubber::tick() {
  group::Replica* replica = replicas_.find(group_);
  if (replica == nullptr || turn_is_over_ || replica->scrub_passes() != passes_) {
    const std::vector<group::Replica*> next = replicas_.next(group_, 1);
    if (next.empty()) return arm();
    replica = next.front();
    group_ = replica->id();
    passes_ = replica->scrub_passes();
    turn_is_over_ = false;
  }
  // At least one record, however small the budget is.
  const uint64_t bytes = share() * static_cast<uint64_t>(interval()) / uint64_t{seconds};
  if (!replica->scrub(std::max<uint64_t>(bytes, 1))) turn_is_over_ = true;
  arm();
}

}  // namespace bop::node

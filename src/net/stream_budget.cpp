#include "net/stream_budget.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace bop::net {

StreamBudget::Direction StreamBudget::make(metrics::Registry& registry, uint32_t shard, bool output,
                                           size_t limit) {
  const std::string direction = output ? "output" : "input";
  const metrics::Labels labels{{"shard", std::to_string(shard)}};
  return {
      .part = output ? &Member::output_ : &Member::input_,
      .key = output ? "limits.total_output_bytes" : "limits.total_input_bytes",
      .what = output ? "replies that it has not read" : "commands that are not executed yet",
      .limit = limit,
      .held = 0,
      .held_now = registry.gauge(
          "bop_client_" + direction + "_bytes",
          output ? "Replies that clients have not read" : "Commands received and not executed yet",
          labels),
      .limit_now = registry.gauge("bop_client_" + direction + "_limit_bytes",
                                  "The limit of bop_client_" + direction +
                                      "_bytes: the part of this shard in limits.total_" +
                                      direction + "_bytes",
                                  labels),
      .disconnected = registry.counter(
          "bop_client_disconnects_total",
          "Clients disconnected because all clients together exceeded the limit, the largest first",
          {{"limit", "total_" + direction + "_bytes"}, {"shard", std::to_string(shard)}}),
  };
}

StreamBudget::StreamBudget(io::Loop& loop, const StreamBudgetLimits& limits,
                           metrics::Registry& registry, uint32_t shard)
    : input_(make(registry, shard, false, limits.input_bytes)),
      output_(make(registry, shard, true, limits.output_bytes)),
      log_([&loop] { return loop.now(); }, loop, "clients that held too much") {
  set_limit(input_, limits.input_bytes);
  set_limit(output_, limits.output_bytes);
}

void StreamBudget::set_limit(Direction& direction, size_t limit) {
  direction.limit = limit;
  direction.limit_now.set(static_cast<int64_t>(limit));
}

void StreamBudget::set_limits(const StreamBudgetLimits& limits) {
  set_limit(input_, limits.input_bytes);
  set_limit(output_, limits.output_bytes);
  if (input_.held > input_.limit) shrink(input_);
  if (output_.held > output_.limit) shrink(output_);
}

void StreamBudget::enter(Member& member) {
  member.position_ = members_.size();
  members_.push_back(&member);
}

void StreamBudget::leave(Member& member) {
  count(input_, member, 0);
  count(output_, member, 0);
  BOP_ASSERT(members_[member.position_] == &member);
  members_[member.position_] = members_.back();
  members_[member.position_]->position_ = member.position_;
  members_.pop_back();
}

void StreamBudget::set(Member& member, size_t input, size_t output) {
  if (input != member.input_) count(input_, member, input);
  if (output != member.output_) count(output_, member, output);
  if (input_.held > input_.limit) shrink(input_);
  if (output_.held > output_.limit) shrink(output_);
}

void StreamBudget::count(Direction& direction, Member& member, size_t bytes) {
  size_t& part = member.*direction.part;
  direction.held = direction.held - part + bytes;
  part = bytes;
  direction.held_now.set(static_cast<int64_t>(direction.held));
}

void StreamBudget::shrink(Direction& direction) {
  while (direction.held > direction.limit) {
    Member& largest = **std::ranges::max_element(
        members_, {}, [&](const Member* member) { return member->*direction.part; });
    const std::string words = fmt::format(
        "it holds {} bytes of {}, the most of {} connections; together they hold {}, "
        "the limit is {} ({})",
        largest.*direction.part, direction.what, members_.size(), direction.held, direction.limit,
        direction.key);
    log_.warning("{}: disconnected: {}", largest.peer(), words);
    direction.disconnected.add();
    largest.disconnect({BOP_E_STOPPED, words});  // logged here, not by its handler
  }
}

}  // namespace bop::net

#include "node/condition.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::node {

namespace {

struct Kind {
  const char* name;
  bool blocks;
};

constexpr std::array<Kind, condition_count> kinds{{
    {"quorum_lost", true},
    {"no_leader", true},
    {"locked_out", true},
    {"alone", false},  // a group with voters elsewhere has lost its quorum, which blocks
    {"identity_in_use", false},
    {"peer_identity_in_use", false},
    {"log_latched", true},
    {"log_stalled", true},
    {"log_full", true},
    {"log_nearly_full", false},
    {"disk_full", true},
    {"disk_nearly_full", false},
    {"behind", true},
    {"suspect", true},
    {"halted", true},
    {"shard_stalled", true},
    {"log_unavailable", true},
    {"unreadable", false},  // its machine has applied the entry
}};

const Kind& kind_of(Condition condition) {
  BOP_ASSERT_LT(static_cast<size_t>(condition), kinds.size());
  return kinds[static_cast<size_t>(condition)];
}

bool same(const ActiveCondition& a, const ActiveCondition& b) {
  return a.condition == b.condition && a.group == b.group;
}

bool contains(const std::vector<ActiveCondition>& all, const ActiveCondition& one) {
  return std::ranges::any_of(all, [&](const ActiveCondition& other) { return same(one, other); });
}

std::string subject_of(const ActiveCondition& of) {
  return of.group == 0 ? std::string("this node") : "group " + of.group_name;
}

}  // namespace

const char* name_of(Condition condition) { return kind_of(condition).name; }

bool blocks(Condition condition) { return kind_of(condition).blocks; }

std::vector<Condition> conditions_of(uint64_t bits) {
  std::vector<Condition> out;
  for (size_t i = 0; i < condition_count; ++i)
    if ((bits >> i & 1) != 0) out.push_back(static_cast<Condition>(i));
  return out;
}

uint64_t bits_of(const std::vector<ActiveCondition>& conditions) {
  uint64_t bits = 0;
  for (const ActiveCondition& active : conditions)
    bits |= uint64_t{1} << static_cast<unsigned>(active.condition);
  return bits;
}

void ConditionLog::follow(const std::vector<ActiveCondition>& now) {
  for (const ActiveCondition& began : now) {
    if (contains(active_, began)) continue;
    const bool error = began.condition == Condition::identity_in_use ||
                       began.condition == Condition::peer_identity_in_use;
    logging::line(error ? logging::Level::error : logging::Level::warning, "{}: {}: {}",
                  name_of(began.condition), subject_of(began), began.detail);
  }
  for (const ActiveCondition& ended : active_)
    if (!contains(now, ended))
      logging::info("{}: {}: over", name_of(ended.condition), subject_of(ended));
  active_ = now;
}

}  // namespace bop::node

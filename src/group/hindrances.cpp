#include "group/hindrances.h"

#include <utility>

#include "base/logging.h"

namespace bop::group {

using raft::Cause;

std::optional<Cause> Hindrances::check(const Facts& facts) {
  const Cause found = find(facts);
  if (found == cause_) return {};
  cause_ = found;
  text_ = describe(facts);
  if (found == Cause::none)
    logging::info("group {}: this replica can serve as leader again", name_);
  else if (facts.verifying)
    logging::info("group {}: this replica cannot serve as leader yet: {}", name_, text_);
  else
    logging::warning("group {}: this replica cannot serve as leader: {}", name_, text_);
  return found;
}

Cause Hindrances::find(const Facts& facts) {
  if (facts.log_full == BOP_OK)
    log_full_since_ = never;
  else if (log_full_since_ == never)
    log_full_since_ = facts.now;
  const bool behind = is_behind(facts);
  if (unreadable_ <= facts.compacted) unreadable_ = 0;

  if (facts.obstacle != nullptr) return Cause::machine_held_up;
  if (facts.log_full == BOP_E_DISK_FULL) return Cause::disk_full;
  // The other nodes' logs are most often as full, and compaction may end it.
  if (facts.log_full != BOP_OK && facts.now - log_full_since_ > patience_) return Cause::log_full;
  if (behind) return Cause::machine_behind;
  return unreadable_ != 0 ? Cause::entry_unreadable : Cause::none;
}

bool Hindrances::is_behind(const Facts& facts) {
  const bool stood_still = facts.now - std::exchange(checked_at_, facts.now) > patience_ / 2;
  if (facts.applied >= mark_) {
    mark_ = facts.commit;
    marked_at_ = facts.now;
  } else if (stood_still) {
    marked_at_ = facts.now;
  }
  return facts.applied < mark_ && facts.now - marked_at_ > patience_;
}

std::string Hindrances::describe(const Facts& facts) const {
  switch (cause_) {
    case Cause::none: return {};
    case Cause::machine_held_up: return "the machine is held up: " + std::string(facts.obstacle);
    case Cause::machine_behind:
      return "the machine has not applied entry " + std::to_string(mark_) +
             ", committed more than " + std::to_string(patience_ / milliseconds) + " ms ago";
    case Cause::entry_unreadable:
      return "entry " + std::to_string(unreadable_) + " cannot be read: " + unreadable_why_;
    default: return text_of(cause_);
  }
}

void Hindrances::not_read(Index index, NodeId peer, const Error& error) {
  const bool known = std::exchange(unreadable_, index) == index;
  if (known && unreadable_why_ == error.to_string()) return;
  unreadable_why_ = error.to_string();
  logging::error("group {}: entry {}, which node {} needs, cannot be read: {}", name_, index, peer,
                 unreadable_why_);
}

void Hindrances::read(Index first, Index last) {
  if (first <= unreadable_ && unreadable_ <= last) unreadable_ = 0;
}

}  // namespace bop::group

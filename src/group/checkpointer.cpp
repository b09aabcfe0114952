#include "group/checkpointer.h"

#include <utility>

#include "base/assert.h"
#include "group/seeded_bugs.h"

namespace bop::group {

const log::Checkpoint* checkpoint_for(std::span<const log::Checkpoint> kept, Index held) {
  const log::Checkpoint* found = nullptr;
  for (const log::Checkpoint& checkpoint : kept) {
    if (checkpoint.at.index > held) break;
    found = &checkpoint;
    if (seeded(Bug::older_checkpoint)) break;
  }
  return found;
}

void Checkpointer::begin(std::vector<Index> kept) {
  BOP_ASSERT(!kept.empty());
  kept_ = std::move(kept);
}

Index Checkpointer::compaction_limit(Index held) {
  if (kept_.size() > 1 && kept_[1] <= held) {
    kept_.erase(kept_.begin());
    log_.drop_checkpoints(group_, kept_.front());
  }
  return seeded(Bug::compact_ignores_checkpoint) ? held : kept_.front();
}

Index Checkpointer::usable(Index held) const {
  Index found = 0;
  for (const Index at : kept_)
    if (at <= held) found = at;
  return found;
}

bool Checkpointer::due(Index at, Index held, bool wanted) const {
  const bool may_replace = newest() <= held || seeded(Bug::third_checkpoint);
  return at > newest() && may_replace && (wanted || bytes_since_ >= due_after_bytes_);
}

Status Checkpointer::write(raft::EntryId at, Bytes bytes) {
  BOP_ASSERT_GT(at.index, newest());
  BOP_TRY(log_.append_checkpoint(group_, at, bytes));
  kept_.push_back(at.index);
  if (kept_.size() > 2) kept_.erase(kept_.begin());
  bytes_since_ = 0;
  return {};
}

void Checkpointer::check_invariants() const {
  BOP_ASSERT_GE(kept_.size(), 1u);
  BOP_ASSERT_LE(kept_.size(), 2u);
  if (kept_.size() == 2) BOP_ASSERT_LT(kept_[0], kept_[1]);
}

}  // namespace bop::group

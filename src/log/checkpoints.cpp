#include "log/checkpoints.h"

#include <algorithm>

#include "base/assert.h"
#include "log/seeded_bugs.h"

namespace bop::log {

void Checkpoints::add(Position position, const RecordHeader& header, Bytes part) {
  const Part which = part_of(header);
  const raft::EntryId at{header.previous_term, header.first - 1};
  if (which.number == 0) {
    partial_ = Partial{.checkpoint = {.at = at, .position = position, .bytes = {}},
                       .next = which,
                       .last = header.previous};
  }
  const bool follows = partial_ && partial_->checkpoint.at == at &&
                       partial_->next.number == which.number && partial_->next.of == which.of &&
                       partial_->last == header.previous;
  if (!follows) return partial_.reset();
  std::vector<uint8_t>& bytes = partial_->checkpoint.bytes;
  if (bytes.size() + part.size() > max_checkpoint_bytes) return partial_.reset();
  bytes.insert(bytes.end(), part.begin(), part.end());
  partial_->last = position;
  if (++partial_->next.number < which.of && !seeded(Bug::partial_checkpoint)) return;
  complete(std::move(partial_->checkpoint));
  partial_.reset();
}

void Checkpoints::complete(StoredCheckpoint checkpoint) {
  const auto index_of = [](const StoredCheckpoint& one) { return one.at.index; };
  const auto at = std::ranges::lower_bound(complete_, checkpoint.at.index, {}, index_of);
  if (at != complete_.end() && at->at.index == checkpoint.at.index) {
    *at = std::move(checkpoint);  // a copy of it, written later
  } else {
    complete_.insert(at, std::move(checkpoint));
  }
  if (complete_.size() > 2) complete_.erase(complete_.begin());
}

void Checkpoints::drop_below(Index index) {
  while (complete_.size() > 1 && complete_.front().at.index < index)
    complete_.erase(complete_.begin());
}

Position Checkpoints::needs() const {
  if (seeded(Bug::checkpoints_pin_nothing)) return 0;
  Position lowest = partial_ ? partial_->checkpoint.position : 0;
  for (const StoredCheckpoint& one : complete_)
    lowest = lowest == 0 ? one.position : std::min(lowest, one.position);
  return lowest;
}

size_t Checkpoints::bytes() const {
  size_t sum = 0;
  for (const StoredCheckpoint& one : complete_) sum += one.bytes.size();
  return sum;
}

void Checkpoints::check() const {
  BOP_ASSERT_LE(complete_.size(), 2u);
  if (complete_.size() == 2) BOP_ASSERT_LT(complete_[0].at.index, complete_[1].at.index);
  for (const StoredCheckpoint& one : complete_) {
    BOP_ASSERT_NE(one.position, 0u);
    BOP_ASSERT_LE(one.bytes.size(), max_checkpoint_bytes);
  }
}

}  // namespace bop::log

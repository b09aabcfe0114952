#include "group/persister.h"

#include <algorithm>
#include <utility>

#include "base/logging.h"

namespace bop::group {

Status Persister::persist(raft::Update& update, const raft::Core& core) {
  if (update.mark.number == 0) return {};
  outstanding_.push_back(update.mark);
  const Index first = update.entries.empty() ? 0 : update.entries.front().front().index;
  if (!holds_back()) return write(update, core, update.mark, first);
  // Added to the write that is held back: one record replaces both.
  held_back_ = update.mark;
  if (first != 0 && (held_back_first_ == 0 || first < held_back_first_)) held_back_first_ = first;
  return {};
}

Status Persister::restart(const raft::Update& update, int64_t time_ns, Bytes checkpoint) {
  // What was held back is of the log that is dropped. Its marks complete with the one of this update.
  held_back_ = {};
  held_back_first_ = 0;
  log_full_.reset();
  log::Restart restart;
  restart.group = group_;
  restart.hard = update.mark.hard;
  restart.leader_term = update.mark.leader_term;
  restart.at = update.restart;
  restart.time_ns = time_ns;
  restart.checkpoint = checkpoint;
  BOP_TRY(log_.restart(restart));
  compacted_ = update.restart.index;
  return {};
}

// Appends the hard state of `mark` and the core's current entries from `first` on.
Status Persister::write(raft::Update& update, const raft::Core& core, const raft::PersistMark& mark,
                        Index first) {
  std::vector<std::span<const raft::Entry>>& pieces = update.entries;
  if (first != 0 && (pieces.empty() || pieces.front().front().index != first)) {
    pieces.clear();
    for (Index next = first; next <= core.last();) {
      pieces.push_back(core.entries(next, core.last()));
      next += pieces.back().size();
    }
  }
  log::Append append;
  append.group = group_;
  append.hard = mark.hard;
  append.leader_term = mark.leader_term;
  append.entries = pieces;
  append.number = mark.number;
  Status written = log_.append(append);
  if (written) {
    log_full_.reset();
    return {};
  }
  if (written.error().code == BOP_E_LATCHED) return written;
  // An entry from a leader whose log has larger segments: it will never fit, so it is not held back.
  if (written.error().code == BOP_E_TOO_LARGE)
    return fail(BOP_E_UNAVAILABLE, "the log's segments are too small: " + written.error().detail);
  held_back_ = mark;
  held_back_first_ = first;
  if (!log_full_) logging::warning("group {}: {}", name_, written.error().to_string());
  log_full_ = written.error();
  return {};
}

Status Persister::write_held_back(raft::Update& update, const raft::Core& core) {
  if (!holds_back()) return {};
  const raft::PersistMark mark = std::exchange(held_back_, {});
  const Index first = std::min(std::exchange(held_back_first_, 0), core.last());
  update.entries.clear();
  return write(update, core, mark, first);
}

void Persister::durable(uint64_t number) {
  while (!outstanding_.empty() && outstanding_.front().number <= number) {
    inbox_.add(raft::Persisted{outstanding_.front()});
    outstanding_.pop_front();
  }
}

void Persister::stop() {
  outstanding_.clear();
  held_back_ = {};
  held_back_first_ = 0;
}

void Persister::compact(const raft::Core& core, Index through) {
  if (through <= compacted_) return;
  const Term term = core.term_at(through);
  if (term == 0) return;
  compacted_ = through;
  log_.compact(group_, {term, through});
  inbox_.add(raft::Compacted{through});
}

void Persister::check_invariants(const raft::Core& core) const {
  uint64_t number = 0;
  for (const raft::PersistMark& mark : outstanding_) {
    BOP_ASSERT_GT(mark.number, number);
    number = mark.number;
  }
  if (holds_back()) {
    BOP_ASSERT(log_full_.has_value());
    BOP_ASSERT(!outstanding_.empty());
    BOP_ASSERT_EQ(held_back_.number, outstanding_.back().number);
  } else {
    BOP_ASSERT_EQ(held_back_first_, 0u);
  }
  BOP_ASSERT_LE(compacted_, core.commit());
}

}  // namespace bop::group

#include "group/apply_pipeline.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/checksum.h"
#include "raft/configuration.h"

namespace bop::group {

namespace {

constexpr size_t max_batch_commands = 1024;
constexpr size_t max_load_bytes = 1 << 20;

uint64_t seed_of(GroupId group, const raft::Entry& entry) {
  uint8_t bytes[24];
  store_le<uint64_t>(bytes, group);
  store_le<uint64_t>(bytes + 8, entry.term);
  store_le<uint64_t>(bytes + 16, entry.index);
  return hash64(Bytes(bytes));
}

bop_entry machine_entry(GroupId group, const raft::Entry& entry) {
  bop_entry out{};
  out.size = sizeof out;
  out.machine_version = entry.machine_version;
  out.index = entry.index;
  out.term = entry.term;
  out.time_ns = entry.time_ns;
  out.session = entry.session;
  out.sequence = entry.sequence;
  out.seed = seed_of(group, entry);
  out.command = {entry.payload.data(), entry.payload.size()};
  return out;
}

}  // namespace

void ApplyPipeline::restart(Index applied) {
  BOP_ASSERT(!advancing_);
  BOP_ASSERT_GT(applied, applied_);
  ++restarts_;
  stage_ = Stage::idle;
  applied_ = batch_last_ = applied;
  loaded_.clear();
  batch_.clear();
  configurations_.clear();
}

void ApplyPipeline::advance(const raft::Core& core, machine::Driver& driver) {
  BOP_ASSERT(!advancing_);
  advancing_ = true;
  while (stage_ == Stage::idle && applied_ < core.commit()) take_up(core, driver);
  advancing_ = false;
}

void ApplyPipeline::take_up(const raft::Core& core, machine::Driver& driver) {
  if (!loaded_.empty() && loaded_.back().index > applied_) {
    const size_t skip = static_cast<size_t>(applied_ + 1 - loaded_.front().index);
    const size_t left = std::min<Index>(loaded_.back().index, core.commit()) - applied_;
    return apply(std::span(loaded_).subspan(skip, left), driver);
  }
  if (core.entry(applied_ + 1) == nullptr) return load(core);
  loaded_.clear();
  apply(core.entries(applied_ + 1, core.commit()), driver);
}

void ApplyPipeline::apply(std::span<const raft::Entry> entries, machine::Driver& driver) {
  BOP_ASSERT(stage_ == Stage::idle);
  BOP_ASSERT(!entries.empty());
  BOP_ASSERT_EQ(entries.front().index, applied_ + 1);
  if (!batch_.empty()) time_before_ns_ = batch_.back().time_ns;
  batch_.clear();
  size_t taken = 0;
  while (taken < entries.size() && batch_.size() < max_batch_commands) {
    const raft::Entry& entry = entries[taken++];
    if (entry.kind == raft::EntryKind::command) batch_.push_back(machine_entry(group_, entry));
    if (entry.kind == raft::EntryKind::configuration)
      configurations_.push_back(
          {entry.index, raft::decode_configuration(entry.payload.bytes()).value()});
  }
  batch_last_ = entries[taken - 1].index;
  stage_ = Stage::applying;
  if (batch_.empty()) return events_.applied({});
  driver.apply(batch_);
}

// After a restart the committed entries that the machine lacks are only in the log's files. Entries read
// beyond those are dropped, since they may be replaced before they are committed.
void ApplyPipeline::load(const raft::Core& core) {
  stage_ = Stage::loading;
  log_.read(group_, applied_ + 1, max_load_bytes,
            [this, committed = core.commit(),
             life = restarts_](Result<std::vector<raft::Entry>> entries) {
              if (stage_ == Stage::loading && life == restarts_)
                loaded(committed, std::move(entries));
            });
}

void ApplyPipeline::loaded(Index committed, Result<std::vector<raft::Entry>> entries) {
  stage_ = Stage::idle;
  if (entries) {
    loaded_ = std::move(*entries);
    std::erase_if(loaded_,
                  [committed](const raft::Entry& entry) { return entry.index > committed; });
    return inbox_.schedule();
  }
  const Error& error = entries.error();
  // Entries after the committed ones were replaced during the read, or there are too many reads: try again.
  if (error.code == BOP_E_UNAVAILABLE || error.code == BOP_E_OVERLOADED) return inbox_.schedule();
  if (error.code != BOP_E_NOT_FOUND) return events_.failed(error);
  // Not NOT_FOUND, which a client would take for the machine's status.
  events_.failed({BOP_E_DAMAGED, "committed entry " + std::to_string(applied_ + 1) +
                                     " is not in the log: " + error.detail});
}

int64_t ApplyPipeline::time_of(Index index) const {
  const auto above = std::ranges::upper_bound(batch_, index, {}, &bop_entry::index);
  return above == batch_.begin() ? time_before_ns_ : std::prev(above)->time_ns;
}

void ApplyPipeline::check_invariants(const raft::Core& core) const {
  BOP_ASSERT(!advancing_);
  BOP_ASSERT_LE(applied_, core.commit());
  if (stage_ == Stage::applying) {
    BOP_ASSERT_GT(batch_last_, applied_);
    BOP_ASSERT_LE(batch_last_, core.commit());
  }
  if (stage_ == Stage::idle) BOP_ASSERT_LE(batch_last_, applied_);
  if (!loaded_.empty()) BOP_ASSERT_LE(loaded_.front().index, applied_ + 1);
}

}  // namespace bop::group

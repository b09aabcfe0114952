// Freezing, flushing, syncing.
//
//              freeze()           sorted         rules 2 and 3 of kv.h hold        committed
//   none ──────────────► sorting ─────────► waiting ──────────────────► flushing ───────────► none
//                                                                                  │
//                                          durable() rises ◄── synced ◄── syncing ◄┘
#include "machine/kv/flush.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "machine/kv/seeded_bugs.h"

namespace bop::machine::kv {

namespace {

// How many records ahead a flush prefetches: in key order, each record is one or several cache misses.
constexpr size_t records_ahead = 8;

}  // namespace

// ---- the changes of a memtable ----

MemtableChanges::MemtableChanges(const Memtable& memtable, const bop_position& position,
                                 const ScrubPass& pass)
    : memtable_(memtable),
      position_(position),
      pass_(pass),
      start_(*memtable.start()),
      resolved_(memtable.resolved()),
      buckets_(memtable.points().size() + 1) {
  for (const Point& point : memtable.points()) marks_.push_back(point.touched);
}

bool MemtableChanges::next(Change& change) {
  const std::vector<const Record*>& sorted = memtable_.sorted();
  while (next_ < sorted.size()) {
    if (next_ + records_ahead < sorted.size()) prefetch(*sorted[next_ + records_ahead]);
    current_ = sorted[next_++];
    if (current_->stored_version != StoredVersion::unknown)
      count_stored_version(*current_, current_->stored_adds());
    in_pass_ = pass_.is_past(current_->key());
    if (in_pass_) {
      scrubbed_ += current_->adds();
      scrubbed_ -= current_->stored_adds();  // if unknown, replaced() follows
    }
    if (!current_->present && current_->stored_version == StoredVersion::absent) continue;
    change.key = current_->key();
    change.present = current_->present;
    change.revision = current_->revision;
    change.hash = current_->hash;
    change.value = current_->value();
    change.want_replaced = current_->stored_version == StoredVersion::unknown;
    return true;
  }
  return false;
}

void MemtableChanges::replaced(const std::optional<Stored>& record) {
  if (!record) return;
  const Totals adds = totals_of(true, record->hash);
  count_stored_version(*current_, adds);
  if (in_pass_) scrubbed_ -= adds;
}

void MemtableChanges::restart() {
  next_ = 0;
  current_ = nullptr;
  scrubbed_ = {};
  std::fill(buckets_.begin(), buckets_.end(), Totals{});
}

void MemtableChanges::count_stored_version(const Record& record, const Totals& adds) {
  if (record.ordinal < resolved_) return;  // counted when it was resolved
  const auto mark = std::upper_bound(marks_.begin(), marks_.end(), size_t{record.ordinal});
  buckets_[static_cast<size_t>(mark - marks_.begin())] += adds;
}

Totals MemtableChanges::stored_versions() const {
  Totals sum = memtable_.resolved_stored_versions();
  for (const Totals& bucket : buckets_) sum += bucket;
  return sum;
}

std::vector<Totals> MemtableChanges::stored_versions_at_points() const {
  std::vector<Totals> out;
  Totals sum = memtable_.resolved_stored_versions();
  for (size_t i = 0; i < marks_.size(); ++i) out.push_back(sum += buckets_[i]);
  return out;
}

Progress MemtableChanges::progress() {
  return {position_, start_ + memtable_.added() - stored_versions()};
}

// ---- jobs ----

void Kv::submit(std::unique_ptr<Job> job, bop_work_queue queue) {
  job->kv = this;
  Job* given = job.get();
  jobs_.push_back(std::move(job));
  host_.offload(
      host_.context, queue,
      [](void* argument) {
        auto& mine = *static_cast<Job*>(argument);
        mine.status = mine.work(mine);
      },
      [](void* argument) {
        auto& mine = *static_cast<Job*>(argument);
        mine.kv->job_done(mine);
      },
      given);
}

void Kv::job_done(Job& job) {
  const auto at = std::find_if(jobs_.begin(), jobs_.end(),
                               [&](const auto& each) { return each.get() == &job; });
  const std::unique_ptr<Job> mine = std::move(*at);
  jobs_.erase(at);
  // Drops this reference first, because freeing a memtable takes long and must not happen on this thread.
  mine->memtable.reset();
  if (broken_) return;
  if (!mine->status) {
    const Error& error = mine->status.error();
    const bool flush = mine->changes != nullptr;
    return flush && error.code == BOP_E_DISK_FULL ? flush_again(error) : break_with(error);
  }
  if (mine->done) mine->done(*mine);
}

// ---- freezing ----

bool Kv::freeze_is_due() const {
  return active_->bytes() >= settings_.memory_bytes / 8 * 3 ||
         log_bytes_ >= settings_.freeze_log_bytes;
}

// The active memtable must not grow further while the immutable one is being flushed.
bool Kv::memory_is_full() const {
  return immutable_ != nullptr && active_->bytes() >= settings_.memory_bytes / 2;
}

const char* Kv::obstacle() const {
  if (check_ != nullptr) return verifying_.c_str();
  return memory_is_full() && !held_up_.empty() ? held_up_.c_str() : nullptr;
}

void Kv::freeze() {
  BOP_ASSERT(immutable_ == nullptr && flush_stage_ == FlushStage::none);
  immutable_ = std::exchange(active_, std::make_shared<Memtable>());
  immutable_last_ = applied_;
  reads_before_immutable_ = reads_->submitted();
  log_bytes_ = 0;
  stored_versions_wanted_ = 0;
  advance_totals();
  flush_stage_ = FlushStage::sorting;
  auto job = std::make_unique<Job>();
  job->memtable = immutable_;
  job->work = [](Job& mine) -> Status {
    mine.memtable->sort();
    return {};
  };
  job->done = [this](Job&) {
    flush_stage_ = FlushStage::waiting;
    start_flush_when_due();
    start_waiting();
  };
  submit(std::move(job));
  shed_memory();
}

// ---- flushing ----

void Kv::start_flush_when_due() {
  if (flush_stage_ != FlushStage::waiting || broken_) return;
  const bool log_has_it = stable_ >= immutable_last_.index || seeded(Bug::flush_beyond_stable);
  const bool reads_are_done =
      reads_->done() >= reads_before_immutable_ || seeded(Bug::flush_overtakes_reads);
  if (log_has_it && reads_are_done) start_flush();
}

void Kv::start_flush() {
  advance_totals();
  flush_stage_ = FlushStage::flushing;
  auto job = std::make_unique<Job>();
  job->memtable = immutable_;
  job->changes = std::make_unique<MemtableChanges>(*immutable_, immutable_last_, pass_);
  job->work = [this](Job& mine) {
    Status flushed = store_->flush(*mine.changes);
    if (!flushed && flushed.error().code == BOP_E_DISK_FULL)
      std::this_thread::sleep_for(std::chrono::nanoseconds(settings_.pause_without_space));
    if (flushed) {
      pass_.sum += mine.changes->scrubbed();
      pass_.store = mine.changes->progress().totals;
    }
    return flushed;
  };
  job->done = [this](Job& mine) { flushed(mine); };
  submit(std::move(job));
}

// The store is unchanged, and the immutable memtable still covers it, so the flush can wait for space.
void Kv::flush_again(const Error& error) {
  const bool logged = !held_up_.empty();
  held_up_ = "flushing waits for space: " + error.to_string();
  if (!logged) log(2, held_up_);
  flush_stage_ = FlushStage::waiting;
  start_flush_when_due();
}

void Kv::flushed(Job& job) {
  held_up_.clear();
  const Progress progress = job.changes->progress();
  immutable_->stored_versions_flushed(job.changes->stored_versions_at_points(),
                                      job.changes->stored_versions());
  note_points(*immutable_);
  note_hash(progress.position.index, progress.totals);
  drop_flushed();
  flushed_ = std::exchange(immutable_, nullptr);
  active_->set_start(progress.totals);
  flushed_position_ = progress.position;
  flush_stage_ = FlushStage::none;
  if (seeded(Bug::durable_before_sync)) durable_ = flushed_position_;
  start_sync();
  pin_exports();
  shed_memory();
  // A sync waits for entries that were applied after the freeze.
  if (std::any_of(syncs_.begin(), syncs_.end(),
                  [this](const Sync& sync) { return sync.index > flushed_position_.index; }))
    freeze();
  start_exports();
  advance_totals();
  read_stored_versions();
  complete_counts();
  resume_batch();
}

// ---- syncing ----

int32_t Kv::sync(uint64_t token) {
  if (broken_) return broken_->code;
  if (durable_.index >= applied_.index) return BOP_OK;
  syncs_.push_back({token, applied_.index});
  if (immutable_ == nullptr && flushed_position_.index < applied_.index) freeze();
  return BOP_PENDING;
}

void Kv::stable(uint64_t index) {
  stable_ = std::max(stable_, index);
  start_flush_when_due();
}

void Kv::start_sync() {
  auto job = std::make_unique<Job>();
  job->work = [this](Job&) { return store_->sync(); };
  // Jobs of the queue run in order, so this sync covers all flushes up to the current one and none after it.
  job->done = [this, through = flushed_position_](Job&) {
    durable_ = through;
    complete_syncs();
  };
  submit(std::move(job));
}

void Kv::complete_syncs() {
  std::vector<Sync> done;
  std::erase_if(syncs_, [&](const Sync& sync) {
    if (sync.index > durable_.index) return false;
    done.push_back(sync);
    return true;
  });
  for (const Sync& sync : done) host_.complete(host_.context, sync.token, BOP_OK, nullptr, 0);
}

// ---- memory ----

void Kv::shed_memory() {
  if (flushed_ == nullptr) return;
  const size_t immutable = immutable_ != nullptr ? immutable_->bytes() : 0;
  if (active_->bytes() + immutable + flushed_->bytes() > settings_.memory_bytes) drop_flushed();
}

// Freeing a memtable takes long, so a worker does it.
void Kv::drop_flushed() {
  if (flushed_ == nullptr) return;
  forget_fetched(*flushed_);
  auto job = std::make_unique<Job>();
  job->memtable = std::exchange(flushed_, nullptr);
  job->work = [](Job& mine) -> Status {
    mine.memtable.reset();
    return {};
  };
  submit(std::move(job));
}

}  // namespace bop::machine::kv

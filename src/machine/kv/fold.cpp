// Freezing, folding, syncing.
//
//              freeze()           sorted         rules 2 and 3 of kv.h hold        committed
//   none ──────────────► sorting ─────────► waiting ──────────────────► folding ───────────► none
//                                                                                  │
//                                          durable() rises ◄── synced ◄── syncing ◄┘
#include "machine/kv/fold.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "machine/kv/seeded_bugs.h"

namespace bop::machine::kv {

namespace {

// How many records ahead a fold brings them near: in their order each is a cache miss or several.
constexpr size_t records_ahead = 8;

// Before a fold that found no space is tried again.
constexpr std::chrono::milliseconds pause_without_space(200);

}  // namespace

// ---- the changes of a layer ----

LayerChanges::LayerChanges(const Layer& layer, const bop_position& position)
    : layer_(layer),
      position_(position),
      start_(*layer.start()),
      resolved_(layer.resolved()),
      buckets_(layer.points().size() + 1) {
  for (const Point& point : layer.points()) marks_.push_back(point.touched);
}

bool LayerChanges::next(Change& change) {
  const std::vector<const Record*>& sorted = layer_.sorted();
  while (next_ < sorted.size()) {
    if (next_ + records_ahead < sorted.size()) prefetch(*sorted[next_ + records_ahead]);
    current_ = sorted[next_++];
    if (current_->base != Base::unknown) count_base(*current_, current_->base_adds());
    if (!current_->present && current_->base == Base::absent) continue;
    change.key = current_->key();
    change.present = current_->present;
    change.revision = current_->revision;
    change.value = current_->value();
    change.want_replaced = current_->base == Base::unknown;
    return true;
  }
  return false;
}

void LayerChanges::replaced(const std::optional<Stored>& record) {
  if (!record) return;
  const Hash128 hash = record_hash(current_->key(), record->revision, record->value);
  count_base(*current_, totals_of(true, hash));
}

void LayerChanges::count_base(const Record& record, const Totals& adds) {
  if (record.ordinal < resolved_) return;  // counted when it was resolved
  const auto mark = std::upper_bound(marks_.begin(), marks_.end(), size_t{record.ordinal});
  buckets_[static_cast<size_t>(mark - marks_.begin())] += adds;
}

Totals LayerChanges::bases() const {
  Totals sum = layer_.resolved_bases();
  for (const Totals& bucket : buckets_) sum += bucket;
  return sum;
}

std::vector<Totals> LayerChanges::bases_at_points() const {
  std::vector<Totals> out;
  Totals sum = layer_.resolved_bases();
  for (size_t i = 0; i < marks_.size(); ++i) out.push_back(sum += buckets_[i]);
  return out;
}

Progress LayerChanges::progress() { return {position_, start_ + layer_.added() - bases()}; }

// ---- jobs ----

void Kv::submit(std::unique_ptr<LayerJob> job) {
  job->kv = this;
  LayerJob* given = job.get();
  layer_jobs_.push_back(std::move(job));
  host_.offload(
      host_.context, BOP_WORK_WRITES,
      [](void* argument) {
        auto& mine = *static_cast<LayerJob*>(argument);
        mine.status = mine.work(mine);
      },
      [](void* argument) {
        auto& mine = *static_cast<LayerJob*>(argument);
        mine.kv->job_done(mine);
      },
      given);
}

void Kv::job_done(LayerJob& job) {
  const auto at = std::find_if(layer_jobs_.begin(), layer_jobs_.end(),
                               [&](const auto& each) { return each.get() == &job; });
  const std::unique_ptr<LayerJob> mine = std::move(*at);
  layer_jobs_.erase(at);
  // Whoever lets go of a layer last frees it: let that not be this thread.
  mine->layer.reset();
  if (broken_) return;
  if (!mine->status) {
    const Error& error = mine->status.error();
    const bool fold = mine->changes != nullptr;
    return fold && error.code == BOP_E_DISK_FULL ? fold_again(error) : break_with(error);
  }
  if (mine->done) mine->done(*mine);
}

// ---- freezing ----

bool Kv::freeze_is_due() const {
  return active_->bytes() >= settings_.memory_bytes / 8 * 3 ||
         log_bytes_ >= settings_.freeze_log_bytes;
}

// The active layer may not grow further while another is being folded.
bool Kv::memory_is_full() const {
  return frozen_ != nullptr && active_->bytes() >= settings_.memory_bytes / 2;
}

void Kv::freeze() {
  BOP_ASSERT(frozen_ == nullptr && fold_stage_ == FoldStage::none);
  frozen_ = std::exchange(active_, std::make_shared<Layer>());
  frozen_at_ = applied_;
  frozen_reads_ = reads_->submitted();
  log_bytes_ = 0;
  bases_wanted_ = 0;
  advance_totals();
  fold_stage_ = FoldStage::sorting;
  auto job = std::make_unique<LayerJob>();
  job->layer = frozen_;
  job->work = [](LayerJob& mine) -> Status {
    mine.layer->sort();
    return {};
  };
  job->done = [this](LayerJob&) {
    fold_stage_ = FoldStage::waiting;
    start_fold_when_due();
    resume_ranges();
  };
  submit(std::move(job));
  shed_memory();
}

// ---- folding ----

void Kv::start_fold_when_due() {
  if (fold_stage_ != FoldStage::waiting || broken_) return;
  const bool log_has_it = stable_ >= frozen_at_.index || seeded(Bug::fold_beyond_settled);
  const bool reads_are_done = reads_->done() >= frozen_reads_ || seeded(Bug::fold_overtakes_reads);
  if (log_has_it && reads_are_done) start_fold();
}

void Kv::start_fold() {
  advance_totals();
  fold_stage_ = FoldStage::folding;
  auto job = std::make_unique<LayerJob>();
  job->layer = frozen_;
  job->changes = std::make_unique<LayerChanges>(*frozen_, frozen_at_);
  job->work = [this](LayerJob& mine) {
    Status folded = store_->fold(*mine.changes);
    if (!folded && folded.error().code == BOP_E_DISK_FULL)
      std::this_thread::sleep_for(pause_without_space);
    return folded;
  };
  job->done = [this](LayerJob& mine) { folded(mine); };
  submit(std::move(job));
}

// The store is as it was before, and the layer answers in its place until there is space.
void Kv::fold_again(const Error& error) {
  if (!std::exchange(held_up_, true)) say(2, "folding waits for space: " + error.to_string());
  fold_stage_ = FoldStage::waiting;
  start_fold_when_due();
}

void Kv::folded(LayerJob& job) {
  held_up_ = false;
  const Progress progress = job.changes->progress();
  frozen_->bases_folded(job.changes->bases_at_points(), job.changes->bases());
  note_points(*frozen_);
  note_hash(progress.position.index, progress.totals);
  drop_clean();
  clean_ = std::exchange(frozen_, nullptr);
  active_->set_start(progress.totals);
  folded_ = progress.position;
  fold_stage_ = FoldStage::none;
  if (seeded(Bug::durable_before_sync)) durable_ = folded_;
  start_sync();
  shed_memory();
  // Somebody waits for entries that came after the freeze.
  if (std::any_of(syncs_.begin(), syncs_.end(),
                  [this](const Sync& sync) { return sync.index > folded_.index; }))
    freeze();
  advance_totals();
  read_bases();
  complete_counts();
  resume_batch();
}

// ---- syncing ----

int32_t Kv::sync(uint64_t token) {
  if (broken_) return broken_->code;
  if (durable_.index >= applied_.index) return BOP_OK;
  syncs_.push_back({token, applied_.index});
  if (frozen_ == nullptr && folded_.index < applied_.index) freeze();
  return BOP_PENDING;
}

void Kv::stable(uint64_t index) {
  stable_ = std::max(stable_, index);
  start_fold_when_due();
}

void Kv::start_sync() {
  auto job = std::make_unique<LayerJob>();
  job->work = [this](LayerJob&) { return store_->sync(); };
  // The queue runs in order: no later fold can have come before this sync, and one that came
  // before it is in it.
  job->done = [this, through = folded_](LayerJob&) {
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
  if (clean_ == nullptr) return;
  const size_t frozen = frozen_ != nullptr ? frozen_->bytes() : 0;
  if (active_->bytes() + frozen + clean_->bytes() > settings_.memory_bytes) drop_clean();
}

// Freeing a layer takes long: a worker does it.
void Kv::drop_clean() {
  if (clean_ == nullptr) return;
  forget_fetched(*clean_);
  auto job = std::make_unique<LayerJob>();
  job->layer = std::exchange(clean_, nullptr);
  job->work = [](LayerJob& mine) -> Status {
    mine.layer.reset();
    return {};
  };
  submit(std::move(job));
}

}  // namespace bop::machine::kv

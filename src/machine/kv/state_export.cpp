#include "machine/kv/state_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "machine/kv/seeded_bugs.h"

namespace bop::machine::kv {

namespace {

// Of a part, whatever bop asks for: each costs a job and a file.
constexpr uint64_t least_part_bytes = 1 << 10;

}  // namespace

// ---- parts ----

Kv::Export::Export(const bop_snapshot_options& options, uint64_t begin_token)
    : handle(options.handle),
      token(begin_token),
      cutter_(std::max(options.part_bytes, least_part_bytes)) {}

Status Kv::Export::read() {
  if (!records_end_)
    BOP_TRY(state->read([this](Snapshot& snapshot) { return read_records(snapshot); }));
  if (!cutter_.empty()) {
    label = records_label(number_++);
    bytes = cutter_.take();
    return {};
  }
  label = totals_label;
  bytes = encode_totals(sum_);
  complete = true;
  return {};
}

Status Kv::Export::read_records(Snapshot& snapshot) {
  BOP_TRY_ASSIGN(auto record, snapshot.seek(next_));
  for (bool ends = false; record && !ends;) {
    sum_ += totals_of(true, record->stored.hash);
    ends = cutter_.add(*record);
    BOP_TRY_ASSIGN(record, snapshot.next());
  }
  if (record) {
    next_.assign(record->key.begin(), record->key.end());
    return {};
  }
  records_end_ = true;
  const Totals recorded = state->progress().totals;
  if (sum_ == recorded) return {};
  return fail(BOP_E_DAMAGED,
              fmt::format("the store: its {} records are not the {} that it recorded", sum_.records,
                          recorded.records));
}

// ---- calls of bop ----

int32_t Kv::snapshot_begin(const bop_snapshot_options& options, uint64_t token) {
  if (broken_) return broken_->code;
  if (restore_ != nullptr) return BOP_E_UNAVAILABLE;
  exports_.push_back(std::make_shared<Export>(options, token));
  start_exports();
  return BOP_PENDING;
}

int32_t Kv::snapshot_next(uint64_t handle, bop_part& part, uint64_t token) {
  if (broken_) return broken_->code;
  const std::shared_ptr<Export> each = find_export(handle);
  BOP_ASSERT(each != nullptr && each->stage == Export::Stage::open && each->token == 0);
  if (each->complete) {
    part.kind = BOP_PART_END;
    return BOP_OK;
  }
  each->token = token;
  submit_bulk([each] { each->status = each->read(); }, [this, each] { part_read(*each); });
  return BOP_PENDING;
}

void Kv::snapshot_end(uint64_t handle) {
  const std::shared_ptr<Export> each = find_export(handle);
  if (each == nullptr) return;
  std::erase(exports_, each);
  // The store is not called on this thread.
  if (each->state != nullptr) submit_bulk([each] { each->state.reset(); }, [] {});
}

// What a worker does completes soon by itself; waiting for a flush may take long.
void Kv::cancel(uint64_t token) {
  const auto found = std::ranges::find_if(exports_, [token](const auto& each) {
    return each->token == token &&
           (each->stage == Export::Stage::waiting || each->stage == Export::Stage::flushing);
  });
  if (found == exports_.end()) return;
  (*found)->stage = Export::Stage::cancelled;
  submit_bulk([] {},
              [this, token] { host_.complete(host_.context, token, BOP_E_STOPPED, nullptr, 0); });
}

// ---- stages ----

std::shared_ptr<Kv::Export> Kv::find_export(uint64_t handle) const {
  const auto found =
      std::ranges::find(exports_, handle, [](const auto& each) { return each->handle; });
  return found == exports_.end() ? nullptr : *found;
}

void Kv::submit_bulk(std::function<void()> work, std::function<void()> done) {
  auto job = std::make_unique<Job>();
  job->work = [work = std::move(work)](Job&) -> Status {
    work();
    return {};
  };
  job->done = [done = std::move(done)](Job&) { done(); };
  submit(std::move(job), BOP_WORK_BULK);
}

// After each event that may let a waiting snapshot go on.
void Kv::start_exports() {
  const auto waits = [](const auto& each) { return each->stage == Export::Stage::waiting; };
  if (check_ != nullptr || std::ranges::none_of(exports_, waits)) return;
  if (immutable_ == nullptr && flushed_position_.index < applied_.index) freeze();
  // Otherwise entries were applied since: it takes the memtable that becomes immutable next.
  if (immutable_ != nullptr && immutable_last_.index != applied_.index) return;
  for (const std::shared_ptr<Export>& each : exports_) {
    if (!waits(each)) continue;
    each->stage = Export::Stage::flushing;
    each->position = applied_;
    if (!seeded(Bug::snapshot_point_is_late)) host_.snapshot_point(host_.context, each->handle);
  }
  if (immutable_ == nullptr) pin_exports();
}

// The store has the state after flushed_position_, and no flush begins before these jobs: they are on its queue.
void Kv::pin_exports() {
  for (const std::shared_ptr<Export>& each : exports_) {
    if (each->stage != Export::Stage::flushing) continue;
    BOP_ASSERT_EQ(each->position.index, flushed_position_.index);
    each->stage = Export::Stage::pinning;
    auto job = std::make_unique<Job>();
    job->work = [this, each](Job&) -> Status {
      auto pinned = store_->pin();
      if (pinned)
        each->state = std::move(*pinned);
      else
        each->status = std::unexpected(pinned.error());
      return {};
    };
    job->done = [this, each](Job&) { export_pinned(*each); };
    submit(std::move(job));
  }
}

void Kv::export_pinned(Export& each) {
  if (!each.status) return fail_export(each);
  BOP_ASSERT_EQ(each.state->progress().position.index, each.position.index);
  each.stage = Export::Stage::open;
  if (seeded(Bug::snapshot_point_is_late)) host_.snapshot_point(host_.context, each.handle);
  host_.complete(host_.context, std::exchange(each.token, 0), BOP_OK, nullptr, 0);
}

void Kv::part_read(Export& each) {
  if (!each.status) return fail_export(each);
  bop_part part{};
  part.size = sizeof part;
  part.kind = BOP_PART_BYTES;
  part.label = as_c(as_bytes(each.label));
  part.bytes = as_c(each.bytes);
  host_.complete_part(host_.context, std::exchange(each.token, 0), BOP_OK, &part);
}

// A store that could not keep the state is sound; any other error condemns it.
void Kv::fail_export(Export& each) {
  const Error error = each.status.error();
  if (error.code != BOP_E_OVERLOADED && error.code != BOP_E_DISK_FULL) return break_with(error);
  log(2, "a snapshot ends before its last part: " + error.detail);
  const uint64_t token = std::exchange(each.token, 0);
  if (each.stage == Export::Stage::open)
    host_.complete_part(host_.context, token, error.code, nullptr);
  else
    host_.complete(host_.context, token, error.code, nullptr, 0);
}

}  // namespace bop::machine::kv

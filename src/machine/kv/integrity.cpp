// Verification: the whole store when it is opened, before anything is answered from it, and again and again in the
// background (scrubbing), within the bytes that bop grants.
//
// A checksum finds a record that was altered, but not one that is missing. For that, the hashes of all records are
// summed and compared with the totals that the store recorded. A scrub sums a store that flushes change meanwhile: each
// flush also applies its changes of the records that the pass has behind it to the pass's sum. The worker of flushes
// runs the slices of a pass too, so that no flush happens during one.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "machine/kv/flush.h"

namespace bop::machine::kv {

// ---- when it is opened ----

Status Kv::start_verification() {
  BOP_TRY_ASSIGN(check_, store_->begin_check());
  verify();
  return {};
}

void Kv::verify() {
  constexpr unsigned mib_shift = 20;
  verification_.done_bytes = check_->done_bytes();
  verification_.total_bytes = std::max(check_->total_bytes(), verification_.done_bytes);
  verifying_ =
      fmt::format("verifying the store, {} of {} MiB", verification_.done_bytes >> mib_shift,
                  verification_.total_bytes >> mib_shift);
  auto job = std::make_unique<Job>();
  auto complete = std::make_shared<bool>(false);
  job->work = [this, complete](Job&) -> Status {
    BOP_TRY_ASSIGN(*complete, check_->step());
    return {};
  };
  job->done = [this, complete](Job&) { *complete ? verified() : verify(); };
  submit(std::move(job));
}

void Kv::verified() {
  verification_.done_bytes = verification_.total_bytes = check_->done_bytes();
  check_.reset();
  verifying_.clear();
  note_hash(applied_.index, store_->opened().totals);
  log(1, fmt::format("the store was verified: {} records, {} bytes",
                     store_->opened().totals.records, verification_.total_bytes));
  start_restore();
  start_exports();
  resume_batch();
}

void Kv::integrity(bop_machine_integrity& out) const {
  out.status = broken_ ? broken_->code : check_ != nullptr ? BOP_PENDING : BOP_OK;
  out.reason = broken_ ? broken_->detail.c_str() : nullptr;
  out.verified_bytes = verification_.done_bytes;
  out.verify_bytes = verification_.total_bytes;
  out.scrubbed_bytes = scrubbed_bytes_;
  out.scrub_passes = scrub_passes_;
}

// ---- scrubbing ----

int32_t Kv::scrub(uint64_t max_bytes, uint64_t token) {
  if (broken_) return broken_->code;
  if (check_ != nullptr || restore_ != nullptr) return BOP_OK;
  struct Found {
    uint64_t bytes = 0;
    bool end = false;
  };
  auto found = std::make_shared<Found>();
  auto job = std::make_unique<Job>();
  job->work = [this, found, max_bytes](Job&) -> Status {
    BOP_TRY_ASSIGN(const Slice slice, store_->scrub(pass_.next, max_bytes));
    found->bytes = slice.bytes;
    pass_.sum += slice.totals;
    pass_.next = slice.next;
    if (!pass_.next.empty()) return {};
    found->end = true;
    const Totals sum = std::exchange(pass_.sum, {});
    if (sum == pass_.store) return {};
    return fail(BOP_E_DAMAGED,
                fmt::format("{}kv.mdbx: its {} records are not the {} that it recorded",
                            host_.directory == nullptr ? "" : std::string(host_.directory) + "/",
                            sum.records, pass_.store.records));
  };
  job->done = [this, found, token](Job&) {
    scrubbed_bytes_ += found->bytes;
    if (found->end) ++scrub_passes_;
    host_.complete(host_.context, token, BOP_OK, nullptr, 0);
  };
  submit(std::move(job));
  return BOP_PENDING;
}

}  // namespace bop::machine::kv

#include "machine/kv/state_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "bop/kv.h"
#include "machine/kv/seeded_bugs.h"

namespace bop::machine::kv {

namespace {

// Verified records of one part, or none, and the state that the store has with them.
class RestoredRecords final : public Changes {
 public:
  RestoredRecords(std::span<const StoredRecord> records, const Progress& after)
      : records_(records), after_(after) {}

  bool next(Change& change) override {
    if (next_ == records_.size()) return false;
    const StoredRecord& record = records_[next_++];
    change = {};
    change.key = record.key;
    change.present = true;
    change.revision = record.stored.revision;
    change.hash = record.stored.hash;
    change.value = record.stored.value;
    return true;
  }
  void replaced(const std::optional<Stored>&) override {}
  void restart() override { next_ = 0; }
  Progress progress() override { return after_; }

 private:
  const std::span<const StoredRecord> records_;
  const Progress after_;
  size_t next_ = 0;
};

}  // namespace

// ---- on the worker ----

Status Kv::Restore::begin(Store& store) const {
  if (store.opened().totals.records != 0)
    return fail(BOP_E_INVALID_ARGUMENT, "the store has records already");
  return store.check_space(bytes);
}

Status Kv::Restore::take(Store& store) {
  if (!path.empty()) BOP_TRY(read_file());
  if (!totals_ && label == records_label(number_)) return take_records(store);
  if (totals_ || label != totals_label)
    return fail(BOP_E_DAMAGED, fmt::format("part \"{}\" is not in its place", label));
  BOP_TRY_ASSIGN(totals_, decode_totals(part));
  return {};
}

Status Kv::Restore::read_file() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (file == nullptr) return fail(BOP_E_IO, path + " cannot be opened");
  part.resize(BOP_PART_SIZE_MAX + 1);
  part.resize(std::fread(part.data(), 1, part.size(), file.get()));
  if (std::ferror(file.get()) != 0) return fail(BOP_E_IO, path + " cannot be read");
  if (part.size() > BOP_PART_SIZE_MAX)
    return fail(BOP_E_TOO_LARGE, path + " is larger than a part may be");
  return {};
}

Status Kv::Restore::take_records(Store& store) {
  ++number_;
  std::vector<StoredRecord> records;
  PartReader reader(part, last_);
  for (StoredRecord record; reader.next(record);) {
    Stored& stored = record.stored;
    stored.hash = record_hash(record.key, stored.revision, stored.value);
    sum += totals_of(true, stored.hash);
    newest_ = std::max(newest_, stored.revision);
    records.push_back(record);
  }
  if (reader.damaged())
    return fail(BOP_E_DAMAGED,
                fmt::format("part \"{}\" is malformed after {} records", label, records.size()));
  RestoredRecords changes(records, {{0, 0}, sum});
  BOP_TRY(store.flush(changes));
  last_.assign(reader.last().begin(), reader.last().end());
  return {};
}

Status Kv::Restore::end(Store& store, bop_position position) {
  if (!totals_) return fail(BOP_E_DAMAGED, "its last part, the totals, is missing");
  if (*totals_ != sum)
    return fail(BOP_E_DAMAGED, fmt::format("its {} records are not the {} that its totals count",
                                           sum.records, totals_->records));
  if (newest_ > position.index)
    return fail(BOP_E_DAMAGED, fmt::format("it has a record of entry {}, and is to be the state "
                                           "after entry {}",
                                           newest_, position.index));
  RestoredRecords none({}, {position, sum});
  BOP_TRY(store.flush(none));
  if (seeded(Bug::restore_not_synced)) return {};
  return store.sync();
}

// ---- calls of bop ----

int32_t Kv::restore_begin(const bop_restore_options& options, uint64_t token) {
  if (broken_) return broken_->code;
  if (restore_ != nullptr || applied_.index != 0 || !exports_.empty())
    return BOP_E_INVALID_ARGUMENT;
  if (std::string_view(options.kind) != "kv") {
    log(2, fmt::format("a snapshot of a machine {} cannot be restored", options.kind));
    return BOP_E_INVALID_ARGUMENT;
  }
  if (options.version != BOP_KV_VERSION) {
    log(2, fmt::format("a snapshot of version {} cannot be restored, this bop knows {}",
                       options.version, BOP_KV_VERSION));
    return options.version > BOP_KV_VERSION ? BOP_E_NEWER_FORMAT : BOP_E_OLDER_FORMAT;
  }
  restore_ = std::make_unique<Restore>();
  restore_->token = token;
  restore_->bytes = options.bytes;
  start_restore();
  return BOP_PENDING;
}

// Once the empty store is verified.
void Kv::start_restore() {
  if (restore_ == nullptr || restore_->begun || check_ != nullptr) return;
  restore_->begun = true;
  work_on_restore([this] { return restore_->begin(*store_); }, [] {});
}

int32_t Kv::restore_part(const bop_part& part, uint64_t token) {
  if (broken_) return broken_->code;
  if (restore_ == nullptr || restore_->failed || restore_->token != 0)
    return BOP_E_INVALID_ARGUMENT;
  Restore& restore = *restore_;
  const std::string_view label = as_text(bytes_of(part.label));
  if (restore.label.empty()) {
    restore.label = label;
    restore.part.clear();
    restore.path.clear();
  } else if (restore.label != label) {
    return refuse_restore({BOP_E_DAMAGED, fmt::format("part \"{}\" has no end", restore.label)});
  }
  if (part.kind == BOP_PART_FILE) {
    restore.path = part.path;
  } else if (part.kind != BOP_PART_BYTES) {
    return refuse_restore({BOP_E_INVALID_ARGUMENT, "a part has neither bytes nor a file"});
  } else if (restore.part.size() + part.bytes.size > BOP_PART_SIZE_MAX) {
    return refuse_restore({BOP_E_TOO_LARGE, fmt::format("part \"{}\" is too large", label)});
  } else {
    const Bytes bytes = bytes_of(part.bytes);
    restore.part.insert(restore.part.end(), bytes.begin(), bytes.end());
    if ((part.flags & BOP_PART_MORE) != 0) return BOP_OK;
  }
  restore.token = token;
  work_on_restore([this] { return restore_->take(*store_); }, [this] { restore_->label.clear(); });
  return BOP_PENDING;
}

int32_t Kv::restore_end(bop_position position, uint64_t token) {
  if (broken_) return broken_->code;
  if (restore_ == nullptr || restore_->failed || restore_->token != 0 || position.index == 0)
    return BOP_E_INVALID_ARGUMENT;
  if (!restore_->label.empty())
    return refuse_restore({BOP_E_DAMAGED, fmt::format("part \"{}\" has no end", restore_->label)});
  restore_->token = token;
  work_on_restore([this, position] { return restore_->end(*store_, position); },
                  [this, position] { restored(position); });
  return BOP_PENDING;
}

// ---- steps ----

int32_t Kv::refuse_restore(const Error& error) {
  restore_->failed = true;
  log(2, "the snapshot cannot be restored: " + error.to_string());
  return error.code;
}

// `then` is called if the work succeeded, before the call completes.
void Kv::work_on_restore(std::function<Status()> work, std::function<void()> then) {
  submit_bulk([this, work = std::move(work)] { restore_->status = work(); },
              [this, then = std::move(then)] {
                const uint64_t token = std::exchange(restore_->token, 0);
                const Status status = restore_->status;
                const int32_t code = status ? int32_t{BOP_OK} : refuse_restore(status.error());
                if (status) then();
                host_.complete(host_.context, token, code, nullptr, 0);
              });
}

void Kv::restored(bop_position position) {
  const Totals totals = std::exchange(restore_, nullptr)->sum;
  applied_ = durable_ = flushed_position_ = position;
  last_hash_index_ = position.index / settings_.hash_interval * settings_.hash_interval;
  active_->set_start(totals);
  note_hash(position.index, totals);
  auto job = std::make_unique<Job>();
  job->work = [this, totals](Job&) -> Status {
    pass_ = {};
    pass_.store = totals;
    return {};
  };
  submit(std::move(job));
  log(1,
      fmt::format("restored {} records, the state after entry {}", totals.records, position.index));
}

}  // namespace bop::machine::kv

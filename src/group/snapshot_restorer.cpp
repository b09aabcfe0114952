#include "group/snapshot_restorer.h"

#include <fmt/format.h>

#include <ranges>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::group {

struct SnapshotRestorer::Files {
  Files(port::FileSystem& files, Options options) : files(files), options(std::move(options)) {}

  // Sets `manifest` and the outcome's members.
  Status find() {
    if (const auto names = files.list_now(options.directory); !names) {
      if (names.error().code == BOP_E_NOT_FOUND) return {};
      return std::unexpected(names.error());
    }
    BOP_TRY_ASSIGN(auto opened, snapshot::Snapshots::open(files, options.directory));
    snapshots.emplace(std::move(opened));
    for (const Error& damage : snapshots->damaged()) note(damage);
    std::vector<snapshot::Stored> condemned;
    for (const snapshot::Stored& stored : snapshots->list() | std::views::reverse) {
      if (const Status whole = check(stored); whole) {
        outcome.restored = stored;
        outcome.time_ns = manifest.time_ns;
        break;
      } else {
        note(whole.error());
        // Else it would still be the newest when the next one has been taken.
        if (whole.error().code == BOP_E_DAMAGED || whole.error().code == BOP_E_NOT_FOUND)
          condemned.push_back(stored);
      }
    }
    for (const snapshot::Stored& stored : condemned) BOP_TRY(snapshots->remove(stored));
    return {};
  }
  Status check(const snapshot::Stored& stored) {
    BOP_TRY_ASSIGN(manifest, snapshots->manifest(stored));
    if (manifest.cluster != options.cluster || manifest.group != options.group)
      return fail(BOP_E_FOREIGN_DIRECTORY,
                  fmt::format("{}: the snapshot at entry {} is of another cluster or group",
                              files.describe(options.directory), stored.index));
    return snapshots->verify(stored);
  }
  void note(const Error& why) {
    logging::error("group {}: a snapshot cannot be used: {}", options.name, why.to_string());
    if (outcome.unusable.empty()) outcome.unusable = why.to_string();
  }

  port::FileSystem& files;
  const Options options;
  std::optional<snapshot::Snapshots> snapshots;
  snapshot::Manifest manifest;
  Outcome outcome;
};

SnapshotRestorer::SnapshotRestorer(Options options, port::FileSystem& files,
                                   machine::Offload& offload)
    : options_(std::move(options)),
      offload_(offload),
      disk_(std::make_shared<Files>(files, options_)) {}

SnapshotRestorer::~SnapshotRestorer() { *here_ = false; }

// `work` runs on the worker, with the files; `then` with its result on the shard's thread.
template <class Work, class Then>
void SnapshotRestorer::run(Work work, Then then) {
  using Returned = decltype(work(*disk_));
  auto result = std::make_shared<std::optional<Returned>>();
  offload_.submit(
      machine::Offload::WorkQueue::bulk,
      [disk = disk_, work = std::move(work), result] { result->emplace(work(*disk)); },
      [here = here_, then = std::move(then), result] {
        if (*here) then(std::move(**result));
      });
}

void SnapshotRestorer::restore(machine::Driver& driver, Done done) {
  BOP_ASSERT(driver_ == nullptr);
  driver_ = &driver;
  done_ = std::move(done);
  run([](Files& files) { return files.find(); },
      [this](const Status& searched) {
        if (!searched) return end(std::unexpected(searched.error()));
        found();
      });
}

void SnapshotRestorer::found() {
  outcome_ = disk_->outcome;
  if (!outcome_.restored) return end(std::move(outcome_));
  manifest_ = disk_->manifest;
  if (manifest_.kind != driver_->kind())
    return end(fail(BOP_E_BAD_CONFIG, fmt::format("the snapshot at entry {} is of the machine {}",
                                                  manifest_.index, manifest_.kind)));
  if (manifest_.version > driver_->version())
    return end(
        fail(BOP_E_NEWER_FORMAT,
             fmt::format("the snapshot at entry {} is of version {} of the machine {}; this "
                         "program has version {}",
                         manifest_.index, manifest_.version, manifest_.kind, driver_->version())));
  begin();
}

void SnapshotRestorer::begin() {
  stage_ = Stage::beginning;
  logging::info("group {}: restores its machine from the snapshot at entry {}, {} bytes",
                options_.name, manifest_.index, manifest_.bytes());
  const Status begun = driver_->begin_restore(
      {.kind = manifest_.kind, .version = manifest_.version, .bytes = manifest_.bytes()}, *this);
  if (!begun && stage_ != Stage::done) end(std::unexpected(begun.error()));
}

void SnapshotRestorer::restored(const Status& status) {
  if (stage_ == Stage::done) return;
  if (!status) return end(std::unexpected(status.error()));
  if (stage_ == Stage::ending) return end(std::move(outcome_));
  next();
}

void SnapshotRestorer::next() {
  if (next_part_ == manifest_.parts.size()) {
    stage_ = Stage::ending;
    return driver_->finish_restore({manifest_.index, manifest_.term});
  }
  stage_ = Stage::parts;
  // The job may outlive the restorer, and with it the manifest.
  run([part = manifest_.parts[next_part_]](Files& files) { return files.snapshots->load(part); },
      [this](Result<std::vector<uint8_t>> bytes) {
        if (!bytes) return end(std::unexpected(bytes.error()));
        bytes_ = std::move(*bytes);
        pass_part();
      });
}

void SnapshotRestorer::pass_part() {
  const std::string& label = manifest_.parts[next_part_++].label;
  part_ = {};
  part_.size = sizeof part_;
  part_.kind = BOP_PART_BYTES;
  part_.label = {reinterpret_cast<const uint8_t*>(label.data()), label.size()};
  part_.bytes = {bytes_.data(), bytes_.size()};
  driver_->restore_part(part_);
}

void SnapshotRestorer::end(Result<Outcome> result) {
  stage_ = Stage::done;
  bytes_ = {};
  if (const Done done = std::exchange(done_, nullptr)) done(result);
}

}  // namespace bop::group

#include "group/snapshot_taker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::group {

SnapshotTaker::SnapshotTaker(Options options, port::FileSystem& files, machine::Offload& offload,
                             std::function<Facts(Index)> facts)
    : options_(std::move(options)),
      offload_(offload),
      facts_(std::move(facts)),
      files_(std::make_shared<SnapshotFiles>(files, options_.directory)) {}

SnapshotTaker::~SnapshotTaker() {
  ++*run_;
  ++*here_;
  if (taking() && driver_ != nullptr) driver_->end_snapshot(handle_);
}

template <class Work, class Ended>
void SnapshotTaker::run(Work work, Ended ended) {
  run_snapshot_job(offload_, files_, here_, std::move(work), std::move(ended));
}

// For the snapshot that is being taken.
template <class Work, class Then>
void SnapshotTaker::go_on(Work work, Then then) {
  run_snapshot_job(offload_, files_, run_, std::move(work), std::move(then));
}

void SnapshotTaker::open() {
  BOP_ASSERT(stage_ == Stage::closed);
  run(
      [](SnapshotFiles& files) -> Result<std::optional<snapshot::Stored>> {
        return files.newest();
      },
      [this](const Result<std::optional<snapshot::Stored>>& newest) {
        stage_ = Stage::idle;
        if (newest)
          newest_ = *newest;
        else
          logging::error("group {}: its snapshots cannot be listed: {}", options_.name,
                         newest.error().to_string());
      });
}

void SnapshotTaker::take(machine::Driver& driver, Done done) {
  if (stage_ != Stage::idle)
    return done(fail(BOP_E_OVERLOADED, "a snapshot of this group is being taken"));
  stage_ = Stage::beginning;
  driver_ = &driver;
  done_ = std::move(done);
  written_ = 0;
  manifest_ = {};
  manifest_.cluster = options_.cluster;
  manifest_.group = options_.group;
  manifest_.kind = driver.kind();
  manifest_.version = driver.version();
  go_on([](SnapshotFiles& files) { return files.open(); },
        [this](const Status& opened) {
          if (!opened) return end(std::unexpected(opened.error()));
          const auto handle =
              driver_->begin_snapshot({.scratch = {}, .part_bytes = options_.part_bytes}, *this);
          if (!handle) return end(std::unexpected(handle.error()));
          if (!taking()) return;  // it failed within the call
          handle_ = *handle;
          if (stage_ == Stage::reading) driver_->next_part(handle_);
        });
}

void SnapshotTaker::list(std::function<void(Result<std::vector<snapshot::Stored>>)> done) {
  run(
      [](SnapshotFiles& files) -> Result<std::vector<snapshot::Stored>> {
        BOP_TRY_ASSIGN(const bool there, files.open_if_there());
        if (!there) return std::vector<snapshot::Stored>();
        return files.snapshots->list();
      },
      std::move(done));
}

void SnapshotTaker::verify(std::function<void(Result<std::optional<snapshot::Stored>>)> done) {
  run(
      [](SnapshotFiles& files) -> Result<std::optional<snapshot::Stored>> {
        BOP_TRY_ASSIGN(const auto newest, files.newest());
        if (newest) BOP_TRY(files.snapshots->verify(*newest));
        return newest;
      },
      std::move(done));
}

void SnapshotTaker::stable(Index index) {
  stable_ = std::max(stable_, index);
  if (stage_ == Stage::waiting && manifest_.index <= stable_) commit();
}

void SnapshotTaker::cancel(const Error& reason) {
  if (!taking()) return;
  if (handle_ != 0) driver_->end_snapshot(handle_);
  end(std::unexpected(reason));
}

// ---- events of the machine ----

void SnapshotTaker::begun() {
  stage_ = Stage::reading;
  // Within begin_snapshot() the handle is not known yet: take() goes on.
  if (handle_ != 0) driver_->next_part(handle_);
}

void SnapshotTaker::at_point(bop_position applied) {
  Facts facts = facts_(applied.index);
  manifest_.index = applied.index;
  manifest_.term = applied.term;
  manifest_.time_ns = facts.time_ns;
  manifest_.configuration_index = facts.configuration_index;
  manifest_.configuration = std::move(facts.configuration);
}

void SnapshotTaker::part(const bop_part& part) {
  BOP_ASSERT(stage_ == Stage::reading);
  if (part.kind == BOP_PART_END) {
    handle_ = 0;
    stage_ = Stage::waiting;
    return stable(stable_);
  }
  BOP_ASSERT_EQ(part.kind, uint32_t{BOP_PART_BYTES});  // neither scratch nor base was given
  const Bytes bytes(part.bytes.data, part.bytes.size);
  write({bytes.begin(), bytes.end()}, std::string(as_text({part.label.data, part.label.size})),
        (part.flags & BOP_PART_MORE) == 0);
}

void SnapshotTaker::failed(const Error& error) {
  handle_ = 0;
  end(std::unexpected(error));
}

// ---- files ----

void SnapshotTaker::write(std::vector<uint8_t> bytes, std::string label, bool last_piece) {
  stage_ = Stage::writing;
  written_ += bytes.size();
  go_on([bytes = std::move(bytes), label = std::move(label),
         last_piece](SnapshotFiles& files) { return files.write(bytes, label, last_piece); },
        [this](Result<std::optional<snapshot::Part>> part) { written(std::move(part)); });
}

void SnapshotTaker::written(Result<std::optional<snapshot::Part>> part) {
  if (!part) {
    driver_->end_snapshot(handle_);
    return end(std::unexpected(part.error()));
  }
  if (*part) manifest_.parts.push_back(std::move(**part));
  stage_ = Stage::reading;
  driver_->next_part(handle_);
}

void SnapshotTaker::commit() {
  stage_ = Stage::committing;
  go_on([manifest = manifest_](SnapshotFiles& files) { return files.commit_taken(manifest); },
        [this](Result<snapshot::Stored> stored) { end(std::move(stored)); });
}

void SnapshotTaker::end(Result<snapshot::Stored> result) {
  ++*run_;
  stage_ = Stage::idle;
  driver_ = nullptr;
  handle_ = 0;
  // A part that was not finished is replaced by the next one.
  run([](SnapshotFiles& files) { return files.writer.reset(), true; }, [](bool) {});
  if (result) {
    newest_ = *result;
    logging::info("group {}: took a snapshot at entry {}, {} bytes in {} parts", options_.name,
                  result->index, result->bytes, result->parts);
  } else {
    logging::error("group {}: no snapshot was taken: {}", options_.name,
                   result.error().to_string());
  }
  if (const Done done = std::exchange(done_, nullptr)) done(result);
}

}  // namespace bop::group

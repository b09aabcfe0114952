#include "group/snapshot_taker.h"

#include <fmt/format.h>

#include <utility>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::group {

struct SnapshotTaker::Files {
  Files(port::FileSystem& files, std::string directory)
      : files(files), directory(std::move(directory)) {}

  Status open() {
    if (snapshots) return {};
    BOP_TRY_ASSIGN(auto opened, snapshot::Snapshots::open(files, directory));
    for (const Error& damage : opened.damaged())
      logging::error("a snapshot cannot be read and is not used: {}", damage.to_string());
    snapshots.emplace(std::move(opened));
    return {};
  }
  Result<std::optional<snapshot::Part>> write(Bytes bytes, const std::string& label,
                                              bool last_piece) {
    if (!writer) {
      BOP_TRY_ASSIGN(auto begun, snapshots->begin_part());
      writer.emplace(std::move(begun));
    }
    BOP_TRY(writer->append(bytes));
    if (!last_piece) return std::optional<snapshot::Part>();
    BOP_TRY_ASSIGN(auto part, snapshots->publish(*std::exchange(writer, std::nullopt), label));
    return std::optional(std::move(part));
  }
  Result<snapshot::Stored> commit(const snapshot::Manifest& manifest) {
    BOP_TRY(snapshots->commit(manifest));
    // The snapshot exists; what is left of older ones costs space alone.
    if (const Status dropped = drop_older(); !dropped)
      logging::warning("older snapshots were not removed: {}", dropped.error().to_string());
    return snapshots->list().back();
  }
  Status drop_older() {
    while (snapshots->list().size() > kept) {
      const snapshot::Stored oldest = snapshots->list().front();
      BOP_TRY(snapshots->remove(oldest));
    }
    return snapshots->collect();
  }

  port::FileSystem& files;
  const std::string directory;
  std::optional<snapshot::Snapshots> snapshots;
  std::optional<snapshot::PartWriter> writer;
};

SnapshotTaker::SnapshotTaker(Options options, port::FileSystem& files, machine::Offload& offload,
                             std::function<Facts()> facts)
    : options_(std::move(options)),
      offload_(offload),
      facts_(std::move(facts)),
      disk_(std::make_shared<Files>(files, options_.directory)) {}

SnapshotTaker::~SnapshotTaker() {
  ++*run_;
  if (taking() && driver_ != nullptr) driver_->end_snapshot(handle_);
}

// `work` runs on the worker, with the files; `then` with its result on the shard's thread, unless the snapshot that it
// is for has ended meanwhile.
template <class Work, class Then>
void SnapshotTaker::run(Work work, Then then) {
  using Outcome = decltype(work(*disk_));
  auto result = std::make_shared<std::optional<Outcome>>();
  offload_.submit(
      machine::Offload::WorkQueue::bulk,
      [disk = disk_, work = std::move(work), result] { result->emplace(work(*disk)); },
      [run = run_, number = *run_, then = std::move(then), result] {
        if (*run == number) then(std::move(**result));
      });
}

void SnapshotTaker::open() {
  BOP_ASSERT(stage_ == Stage::closed);
  run(
      [](Files& files) -> Result<std::optional<snapshot::Stored>> {
        BOP_TRY(files.open());
        const auto& list = files.snapshots->list();
        return list.empty() ? std::nullopt : std::optional(list.back());
      },
      [this](Result<std::optional<snapshot::Stored>> newest) {
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
  run([](Files& files) { return files.open(); },
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
  Facts facts = facts_();
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
    return commit();
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
  run([bytes = std::move(bytes), label = std::move(label),
       last_piece](Files& files) { return files.write(bytes, label, last_piece); },
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
  run([manifest = manifest_](Files& files) { return files.commit(manifest); },
      [this](Result<snapshot::Stored> stored) { end(std::move(stored)); });
}

void SnapshotTaker::end(Result<snapshot::Stored> result) {
  ++*run_;
  stage_ = Stage::idle;
  driver_ = nullptr;
  handle_ = 0;
  // A part that was not finished is replaced by the next one.
  run([](Files& files) { return files.writer.reset(), true; }, [](bool) {});
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

// The files of a group's snapshots, as the group's parts share them: what takes snapshots, fetches them, sends them and
// restores them. They are used by jobs on the bulk work queue alone, one at a time; a job may outlive its submitter.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "machine/driver.h"
#include "port/file.h"
#include "snapshot/snapshots.h"

namespace bop::group {

struct SnapshotFiles {
  // How many snapshots are kept: the newest, and the one before it, which a peer may still be fetching.
  static constexpr size_t kept = 2;

  SnapshotFiles(port::FileSystem& files, std::string directory)
      : files(files), directory(std::move(directory)) {}

  Status open();  // again: does nothing
  // As open(), but false if there is no directory yet, and so no snapshot.
  Result<bool> open_if_there();
  Result<std::optional<snapshot::Stored>> newest();

  // ---- a snapshot that is taken ----
  // Appends to the part that is being written; with its last piece, publishes it.
  Result<std::optional<snapshot::Part>> write(Bytes bytes, const std::string& label,
                                              bool last_piece);
  Result<snapshot::Stored> commit_taken(const snapshot::Manifest& manifest);

  // ---- a snapshot that is received ----
  // The snapshot with that id; nullptr: it is not here.
  const snapshot::Stored* find(const Hash128& id) const;
  // The manifest that is being fetched: its parts are kept.
  std::optional<snapshot::Manifest> wanted;
  // Verifies a whole part and publishes it.
  Status receive(Bytes bytes, const snapshot::Part& part);
  Result<snapshot::Stored> commit_received();

  // ---- a snapshot that is sent ----
  struct Piece {
    std::vector<uint8_t> bytes;
    uint64_t size = 0;  // of the whole
  };
  // Of the manifest, if `part` is zero. NOT_FOUND: it is not here.
  Result<Piece> read(const Hash128& id, const Hash128& part, uint64_t offset, size_t length);

  port::FileSystem& files;
  const std::string directory;
  std::optional<snapshot::Snapshots> snapshots;
  std::optional<snapshot::PartWriter> writer;  // of the part of a snapshot that is taken

 private:
  // A snapshot that pieces are read of, with its manifest, decoded and encoded.
  struct Open {
    Hash128 id;
    std::vector<uint8_t> bytes;
    std::vector<snapshot::Part> parts;  // by digest
  };
  Status take_up(const Hash128& id);
  Status drop_older();

  std::optional<Open> open_;
};

// `work` runs on the worker with the files, and `then` with its result on the shard's thread, unless `*run` is another
// number by then.
template <class Work, class Then>
void run_snapshot_job(machine::Offload& offload, std::shared_ptr<SnapshotFiles> files,
                      const std::shared_ptr<uint64_t>& run, Work work, Then then) {
  using Outcome = decltype(work(*files));
  auto result = std::make_shared<std::optional<Outcome>>();
  offload.submit(
      machine::Offload::WorkQueue::bulk,
      [files = std::move(files), work = std::move(work), result] { result->emplace(work(*files)); },
      [run, number = *run, then = std::move(then), result] {
        if (*run == number) then(std::move(**result));
      });
}

}  // namespace bop::group

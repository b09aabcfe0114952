// The files of one group's snapshots.
//
//   DIR/INDEX-TERM        a manifest
//   DIR/parts/DIGEST      a part, shared by all snapshots of the group that have it
//
//   part:      begin_part() ─► append()... ─► publish()       written aside, synced, renamed
//   snapshot:  all its parts are published ─► commit()        parts' directory synced; manifest written aside,
//                                                             synced, renamed; directory synced
//
// A snapshot exists once its manifest does, so a crash at any point leaves each snapshot whole or not there. Parts
// without a manifest stay: the transfer that they belong to goes on after a restart. collect() removes those that
// nobody needs.
//
// All calls block, and are made by one thread at a time (the machine's bulk work queue). After an error of a write or
// sync nothing was published by that call.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "port/file.h"
#include "snapshot/manifest.h"

namespace bop::snapshot {

// A snapshot whose manifest is on disk.
struct Stored {
  Index index = 0;
  Term term = 0;
  Hash128 id;
  uint64_t bytes = 0;  // of its parts
  size_t parts = 0;
};

// A part that is being written. Destroyed before publish(), it leaves a file that the next part replaces.
class PartWriter {
 public:
  // TOO_LARGE: the part would exceed max_part_bytes.
  Status append(Bytes bytes);
  uint64_t size() const { return size_; }

 private:
  friend class Snapshots;
  PartWriter(std::unique_ptr<port::File> file, std::string aside)
      : file_(std::move(file)), aside_(std::move(aside)) {}

  std::unique_ptr<port::File> file_;
  std::string aside_;  // its path until it is published
  Hasher128 hasher_;
  uint64_t size_ = 0;
};

class Snapshots {
 public:
  // Creates the directory when there is none, and removes what an interrupted write left. A manifest that cannot be
  // read is no snapshot: see damaged().
  static Result<Snapshots> open(port::FileSystem& files, std::string directory);

  const std::vector<Stored>& list() const { return stored_; }  // by index
  // Why manifests in the directory are not in the list.
  const std::vector<Error>& damaged() const { return damaged_; }
  Result<std::vector<uint8_t>> manifest_bytes(const Stored& snapshot) const;
  Result<Manifest> manifest(const Stored& snapshot) const;

  bool has_part(const Hash128& digest) const { return parts_.contains(key(digest)); }
  // A part of a snapshot that is taken (the default), or of one that is received: one of each is written at a time.
  enum class Purpose : uint8_t { take, receive };
  Result<PartWriter> begin_part(Purpose purpose = Purpose::take);
  // Makes the part available under its digest; `label` is that of the part in its snapshot. With `expected`, DAMAGED
  // when its size or digest is another one.
  Result<Part> publish(PartWriter part, std::string label, const Part* expected = nullptr);
  // Bytes of a part from `offset` on, for a peer, which verifies the whole part: up to the size of `into`, fewer only
  // at its end.
  Result<size_t> read(const Part& part, uint64_t offset, std::span<uint8_t> into) const;
  // A whole part. DAMAGED, naming file and label, when its bytes have another size or digest.
  Result<std::vector<uint8_t>> load(const Part& part) const;

  // Makes the snapshot exist. NOT_FOUND: a part of it is not published. Does nothing if it exists already.
  Status commit(const Manifest& manifest);
  // DAMAGED or NOT_FOUND: the first part that does not match its digest.
  Status verify(const Stored& snapshot) const;
  // The snapshot exists no longer; its parts stay until collect().
  Status remove(const Stored& snapshot);
  // Removes the parts that no manifest names, but for those of `wanted`, a manifest that is being fetched.
  Status collect(const Manifest* wanted = nullptr);

 private:
  using PartKey = std::pair<uint64_t, uint64_t>;
  static PartKey key(const Hash128& digest) { return {digest.low, digest.high}; }

  Snapshots(port::FileSystem& files, std::string directory)
      : files_(&files), directory_(std::move(directory)) {}
  Status scan();
  Status take_up(const std::string& name);
  Status scan_parts();
  std::string path_of(const Stored& snapshot) const;
  std::string path_of(const Hash128& digest) const;
  std::unexpected<Error> damaged_part(const Part& part, const char* what) const;

  port::FileSystem* files_;
  std::string directory_;
  std::vector<Stored> stored_;
  std::vector<Error> damaged_;
  std::map<PartKey, Hash128> parts_;
};

}  // namespace bop::snapshot

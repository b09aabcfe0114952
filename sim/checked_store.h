// A medium that rots under a store that notices: between the machine "kv" and its store in memory.
//
// Each value is stored with a checksum over key, revision and value, which every read verifies; while there is
// damage, open() reads all records and compares their totals with those of the last flush. So damage is an error
// (DAMAGED) and never an answer.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "machine/kv/store_memory.h"

namespace bop::sim {

// The records of one machine; it outlives the stores that are opened on it.
class Medium {
 public:
  Medium() : image_(std::make_shared<machine::kv::StoreImage>()) {}
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;

  machine::kv::StoreImage& image() { return *image_; }
  // What a flush found damaged of the records that it replaces: it must not be committed.
  Status flush_status() const {
    return flush_error_ ? Status(std::unexpected(*flush_error_)) : Status{};
  }
  // At most one store may be open on it.
  Result<std::unique_ptr<machine::kv::Store>> open();

  // A bit of a record flips: reads of it are damaged until it is written again. False: there is no record.
  bool flip_bit(Random& random);
  // Of the next flush that replaces a record, one such change never reaches the medium: when the process ends after
  // the flush was synced, the older record is back. If the record is written again before that, or the flush is
  // never synced, a change of a later flush is lost in its place.
  void lose_write() { loses_write_ = true; }
  // The process ended, and what it lost is lost. True: a write was.
  bool end(bool power_lost);
  uint64_t detected() const { return detected_; }

 private:
  friend class CheckedStore;
  friend class CheckedChanges;
  friend class CheckedSnapshot;
  using Copy = machine::kv::StoreImage::Copy;
  struct Damage {
    std::optional<uint64_t> bit;  // of revision and value
    std::optional<Copy> older;
  };
  struct LostWrite {
    std::string key;
    Copy older;
    uint64_t index;  // of the flush
  };

  // What a read of that record returns; `scratch` holds its bytes.
  Result<machine::kv::Stored> read(Bytes key, const machine::kv::Stored& raw,
                                   std::vector<uint8_t>& scratch);
  Status verify(machine::kv::Store& store);
  std::unexpected<Error> damaged(Bytes key, const char* what);

  const std::shared_ptr<machine::kv::StoreImage> image_;
  std::map<std::string, Damage, std::less<>> damage_;
  bool loses_write_ = false;
  std::optional<LostWrite> lost_;
  std::optional<Error> flush_error_;
  uint64_t detected_ = 0;
};

}  // namespace bop::sim

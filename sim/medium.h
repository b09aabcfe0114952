// A medium that rots under a machine's store, which finds the damage by its checksums and totals: an error (DAMAGED), and
// never an answer.
#pragma once

#include <memory>
#include <optional>
#include <string>

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
  // At most one store may be open on it. Before each step of a flush or sync, on_step() has to be called.
  std::unique_ptr<machine::kv::Store> open() { return machine::kv::open_memory_store(image_); }
  void on_step(machine::kv::StoreImage::Step step);

  // A bit of a record flips: reads of it are damaged until it is written again. False: there is no record.
  bool flip_bit(Random& random);
  // Of the next flush that replaces a record, one such change never reaches the medium: when the process ends after
  // the flush was synced, the older record is back. If the record is written again before that, or the flush is
  // never synced, a change of a later flush is lost in its place.
  void lose_write() { loses_write_ = true; }
  // The process ended, and what it lost is lost. True: a write was.
  bool end(bool power_lost);
  // Reads and verifications that found damage.
  uint64_t detected() const { return image_->damage_found(); }

 private:
  using Copy = machine::kv::StoreImage::Copy;
  struct LostWrite {
    std::string key;
    Copy older, newer;
    uint64_t index;  // of the flush
  };

  void choose_lost_write();

  const std::shared_ptr<machine::kv::StoreImage> image_;
  bool loses_write_ = false;
  machine::kv::StoreImage::Records before_;  // the flush that is in progress
  std::optional<LostWrite> lost_;
};

}  // namespace bop::sim

// A snapshot of kv's state for bop, read from the store while flushes go on.
//
//            begin()     immutable; point         flushed and synced            the store pinned it
//   (none) ─────────► waiting ───────────► flushing ────────────────► pinning ─────────────────► open ─► (none), by end()
//                        │ cancel()           │ cancel()                                            next()
//                        └────────────────────┴──► cancelled
//
// The state that it captures is that of the moment when the active memtable becomes immutable: once that is flushed, the
// store has exactly this state, which stays readable until the snapshot ends (PinnedState).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "machine/kv/flush.h"
#include "machine/kv/parts.h"

namespace bop::machine::kv {

struct Kv::Export {
  enum class Stage : uint8_t { waiting, flushing, pinning, open, cancelled };

  Export(const bop_snapshot_options& options, uint64_t begin_token);

  const uint64_t handle;
  uint64_t token;  // of the call that is open; 0: none
  Stage stage = Stage::waiting;
  bop_position position{0, 0};  // of the state, from stage flushing on

  // ---- of the worker, until its job is done ----

  // Reads the next part, or the totals after the last record.
  Status read();

  Status status;  // of the last job
  std::unique_ptr<PinnedState> state;
  std::string label;           // of the part ...
  std::vector<uint8_t> bytes;  // ... and its bytes
  bool complete = false;       // all parts were read

 private:
  Status read_records(Snapshot& snapshot);

  PartCutter cutter_;
  std::vector<uint8_t> next_;  // the key at which the next part begins; empty: the first
  uint32_t number_ = 0;        // of the next part of records
  Totals sum_;                 // of the records so far
  bool records_end_ = false;
};

}  // namespace bop::machine::kv

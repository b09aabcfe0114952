// How kv's state is cut into the parts of a snapshot, and read from them. Format: docs/formats/kv.md.
//
// The records are in the order of their keys, and which record ends a part depends on its key: after a change only the
// parts around it are others, so that the next snapshot stores and sends little. The last part has the totals, by
// which a restore knows that no record is missing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "machine/kv/store.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

// The label of the records' part number `number`, from 0 on. Labels ascend with the numbers.
std::string records_label(uint32_t number);
inline constexpr std::string_view totals_label = "totals";

class PartCutter {
 public:
  // Parts have about `part_bytes` each, at most four times as much, or as one record needs.
  explicit PartCutter(uint64_t part_bytes);

  // Adds the next record. True: it ends the part.
  bool add(const StoredRecord& record);
  // The part so far; the next one begins.
  std::vector<uint8_t> take();
  bool empty() const { return part_.empty(); }

 private:
  bool ends_part(Bytes key, size_t record_bytes) const;

  const uint64_t least_;  // bytes of a part
  const uint64_t most_;
  const uint64_t spread_;  // bytes in which one record's key is expected to end the part
  std::vector<uint8_t> part_;
};

std::vector<uint8_t> encode_totals(const Totals& totals);
// DAMAGED: the bytes are no totals.
Result<Totals> decode_totals(Bytes bytes);

// The records of one part.
class PartReader {
 public:
  // `after`: the last key of the part before it; empty: there is none.
  PartReader(Bytes part, Bytes after) : rest_(part), last_(after) {}

  // The next record; valid as long as the part is. False: at the end, or the part is damaged.
  bool next(StoredRecord& record);
  bool damaged() const { return damaged_; }
  Bytes last() const { return last_; }

 private:
  Reader rest_;
  Bytes last_;
  bool damaged_ = false;
};

}  // namespace bop::machine::kv

// The restore of a snapshot's parts into an empty store.
//
// Until its end the store has records at index 0, which no state has: a store that was left in the middle of a restore
// is refused when it is opened (Kv::open_store).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "machine/kv/flush.h"
#include "machine/kv/parts.h"

namespace bop::machine::kv {

struct Kv::Restore {
  uint64_t token = 0;  // of the call that is open; 0: none
  uint64_t bytes = 0;  // of all parts
  bool begun = false;
  bool failed = false;

  // The part whose pieces arrive.
  std::string label;
  std::vector<uint8_t> part;
  std::string path;  // of a file that has it; empty: `part` has it

  // ---- of the worker, until its job is done ----

  Status begin(Store& store) const;
  // Verifies the part, and only then writes it.
  Status take(Store& store);
  Status end(Store& store, bop_position position);

  Status status;  // of the last job
  Totals sum;     // of the records so far

 private:
  Status read_file();
  Status take_records(Store& store);

  std::vector<uint8_t> last_;     // the greatest key so far
  uint32_t number_ = 0;           // of the next part of records
  uint64_t newest_ = 0;           // revision of the records so far
  std::optional<Totals> totals_;  // as the last part has them
};

}  // namespace bop::machine::kv

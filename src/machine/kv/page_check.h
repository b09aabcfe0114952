// The verification of a whole store in a libmdbx file: every page in use is read once, mostly in the order of the file,
// by plain reads, so that a page which the device cannot read is an error with its offset.
//
//   roots ──► branches ──► leaves ◄──► large values ──► free pages ──► done
//
// What it proves: the records are those that the store's totals count, none missing, none altered, none more; a
// lookup of each key finds its record; and no page in use is on a list of free pages, where the next flush would
// overwrite it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "machine/kv/store.h"

namespace bop::machine::kv {

struct PagesToCheck {
  std::string path;          // for messages
  int file = -1;             // descriptor; must stay open
  size_t page_bytes = 0;     // size of a page
  uint64_t transaction = 0;  // the last one, whose state is verified
  Totals expected;           // of all records
  // Whether a lookup of the key finds the one at that offset in the file.
  std::function<Result<bool>(Bytes key, uint64_t offset)> look_up;
};

std::unique_ptr<StoreCheck> check_pages(PagesToCheck pages);

}  // namespace bop::machine::kv

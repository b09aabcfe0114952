// How far the current pass of a scrub is (integrity.cpp). Only the worker of flushes uses it.
#pragma once

#include <vector>

#include "machine/kv/record.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

struct ScrubPass {
  std::vector<uint8_t> next;  // the records before this key are summed; empty: none are
  Totals sum;                 // of those, as the last flush left them
  Totals store;               // of all records, as the last flush left them

  bool is_past(Bytes key) const { return !next.empty() && compare_keys(key, next) < 0; }
};

}  // namespace bop::machine::kv

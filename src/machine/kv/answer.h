// Encodes replies (bop/kv.h) piece by piece, appending to bytes that the caller owns and reuses. The layout
// is that of proto/kv_format.h.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "proto/kv_format.h"

namespace bop::machine::kv {

namespace format = proto::kv_format;

inline uint8_t* extend(std::vector<uint8_t>& out, size_t size) {
  const size_t at = out.size();
  out.resize(at + size);
  return out.data() + at;
}

inline void append(std::vector<uint8_t>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Clears bytes for reuse. Memory beyond a usual size is freed.
inline void empty(std::vector<uint8_t>& bytes) {
  constexpr size_t usual_bytes = 1 << 20;
  if (bytes.capacity() > usual_bytes)
    bytes = {};
  else
    bytes.clear();
}

// Appends an item whose value is head + tail.
inline void put_item(std::vector<uint8_t>& out, bool present, uint64_t revision, Bytes head = {},
                     Bytes tail = {}) {
  format::Cursor cursor(extend(out, format::item_head_bytes));
  format::put_item_head(cursor, present, revision, head.size() + tail.size());
  if (!present) return;
  append(out, head);
  append(out, tail);
}

// Begins the reply to a command (`index` is its revision) or to a GET (`index` is the applied one).
inline void put_items_head(std::vector<uint8_t>& out, uint64_t index, size_t count) {
  format::Cursor cursor(extend(out, format::items_head_bytes));
  format::put_items_head(cursor, index, count);
}

// Appends the whole reply to a single PUT without flags, the most frequent command.
inline void put_plain_answer(std::vector<uint8_t>& out, uint64_t revision) {
  format::Cursor cursor(extend(out, format::items_head_bytes + format::item_head_bytes));
  format::put_items_head(cursor, revision, 1);
  format::put_item_head(cursor, false, 0, 0);
}

}  // namespace bop::machine::kv

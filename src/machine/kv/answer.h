// Encoding of answers (bop/kv.h), appended to bytes that the caller owns and reuses.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "bop/kv.h"

namespace bop::machine::kv {

constexpr size_t item_bytes = 1 + 8 + 4;  // before the value

inline uint8_t* extend(std::vector<uint8_t>& out, size_t size) {
  const size_t at = out.size();
  out.resize(at + size);
  return out.data() + at;
}

inline void append(std::vector<uint8_t>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Empties bytes that are reused, and does not keep what an unusual use made them.
inline void empty(std::vector<uint8_t>& bytes) {
  constexpr size_t usual_bytes = 1 << 20;
  if (bytes.capacity() > usual_bytes)
    bytes = {};
  else
    bytes.clear();
}

// The value is head + tail.
inline void put_item(std::vector<uint8_t>& out, bool present, uint64_t revision, Bytes head = {},
                     Bytes tail = {}) {
  uint8_t* at = extend(out, item_bytes);
  at[0] = present ? 1 : 0;
  store_le<uint64_t>(at + 1, present ? revision : 0);
  store_le<uint32_t>(at + 9, present ? static_cast<uint32_t>(head.size() + tail.size()) : 0);
  if (!present) return;
  append(out, head);
  append(out, tail);
}

inline void put_command_head(std::vector<uint8_t>& out, uint64_t revision, size_t count) {
  uint8_t* at = extend(out, 10);
  store_le<uint64_t>(at, revision);
  store_le<uint16_t>(at + 8, static_cast<uint16_t>(count));
}

// A whole answer to a command of one PUT without flags, the commonest there is.
inline void put_plain_answer(std::vector<uint8_t>& out, uint64_t revision) {
  uint8_t* at = extend(out, 10 + item_bytes);  // of zeros
  store_le<uint64_t>(at, revision);
  store_le<uint16_t>(at + 8, 1);
}

}  // namespace bop::machine::kv

// Shared by the tests of codecs: making bytes, and joining parts.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mem/buffer.h"

namespace bop::proto {

inline mem::Buffer buffer(std::string_view text) { return mem::Buffer::copy(as_bytes(text)); }

inline mem::Buffer join(std::span<const mem::Buffer> parts) {
  std::vector<uint8_t> all;
  for (const mem::Buffer& part : parts) {
    all.insert(all.end(), part.bytes().begin(), part.bytes().end());
  }
  return mem::Buffer::copy(all);
}

inline std::string text(const mem::Buffer& buffer) { return std::string(as_text(buffer.bytes())); }
inline std::string text(Bytes bytes) { return std::string(as_text(bytes)); }

}  // namespace bop::proto

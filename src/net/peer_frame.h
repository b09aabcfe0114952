// Cuts a peer's stream into frames by their length prefix.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "net/peer_handshake.h"

namespace bop::net {

inline constexpr size_t peer_prefix_bytes = 8;

// The size field of the frame at the front, which may be at most `most`; 0: its prefix is incomplete.
inline Result<size_t> peer_frame_size(Bytes bytes, const PeerFrameShape& shape, uint32_t most) {
  // Another protocol is recognised after four bytes.
  if (bytes.size() >= 4 && load_le<uint32_t>(bytes.data()) != shape.magic) {
    return fail(BOP_E_PROTOCOL, "not a frame between nodes");
  }
  if (bytes.size() < peer_prefix_bytes) return size_t{0};
  const auto size = load_le<uint32_t>(bytes.data() + 4);
  if (size < shape.min_bytes || size < peer_prefix_bytes) {
    return fail(BOP_E_PROTOCOL, "a frame of " + std::to_string(size) + " bytes");
  }
  if (size > most) {
    return fail(BOP_E_TOO_LARGE, "a frame of " + std::to_string(size) + " bytes; the limit is " +
                                     std::to_string(most));
  }
  return size_t{size};
}

}  // namespace bop::net

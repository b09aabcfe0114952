// What frames between nodes and frames of native clients have in common: how a frame begins, how its
// checksum is taken, and how a stream is cut into frames. Byte table: docs/formats/peer.md.
//
//   0  u32 magic     names the protocol, so that a stream of another one is refused at its 4th byte
//   4  u32 size      of the whole frame, these 12 bytes included
//   8  u32 checksum  CRC-32C of the bytes from 12 to size
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mem/buffer.h"

namespace bop::proto {

using ClusterId = std::array<uint8_t, 16>;  // all zero: none

// 32 lower-case hexadecimal digits, and back (PROTOCOL when they are not).
std::string to_hex(const ClusterId& cluster);
Result<ClusterId> cluster_from_hex(std::string_view digits);

inline constexpr size_t frame_prefix_bytes = 12;

struct FrameFormat {
  uint32_t magic = 0;
  uint32_t min_bytes = 0;  // of a whole frame
  uint32_t max_bytes = 0;
};

// Writes magic, size and checksum into the first part, whose bytes nobody else has seen yet.
// `front` points at that part's bytes.
void seal_frame(uint32_t magic, uint8_t* front, std::span<const mem::Buffer> parts);

// The same for a frame of two pieces, the first of which is still being written.
void seal_frame(uint32_t magic, std::span<uint8_t> head, Bytes tail);

// What follows the prefix, once magic, size and checksum hold. PROTOCOL or TOO_LARGE.
Result<Bytes> open_frame(const FrameFormat& format, Bytes frame);

// Cuts a stream into frames. A frame that arrived within one buffer is a slice of it; one that spans
// several is put together in a block that grows with what really arrived, so that a huge length
// prefix alone costs nothing. After an error the stream is lost and the connection is to be closed.
class FrameSplitter {
 public:
  explicit FrameSplitter(const FrameFormat& format) : format_(format) {}
  ~FrameSplitter();
  FrameSplitter(const FrameSplitter&) = delete;
  FrameSplitter& operator=(const FrameSplitter&) = delete;

  // Appends every frame that is whole now to `frames`. Those before an error are appended too.
  Status push(const mem::Buffer& received, std::vector<mem::Buffer>& frames);

  // Bytes of a frame that is not whole yet.
  size_t pending_bytes() const { return have_; }

 private:
  Result<size_t> frame_size(Bytes start) const;  // 0: too few bytes to know
  size_t fill(Bytes bytes, size_t wanted);
  void grow(size_t capacity);
  mem::Buffer take();

  const FrameFormat format_;
  mem::Block* partial_ = nullptr;
  size_t have_ = 0;
};

}  // namespace bop::proto

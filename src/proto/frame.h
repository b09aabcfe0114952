// What frames between nodes and frames of native clients have in common: the prefix with a checksum, and
// how a stream is cut into frames. Byte table: docs/formats/peer.md.
//
//   0  u32 magic     identifies the protocol: a stream of another one is refused at its 4th byte
//   4  u32 size      of the whole frame, including these 12 bytes
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

std::string to_hex(const ClusterId& cluster);  // 32 lower-case hexadecimal digits
// PROTOCOL: not 32 hexadecimal digits.
Result<ClusterId> cluster_from_hex(std::string_view digits);

inline constexpr size_t frame_prefix_bytes = 12;

struct FrameFormat {
  uint32_t magic = 0;
  uint32_t min_bytes = 0;  // of a whole frame
  uint32_t max_bytes = 0;
};

// Writes the prefix to `front`, the writable bytes of the first part, which must not have been shared yet.
void seal_frame(uint32_t magic, uint8_t* front, std::span<const mem::Buffer> parts);

// The same for a frame of two pieces, of which `head` begins with the prefix.
void seal_frame(uint32_t magic, std::span<uint8_t> head, Bytes tail);

// Checks magic, size and checksum, and returns the bytes after the prefix. PROTOCOL or TOO_LARGE.
Result<Bytes> open_frame(const FrameFormat& format, Bytes frame);

// For a field that has its place in the format while its feature is a later version's: VERSION_MISMATCH,
// naming `what`, unless it is zero. To ignore its value would be to misunderstand the sender.
Status check_unused(uint64_t value, std::string_view what);

// Cuts a stream into frames. A frame that lies within one buffer is a slice of it; one that spans several
// is assembled in a block that grows with the bytes received, so that a large size field alone allocates
// nothing. After an error the stream cannot be continued: the connection has to be closed.
class FrameSplitter {
 public:
  explicit FrameSplitter(const FrameFormat& format) : format_(format) {}
  ~FrameSplitter();
  FrameSplitter(const FrameSplitter&) = delete;
  FrameSplitter& operator=(const FrameSplitter&) = delete;

  // Appends every frame that is complete now to `frames`, also those before an error.
  Status push(const mem::Buffer& received, std::vector<mem::Buffer>& frames);

  // Bytes of the frame that is not complete yet.
  size_t pending_bytes() const { return have_; }

 private:
  Result<size_t> frame_size(Bytes start) const;  // 0: `start` does not contain the size yet
  size_t fill(Bytes bytes, size_t wanted);
  void grow(size_t capacity);
  mem::Buffer take();

  const FrameFormat format_;
  mem::Block* partial_ = nullptr;
  size_t have_ = 0;
};

}  // namespace bop::proto

// Blocks: the log's files consist of blocks of 4 KiB. Byte table: docs/formats/log.md.
//
// A device may tear a write at a multiple of 512 bytes, so each sector of a block has the epoch and number
// of the frame that it was written with, and a checksum, which also covers the sector's offset in the
// file. So the state of a block can be decided without knowing what should be in it:
//   all sectors are valid and of one write        (written, stale, never_written),
//   all are valid, but of different writes        (mixed: a torn write),
//   a sector is invalid                           (unsound: no write of bop leaves that behind).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "log/position.h"

namespace bop::log {

inline constexpr size_t block_bytes = 4096;
inline constexpr uint64_t max_segment_bytes = uint64_t{2} << 30;
inline constexpr size_t sector_bytes = 512;
inline constexpr size_t sector_tag_bytes = 12;  // epoch, frame number (low half), checksum
inline constexpr size_t sector_data_bytes = sector_bytes - sector_tag_bytes;
inline constexpr size_t sectors_per_block = block_bytes / sector_bytes;
inline constexpr size_t block_header_bytes = 60;
// How many bytes of a frame's stream fit in a block: all but the header and the sectors' tags.
inline constexpr size_t first_sector_stream_bytes = sector_data_bytes - block_header_bytes;
inline constexpr size_t block_stream_bytes =
    first_sector_stream_bytes + (sectors_per_block - 1) * sector_data_bytes;

inline constexpr uint32_t block_magic = 0x4c706f62;  // "bopL"
inline constexpr uint16_t format_version = 2;

enum class FrameKind : uint8_t {
  never_written = 0,  // not a frame: the pattern that fills a new segment
  data = 1,
  seal = 2,     // without records: only proves, by durable_through, how far the log was durable
  opening = 3,  // the first frame of an epoch: a summary of all groups
  summary = 4,  // a summary of all groups; the last two frames of a segment
};

struct BlockHeader {
  uint16_t version = format_version;
  FrameKind kind = FrameKind::data;
  uint64_t log_id = 0;
  Position position = 0;         // of this block
  Position durable_through = 0;  // all frames below it were durable when this frame was submitted
  uint64_t number = 0;           // of the frame: 1, 2, 3 ...
  uint32_t epoch = 0;
  uint16_t k = 0;               // this is block k, from 0, ...
  uint16_t n = 0;               // ... of the frame's n blocks
  uint32_t first_segment = 0;   // segments with lower numbers are not needed any more
  uint32_t segment_blocks = 0;  // size of this segment's file, in blocks
  uint16_t used = 0;            // bytes of the frame's stream in this block
};

enum class BlockState : uint8_t {
  written,        // valid, at the position that its header names
  stale,          // valid, left by the previous use of a recycled file
  never_written,  // exactly the pattern of a new segment
  mixed,          // every sector is valid, but they are of different writes
  unsound,        // a sector is invalid, or a valid block is at a wrong position
  unreadable,     // the device reported an error, or the file is too short
  foreign,        // valid, of another log
  newer,          // valid, of a newer format
  older,          // valid, of an older format, which is not read any more
};

struct BlockFacts {
  BlockState state = BlockState::unreadable;
  BlockHeader header;         // of a block that is written or stale
  uint32_t newest_epoch = 0;  // the highest epoch in a valid sector
};

// Determines the state of a block that was read from `offset` of segment number `segment`.
BlockFacts inspect_block(Bytes block, uint64_t log_id, uint32_t segment, uint64_t offset);

// Writes the pattern of a block that was never written.
void fill_never_written(uint8_t* block, uint64_t log_id, uint64_t offset);

// Adds the header and the sectors' tags to a block that already contains its part of the stream.
void finish_block(uint8_t* block, const BlockHeader& header);

// Copies the bytes [from, from + size) of a block's part of the stream.
void copy_stream(const uint8_t* block, size_t from, size_t size, uint8_t* into);

}  // namespace bop::log

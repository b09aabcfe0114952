// Blocks: what the log's files consist of, 4 KiB each. Byte table: docs/formats/log.md.
//
// A drive tears at 512 bytes, so each sector of a block carries the epoch and number of the frame
// it was written with, and a checksum of its own. A sector's checksum also covers where in the file
// it stands. So of every block it is known, without knowing what should be there, whether
//   all its sectors hold and are of one write   (written, stale, never_written),
//   all hold, but they are of several writes    (mixed: a torn write),
//   or a sector does not hold                   (unsound: no write of ours leaves that).
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
// Of a frame's stream that fit one block: all but the header and the sectors' tags.
inline constexpr size_t first_sector_stream_bytes = sector_data_bytes - block_header_bytes;
inline constexpr size_t block_stream_bytes =
    first_sector_stream_bytes + (sectors_per_block - 1) * sector_data_bytes;

inline constexpr uint32_t block_magic = 0x4c706f62;  // "bopL"
inline constexpr uint16_t format_version = 1;

enum class FrameKind : uint8_t {
  never_written = 0,  // the pattern of a new segment; not a frame
  data = 1,
  seal = 2,     // no records: says how far the log was durable
  opening = 3,  // the first of an epoch: a summary of all groups
  summary = 4,  // a summary of all groups, twice at the end of a segment
};

struct BlockHeader {
  uint16_t version = format_version;
  FrameKind kind = FrameKind::data;
  uint64_t log_id = 0;
  Position position = 0;  // of this block
  Position durable_through = 0;
  uint64_t number = 0;  // of the frame; 1, 2, 3 ...
  uint32_t epoch = 0;
  uint16_t k = 0;  // this is block k of the frame's n
  uint16_t n = 0;
  uint32_t first_segment = 0;   // segments below it are needed no more
  uint32_t segment_blocks = 0;  // of this segment's file
  uint16_t used = 0;            // bytes of the frame's stream in this block
};

enum class BlockState : uint8_t {
  written,        // valid, and it says it belongs here
  stale,          // valid, of an earlier life of a recycled file
  never_written,  // the pattern, exactly
  mixed,          // every sector holds, but they are of different writes
  unsound,        // a sector does not hold, or a whole block stands where it does not belong
  unreadable,     // the device or a short file did not give it
  foreign,        // valid, of another log
  newer,          // valid, of a newer format
};

struct BlockFacts {
  BlockState state = BlockState::unreadable;
  BlockHeader header;         // of written and stale
  uint32_t newest_epoch = 0;  // of any sector that holds
};

// What `block`, read from `offset` of segment number `segment`, is.
BlockFacts inspect_block(Bytes block, uint64_t log_id, uint32_t segment, uint64_t offset);

// The pattern of a block that was never written.
void fill_never_written(uint8_t* block, uint64_t log_id, uint64_t offset);

// Writes the header and the sectors' tags around the stream that is in `block` already.
void finish_block(uint8_t* block, const BlockHeader& header);

// Copies the stream bytes [from, from + size) of a block out of it.
void copy_stream(const uint8_t* block, size_t from, size_t size, uint8_t* into);

}  // namespace bop::log

#include "log/block.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/checksum.h"

namespace bop::log {
namespace {

constexpr size_t epoch_at = sector_data_bytes;
constexpr size_t number_at = epoch_at + 4;
constexpr size_t checksum_at = number_at + 4;
static_assert(checksum_at + 4 == sector_bytes);

// Fills blocks that were never written with a text that is readable in a dump.
constexpr std::array<uint8_t, block_bytes> make_filler() {
  constexpr char text[] = "never written.  ";  // 16 bytes
  std::array<uint8_t, block_bytes> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(text[i % 16]);
  return bytes;
}
constexpr auto filler = make_filler();

uint32_t sector_checksum(const uint8_t* sector, uint64_t offset) {
  return crc32c({sector, checksum_at}, static_cast<uint32_t>(offset / sector_bytes) + 1);
}

bool is_valid(const uint8_t* sector, uint64_t offset) {
  return load_le<uint32_t>(sector + checksum_at) == sector_checksum(sector, offset);
}

void encode_header(uint8_t* at, const BlockHeader& header) {
  store_le<uint32_t>(at, block_magic);
  store_le<uint16_t>(at + 4, header.version);
  store_le<uint8_t>(at + 6, static_cast<uint8_t>(header.kind));
  store_le<uint8_t>(at + 7, 0);
  store_le<uint64_t>(at + 8, header.log_id);
  store_le<uint64_t>(at + 16, header.position);
  store_le<uint64_t>(at + 24, header.durable_through);
  store_le<uint64_t>(at + 32, header.number);
  store_le<uint32_t>(at + 40, header.epoch);
  store_le<uint16_t>(at + 44, header.k);
  store_le<uint16_t>(at + 46, header.n);
  store_le<uint32_t>(at + 48, header.first_segment);
  store_le<uint32_t>(at + 52, header.segment_blocks);
  store_le<uint16_t>(at + 56, header.used);
  store_le<uint16_t>(at + 58, 0);
}

BlockHeader decode_header(const uint8_t* at) {
  BlockHeader header;
  header.version = load_le<uint16_t>(at + 4);
  header.kind = static_cast<FrameKind>(at[6]);
  header.log_id = load_le<uint64_t>(at + 8);
  header.position = load_le<uint64_t>(at + 16);
  header.durable_through = load_le<uint64_t>(at + 24);
  header.number = load_le<uint64_t>(at + 32);
  header.epoch = load_le<uint32_t>(at + 40);
  header.k = load_le<uint16_t>(at + 44);
  header.n = load_le<uint16_t>(at + 46);
  header.first_segment = load_le<uint32_t>(at + 48);
  header.segment_blocks = load_le<uint32_t>(at + 52);
  header.used = load_le<uint16_t>(at + 56);
  return header;
}

bool plausible(const BlockHeader& header) {
  return header.kind >= FrameKind::data && header.kind <= FrameKind::summary && header.number > 0 &&
         header.epoch > 0 && header.k < header.n && header.used <= block_stream_bytes &&
         header.first_segment <= segment_of(header.position);
}

BlockHeader never_written_header(uint64_t log_id, uint64_t offset) {
  BlockHeader header;
  header.kind = FrameKind::never_written;
  header.log_id = log_id;
  header.position = make_position(0, offset);
  return header;
}

// Called when all sectors are valid and have the same tag; compares the rest byte by byte.
bool is_never_written(Bytes block, uint64_t log_id, uint64_t offset) {
  uint8_t header[block_header_bytes];
  encode_header(header, never_written_header(log_id, offset));
  if (std::memcmp(block.data(), header, sizeof header) != 0) return false;
  for (size_t at = 0; at < block_bytes; at += sector_bytes) {
    const size_t from = at + (at == 0 ? block_header_bytes : 0);
    const size_t size = at + sector_data_bytes - from;
    if (std::memcmp(block.data() + from, filler.data() + from, size) != 0) return false;
  }
  return true;
}

// The state of a block whose sectors are all valid and have the same tag.
BlockState state_of_whole(Bytes block, const BlockHeader& header, uint64_t log_id, uint32_t segment,
                          uint64_t offset) {
  if (header.log_id != log_id) return BlockState::foreign;
  if (header.kind == FrameKind::never_written) {
    return is_never_written(block, log_id, offset) ? BlockState::never_written
                                                   : BlockState::unsound;
  }
  if (!plausible(header) || offset_of(header.position) != offset) return BlockState::unsound;
  if (segment_of(header.position) == segment) return BlockState::written;
  return segment_of(header.position) < segment ? BlockState::stale : BlockState::unsound;
}

// Calls `use(offset in the block, size)` for each contiguous piece of the stream bytes [from, from + size).
template <class Use>
void for_each_piece(size_t from, size_t size, Use&& use) {
  while (size > 0) {
    size_t at = block_header_bytes + from;
    size_t left = first_sector_stream_bytes - std::min(from, first_sector_stream_bytes);
    if (left == 0) {
      const size_t beyond = from - first_sector_stream_bytes;
      at = (1 + beyond / sector_data_bytes) * sector_bytes + beyond % sector_data_bytes;
      left = sector_data_bytes - beyond % sector_data_bytes;
    }
    const size_t piece = std::min(left, size);
    use(at, piece);
    from += piece;
    size -= piece;
  }
}

}  // namespace

BlockFacts inspect_block(Bytes block, uint64_t log_id, uint32_t segment, uint64_t offset) {
  BlockFacts facts;
  const uint8_t* data = block.data();
  size_t sound = 0;
  bool same_tags = true;
  for (size_t at = 0; at < block_bytes; at += sector_bytes) {
    if (!is_valid(data + at, offset + at)) continue;
    ++sound;
    facts.newest_epoch = std::max(facts.newest_epoch, load_le<uint32_t>(data + at + epoch_at));
    same_tags &= std::memcmp(data + at + epoch_at, data + epoch_at, checksum_at - epoch_at) == 0;
    const bool has_header = at == 0 && load_le<uint32_t>(data) == block_magic;
    if (const uint16_t version = load_le<uint16_t>(data + 4);
        has_header && version != format_version) {
      facts.state = version > format_version ? BlockState::newer : BlockState::older;
      return facts;
    }
  }
  facts.state = sound < sectors_per_block ? BlockState::unsound : BlockState::mixed;
  if (sound < sectors_per_block || !same_tags) return facts;
  facts.header = decode_header(data);
  const bool ours =
      load_le<uint32_t>(data) == block_magic &&
      load_le<uint32_t>(data + epoch_at) == facts.header.epoch &&
      load_le<uint32_t>(data + number_at) == static_cast<uint32_t>(facts.header.number);
  facts.state =
      ours ? state_of_whole(block, facts.header, log_id, segment, offset) : BlockState::unsound;
  return facts;
}

void fill_never_written(uint8_t* block, uint64_t log_id, uint64_t offset) {
  std::memcpy(block, filler.data(), block_bytes);
  finish_block(block, never_written_header(log_id, offset));
}

void finish_block(uint8_t* block, const BlockHeader& header) {
  encode_header(block, header);
  const uint64_t offset = offset_of(header.position);
  for (size_t at = 0; at < block_bytes; at += sector_bytes) {
    uint8_t* sector = block + at;
    store_le<uint32_t>(sector + epoch_at, header.epoch);
    store_le<uint32_t>(sector + number_at, static_cast<uint32_t>(header.number));
    store_le<uint32_t>(sector + checksum_at, sector_checksum(sector, offset + at));
  }
}

void copy_stream(const uint8_t* block, size_t from, size_t size, uint8_t* into) {
  for_each_piece(from, size, [&](size_t at, size_t piece) {
    std::memcpy(into, block + at, piece);
    into += piece;
  });
}

}  // namespace bop::log

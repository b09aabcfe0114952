// A position in the log: the number of a segment and an offset in its file.
//
// Positions are written in increasing order. Only the end that recovery cut off is written again, under a
// higher epoch.
#pragma once

#include <cstdint>
#include <string>

namespace bop::log {

using Position = uint64_t;  // segment << 32 | offset in bytes; 0: none, since segments begin with 1

constexpr Position make_position(uint32_t segment, uint64_t offset) {
  return (uint64_t{segment} << 32) | offset;
}
constexpr uint32_t segment_of(Position position) { return static_cast<uint32_t>(position >> 32); }
constexpr uint32_t offset_of(Position position) { return static_cast<uint32_t>(position); }

// "0000000000000003.seg"
std::string segment_name(uint32_t number);
// 0: `name` is not the name of a segment.
uint32_t segment_number(const std::string& name);

}  // namespace bop::log

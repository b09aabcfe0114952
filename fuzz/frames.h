// A stream of frames that an input describes. Their sizes and checksums are true, which no mutation
// would ever find; now and then bytes stand between them as they are.
//
//   u8 how: 192 and above: raw   u16 size   what follows the frame's prefix, or the raw bytes
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "proto/frame.h"

namespace bop::fuzz {

// One frame of the protocol around what follows its prefix.
inline std::string sealed(uint32_t magic, Bytes rest) {
  std::vector<uint8_t> head(proto::frame_prefix_bytes);
  head.insert(head.end(), rest.begin(), rest.end());
  proto::seal_frame(magic, head, {});
  return std::string(as_text(head));
}

// The next piece of the stream; nothing at its end.
inline std::optional<std::string> next_piece(uint32_t magic, Reader& in) {
  const bool raw = in.u8() >= 192;
  const Bytes rest = in.bytes(std::min<size_t>(in.u16(), in.remaining()));
  if (!in.ok()) return {};
  return raw ? std::string(as_text(rest)) : sealed(magic, rest);
}

}  // namespace bop::fuzz

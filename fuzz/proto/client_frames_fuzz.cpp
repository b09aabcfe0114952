// A stream of client frames, cut anywhere: the same frames come out whatever the cutting, each is
// refused with words or read, and what is read is written byte for byte, but for what a reader ignores.
#include <algorithm>
#include <vector>

#include "../frames.h"
#include "base/assert.h"
#include "proto/client.h"

namespace {

using namespace bop;
using namespace bop::proto;

struct Cut {
  std::vector<mem::Buffer> frames;
  bop_status error = BOP_OK;
};

Cut cut(const std::string& stream, size_t piece) {
  Cut result;
  FrameSplitter splitter(client_format);
  for (size_t at = 0; at < stream.size(); at += piece) {
    const auto part = as_bytes(stream).subspan(at, std::min(piece, stream.size() - at));
    if (const auto pushed = splitter.push(mem::Buffer::copy(part), result.frames); !pushed) {
      result.error = pushed.error().code;
      break;
    }
  }
  return result;
}

std::vector<uint8_t> written(const ClientFrame& frame) {
  PartWriter out;
  out.begin();
  std::visit([&](const auto& each) { encode(each, out); }, frame);
  std::vector<uint8_t> bytes;
  for (const mem::Buffer& part : out.finish()) {
    bytes.insert(bytes.end(), part.bytes().begin(), part.bytes().end());
  }
  return bytes;
}

// What docs/formats/client.md calls zero, and the version of a hello's frame.
std::vector<uint8_t> without_ignored(const mem::Buffer& frame) {
  std::vector<uint8_t> bytes(frame.bytes().begin(), frame.bytes().end());
  const auto zero = [&](size_t at, size_t size) { std::fill_n(bytes.begin() + at, size, 0); };
  zero(14, 2);
  switch (static_cast<ClientFrameKind>(bytes[13])) {
    case ClientFrameKind::hello: bytes[12] = client_version; break;
    case ClientFrameKind::hello_ack: zero(17, 3); break;
    case ClientFrameKind::request: zero(34, 2); break;
    case ClientFrameKind::goodbye: zero(22, 2); break;
    default: break;
  }
  seal_frame(client_magic, bytes, {});
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const size_t piece = 1 + in.u8();
  std::string stream;
  while (const auto next = fuzz::next_piece(client_magic, in)) stream += *next;

  const Cut whole = cut(stream, stream.size() + 1);
  const Cut pieces = cut(stream, piece);
  BOP_ASSERT(whole.error == pieces.error);
  BOP_ASSERT(std::ranges::equal(whole.frames, pieces.frames, [](const auto& a, const auto& b) {
    return std::ranges::equal(a.bytes(), b.bytes());
  }));
  for (const mem::Buffer& frame : pieces.frames) {
    const auto decoded = decode_client_frame(frame);
    if (!decoded) {
      BOP_ASSERT(!decoded.error().detail.empty());
    } else {
      BOP_ASSERT(written(*decoded) == without_ignored(frame));
    }
  }
  return 0;
}

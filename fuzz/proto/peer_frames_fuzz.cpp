// What follows a peer frame's prefix: it is refused with words, or read; what is read is written, and
// read and written again the same. Entries stay until they are let go.
#include <algorithm>
#include <vector>

#include "../frames.h"
#include "base/assert.h"
#include "proto/peer.h"

namespace {

using namespace bop;
using namespace bop::proto;

mem::Buffer written(const PeerFrame& frame) {
  PeerFrameWriter writer;
  writer.begin(frame.header);
  for (const PeerItem& item : frame.items) {
    const bool fits = std::visit([&](const auto& each) { return writer.add(each); }, item);
    BOP_ASSERT(fits);
  }
  std::vector<uint8_t> bytes;
  for (const mem::Buffer& part : writer.finish()) {
    bytes.insert(bytes.end(), part.bytes().begin(), part.bytes().end());
  }
  return mem::Buffer::copy(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes = fuzz::sealed(peer_magic, {data, size});
  const mem::Buffer frame = mem::Buffer::copy(as_bytes(bytes));
  PeerDecoder decoder;
  const auto first = decoder.decode(frame);
  if (!first) {
    BOP_ASSERT(!first.error().detail.empty());
    return 0;
  }
  const size_t items = first->items.size();
  const mem::Buffer again = written(*first);
  const auto second = decoder.decode(again);  // beside the first one's entries
  BOP_ASSERT(second && second->items.size() == items);
  BOP_ASSERT(std::ranges::equal(written(*second).bytes(), again.bytes()));
  // All that is lost is what this version skips.
  if (second->header.trace.empty()) BOP_ASSERT_LE(again.size(), frame.size());
  decoder.clear();
  return 0;
}

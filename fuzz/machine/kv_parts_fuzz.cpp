// Any bytes are a part of kv's snapshots, perhaps a damaged one; the records of a sound part give the same bytes again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "machine/kv/parts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bop;
  using namespace bop::machine::kv;
  if (size < 1) return 0;
  const size_t after = std::min<size_t>(data[0] % 8, size - 1);
  const Bytes part(data + 1 + after, size - 1 - after);
  PartReader reader(part, {data + 1, after});
  std::vector<uint8_t> again;
  PartCutter cutter(1);
  for (StoredRecord record; reader.next(record);) {
    cutter.add(record);
    const auto bytes = cutter.take();
    again.insert(again.end(), bytes.begin(), bytes.end());
  }
  BOP_ASSERT(reader.damaged() || std::ranges::equal(again, part));
  BOP_ASSERT(again.size() <= part.size());
  if (const auto totals = decode_totals(part))
    BOP_ASSERT(std::ranges::equal(encode_totals(*totals), part));
  return 0;
}

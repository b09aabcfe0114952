// Answers of kv: whatever the bytes, reading them ends, within them; what is read is encoded as the same
// bytes again, and the C++ readers see what the C decoders see.
#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "proto/kv.h"

namespace {

using namespace bop;
using namespace bop::proto;

// `encode` takes the buffer, its capacity, and where to put the length.
template <class Encode>
void check_same(const Encode& encode, Bytes bytes) {
  std::vector<uint8_t> again(bytes.size());
  size_t size = 0;
  BOP_ASSERT_EQ(encode(again.data(), again.size(), &size), BOP_OK);
  BOP_ASSERT_EQ(size, bytes.size());
  BOP_ASSERT(std::ranges::equal(again, bytes));
}

void check_item(const KvItem& item, const bop_kv_item& other) {
  BOP_ASSERT(item.present == (other.present == 1) && item.revision == other.revision);
  BOP_ASSERT(item.value.data() == other.value.data && item.value.size() == other.value.size);
}

void check_items(Bytes body) {
  bop_kv_reader reader;
  uint64_t index = 0;
  std::vector<bop_kv_item> all;
  bop_kv_open_items({body.data(), body.size()}, &index, &reader);
  KvItems items(body);
  BOP_ASSERT_EQ(items.count(), reader.left);
  KvItem read;
  for (bop_kv_item item; bop_kv_next_item(&reader, &item) == 1;) {
    all.push_back(item);
    BOP_ASSERT(items.next(read));
    check_item(read, item);
  }
  BOP_ASSERT(!items.next(read));
  BOP_ASSERT(items.ok() == (reader.failed == BOP_OK));
  if (!items.ok()) return;
  BOP_ASSERT_EQ(items.position(), index);
  check_same(
      [&](uint8_t* out, size_t capacity, size_t* size) {
        return bop_kv_encode_items(index, all.data(), all.size(), out, capacity, size);
      },
      body);
}

void check_records(Bytes body) {
  bop_kv_reader reader;
  uint64_t index = 0;
  int32_t more = 0;
  std::vector<bop_kv_record> all;
  bop_kv_open_records({body.data(), body.size()}, &index, &more, &reader);
  KvRecords records(body);
  BOP_ASSERT_EQ(records.count(), reader.left);
  Bytes key;
  KvItem read;
  for (bop_kv_record record; bop_kv_next_record(&reader, &record) == 1;) {
    all.push_back(record);
    BOP_ASSERT(records.next(key, read));
    BOP_ASSERT(key.data() == record.key.data && key.size() == record.key.size);
    check_item(read, record.item);
  }
  BOP_ASSERT(!records.next(key, read));
  BOP_ASSERT(records.ok() == (reader.failed == BOP_OK));
  if (!records.ok()) return;
  BOP_ASSERT(records.applied() == index && records.more() == (more == 1));
  check_same(
      [&](uint8_t* out, size_t capacity, size_t* size) {
        return bop_kv_encode_records(index, more, all.data(), all.size(), out, capacity, size);
      },
      body);
}

void check_count(Bytes body) {
  const auto records = decode_kv_count(body);
  BOP_ASSERT(records.has_value() == (body.size() == 16));
  if (!records) return;
  check_same(
      [&](uint8_t* out, size_t capacity, size_t* size) {
        return bop_kv_encode_count(load_le<uint64_t>(body.data()), *records, out, capacity, size);
      },
      body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t kind = in.u8();
  const Bytes body = in.rest();
  switch (kind % 3) {
    case 0: check_items(body); break;
    case 1: check_records(body); break;
    default: check_count(body);
  }
  return 0;
}

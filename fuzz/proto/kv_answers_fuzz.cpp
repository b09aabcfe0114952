// Answers of kv, as a server may send them: both readers of them, the client library's side and the
// command line's, refuse the same and read the same.
#include "base/assert.h"
#include "kv.h"
#include "proto/kv.h"

namespace {

using namespace bop;
using namespace bop::proto;

void check_item(const KvItem& item, const kv::Item& other) {
  BOP_ASSERT(item.present == other.present && item.revision == other.revision);
  BOP_ASSERT(as_text(item.value) == other.value);
}

void check_items(Bytes body) {
  KvItems items(body);
  const auto others = kv::read_items(as_text(body));
  size_t read = 0;
  for (KvItem item; items.next(item); ++read) {
    if (others) check_item(item, others->items.at(read));
  }
  BOP_ASSERT(items.ok() == others.has_value());
  if (!others) return;
  BOP_ASSERT(read == items.count() && read == others->items.size());
  BOP_ASSERT(items.position() == others->position);
}

void check_records(Bytes body) {
  KvRecords records(body);
  const auto others = kv::read_records(as_text(body));
  size_t read = 0;
  Bytes key;
  for (KvItem item; records.next(key, item); ++read) {
    if (!others) continue;
    check_item(item, others->records.at(read).item);
    BOP_ASSERT(as_text(key) == others->records[read].key);
  }
  BOP_ASSERT(records.ok() == others.has_value());
  if (!others) return;
  BOP_ASSERT(read == records.count() && read == others->records.size());
  BOP_ASSERT(records.applied() == others->applied && records.more() == others->more);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t kind = in.u8();
  const Bytes body = in.rest();
  switch (kind % 3) {
    case 0: check_items(body); break;
    case 1: check_records(body); break;
    default: BOP_ASSERT(decode_kv_count(body).has_value() == (body.size() == 16));
  }
  return 0;
}

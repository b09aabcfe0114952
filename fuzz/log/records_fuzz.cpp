// A frame's stream of records, whose checksums hold: whatever the bytes, the decoder refuses them or
// gives records that stay within them.
#include <cstdlib>

#include "log/group_history.h"
#include "log/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bop::log;
  const bop::Bytes stream(data, size);
  std::vector<RecordView> records;
  if (!decode_records(stream, records)) return 0;
  GroupHistory history;
  for (const RecordView& record : records) {
    if (record.body.data() + record.body.size() > data + size) std::abort();
    if (record.header.kind == RecordKind::summary) {
      if (decode_summary(record).size() != record.header.count) std::abort();
      continue;
    }
    const RecordLocation location{make_position(1, 0), record.offset, record.header.bytes,
                                  record.header.first, record.header.count};
    if (location.position() <= history.last_record) continue;
    history.apply(location, record);
    const GroupIndex index = history.index();
    index.check();
    for (const RecordLocation& one : index.locations()) {
      if (one.count == 0 || one.last() > index.last()) std::abort();
    }
    if (index.before_first().index > index.last()) std::abort();
  }
  return 0;
}

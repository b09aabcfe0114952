#include "machine/kv/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/checksum.h"
#include "bop/kv.h"
#include "machine/kv/record.h"

namespace bop::machine::kv {

namespace {

constexpr uint32_t totals_version = 1;

}  // namespace

std::string records_label(uint32_t number) { return fmt::format("records-{:08x}", number); }

// ---- cutting ----

PartCutter::PartCutter(uint64_t part_bytes)
    : least_(std::max<uint64_t>(part_bytes / 4, 1)),
      most_(std::min<uint64_t>(4 * part_bytes, BOP_PART_SIZE_MAX / 2)),
      spread_(std::max<uint64_t>(part_bytes - part_bytes / 4, 1)) {}

bool PartCutter::add(const StoredRecord& record) {
  const size_t before = part_.size();
  Writer writer(part_);
  writer.u16(static_cast<uint16_t>(record.key.size()));
  writer.bytes(record.key);
  writer.u64(record.stored.revision);
  writer.u32(static_cast<uint32_t>(record.stored.value.size()));
  writer.bytes(record.stored.value);
  return ends_part(record.key, part_.size() - before);
}

// A larger record is more likely to end the part, so that parts have their size whatever the records'.
bool PartCutter::ends_part(Bytes key, size_t record_bytes) const {
  if (part_.size() < least_) return false;
  if (part_.size() >= most_) return true;
  return hash64(key) <
         std::numeric_limits<uint64_t>::max() / spread_ * std::min<uint64_t>(record_bytes, spread_);
}

std::vector<uint8_t> PartCutter::take() { return std::exchange(part_, {}); }

// ---- totals ----

std::vector<uint8_t> encode_totals(const Totals& totals) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.u32(totals_version);
  writer.u64(totals.low);
  writer.u64(totals.high);
  writer.u64(totals.records);
  return out;
}

Result<Totals> decode_totals(Bytes bytes) {
  Reader reader(bytes);
  const uint32_t version = reader.u32();
  Totals out;
  out.low = reader.u64();
  out.high = reader.u64();
  out.records = reader.u64();
  if (reader.ok() && version > totals_version)
    return fail(BOP_E_NEWER_FORMAT, fmt::format("totals of a snapshot of version {}, this program "
                                                "knows {}",
                                                version, totals_version));
  if (!reader.complete() || version != totals_version)
    return fail(BOP_E_DAMAGED, "the totals of a snapshot have another form");
  return out;
}

// ---- reading ----

bool PartReader::next(StoredRecord& record) {
  if (damaged_ || rest_.remaining() == 0) return false;
  record.key = rest_.bytes(rest_.u16());
  record.stored.revision = rest_.u64();
  record.stored.value = rest_.bytes(rest_.u32());
  const bool valid = rest_.ok() && !record.key.empty() && record.key.size() <= BOP_KV_KEY_MAX &&
                     record.stored.value.size() <= BOP_KV_VALUE_MAX &&
                     record.stored.revision != 0 &&
                     (last_.empty() || compare_keys(last_, record.key) < 0);
  damaged_ = !valid;
  if (valid) last_ = record.key;
  return valid;
}

}  // namespace bop::machine::kv

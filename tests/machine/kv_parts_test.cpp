#include "machine/kv/parts.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/random.h"
#include "bop/kv.h"

namespace bop::machine::kv {
namespace {

struct Value {
  uint64_t revision = 1;
  std::string bytes;
  friend bool operator==(const Value&, const Value&) = default;
};
using Records = std::map<std::string, Value>;

Records random_records(size_t count, size_t value_bytes, uint64_t seed = 1) {
  Random random(seed);
  Records out;
  while (out.size() < count) {
    std::string key(16, '\0');
    for (char& c : key) c = static_cast<char>(random.next());
    out[key] = {1 + random.below(1000), std::string(random.below(2 * value_bytes), 'v')};
  }
  return out;
}

std::vector<std::vector<uint8_t>> cut(const Records& records, uint64_t part_bytes) {
  std::vector<std::vector<uint8_t>> parts;
  PartCutter cutter(part_bytes);
  for (const auto& [key, value] : records)
    if (cutter.add({as_bytes(key), {value.revision, {}, as_bytes(value.bytes)}}))
      parts.push_back(cutter.take());
  if (!cutter.empty()) parts.push_back(cutter.take());
  return parts;
}

Records read(const std::vector<std::vector<uint8_t>>& parts) {
  Records out;
  std::string last;
  for (const auto& part : parts) {
    PartReader reader(part, as_bytes(last));
    for (StoredRecord record; reader.next(record);)
      out[std::string(as_text(record.key))] = {record.stored.revision,
                                               std::string(as_text(record.stored.value))};
    EXPECT_FALSE(reader.damaged());
    last = as_text(reader.last());
  }
  return out;
}

size_t shared(const std::vector<std::vector<uint8_t>>& a,
              const std::vector<std::vector<uint8_t>>& b) {
  const std::set<std::vector<uint8_t>> all(a.begin(), a.end());
  size_t count = 0;
  for (const auto& part : b) count += all.contains(part);
  return count;
}

TEST(KvParts, records_are_read_as_they_were_cut) {
  const Records records = random_records(3000, 100);
  const auto parts = cut(records, 8 << 10);
  EXPECT_GT(parts.size(), 20u);
  EXPECT_EQ(read(parts), records);
}

TEST(KvParts, parts_have_about_the_size_asked_for_whatever_the_size_of_records) {
  for (const size_t value_bytes : {10u, 200u, 3000u}) {
    const uint64_t wanted = 64 << 10;
    size_t total = 0;
    const auto parts = cut(random_records(4'000'000 / (value_bytes + 30), value_bytes), wanted);
    for (const auto& part : parts) {
      total += part.size();
      EXPECT_LE(part.size(), 4 * wanted + 2 * value_bytes + 30);
    }
    EXPECT_GT(total / parts.size(), wanted / 2) << value_bytes;
    EXPECT_LT(total / parts.size(), 2 * wanted) << value_bytes;
  }
}

TEST(KvParts, a_changed_inserted_or_deleted_record_changes_the_parts_around_it_alone) {
  Records records = random_records(20'000, 100);
  const auto before = cut(records, 16 << 10);
  auto some = std::next(records.begin(), 10'000);
  some->second.bytes += "x";
  EXPECT_GE(shared(before, cut(records, 16 << 10)), before.size() - 3);
  records.emplace(some->first + "1", Value{5, "inserted"});
  EXPECT_GE(shared(before, cut(records, 16 << 10)), before.size() - 3);
  records.erase(some);
  EXPECT_GE(shared(before, cut(records, 16 << 10)), before.size() - 3);
}

TEST(KvParts, a_record_of_the_largest_size_fits_into_a_part) {
  const Records records = {
      {std::string(BOP_KV_KEY_MAX, 'k'), {1, std::string(BOP_KV_VALUE_MAX, 'v')}}};
  EXPECT_EQ(read(cut(records, 1)), records);
  EXPECT_EQ(read(cut(records, BOP_PART_SIZE_MAX)), records);
}

TEST(KvParts, parts_never_exceed_the_limit_of_the_interface) {
  Records records;
  for (int i = 0; i < 70; ++i)
    records[std::to_string(1000 + i)] = {1, std::string(BOP_KV_VALUE_MAX, 'v')};
  const auto parts = cut(records, BOP_PART_SIZE_MAX);
  for (const auto& part : parts) EXPECT_LE(part.size(), size_t{BOP_PART_SIZE_MAX});
  EXPECT_EQ(read(parts), records);
}

TEST(KvParts, labels_ascend_and_that_of_the_totals_is_the_last) {
  EXPECT_LT(records_label(9), records_label(10));
  EXPECT_LT(records_label(0xffffffff), totals_label);
}

TEST(KvParts, what_is_no_part_is_damaged) {
  const Records records = {{"a", {1, "one"}}, {"b", {2, "two"}}};
  const auto part = cut(records, 1 << 20).at(0);
  const auto damaged = [](const std::vector<uint8_t>& bytes, const std::string& after = {}) {
    PartReader reader(bytes, as_bytes(after));
    for (StoredRecord record; reader.next(record);) {
    }
    return reader.damaged();
  };
  EXPECT_FALSE(damaged(part));
  const size_t whole = part.size() / 2;  // both records are as long
  for (size_t size = 1; size < part.size(); ++size)
    EXPECT_EQ(damaged({part.begin(), part.begin() + static_cast<ptrdiff_t>(size)}), size != whole);
  EXPECT_TRUE(damaged(part, "a")) << "a key that is not behind the part before it";
  auto altered = part;
  altered[0] = 0;  // a key without bytes
  EXPECT_TRUE(damaged(altered));
  altered = part;
  store_le<uint64_t>(altered.data() + 3, 0);  // a revision of 0
  EXPECT_TRUE(damaged(altered));
}

TEST(KvParts, totals_are_read_as_they_were_written_and_refused_otherwise) {
  const Totals totals{1, 2, 3};
  const auto bytes = encode_totals(totals);
  const auto read = decode_totals(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, totals);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(decode_totals(Bytes(bytes).first(size)).error().code, BOP_E_DAMAGED);
  auto newer = bytes;
  newer[0] = 2;
  EXPECT_EQ(decode_totals(newer).error().code, BOP_E_NEWER_FORMAT);
}

}  // namespace
}  // namespace bop::machine::kv

// Records in a frame's stream: what is encoded is decoded again, and nothing else is.
#include "log/record.h"

#include <gtest/gtest.h>

#include <string_view>

namespace bop::log {
namespace {

raft::Entry make_entry() {
  raft::Entry entry;
  entry.term = 3;
  entry.index = 11;
  entry.time_ns = 1234567890123;
  entry.session = 7;
  entry.sequence = 21;
  entry.behind = 4;
  entry.machine_version = 2;
  entry.kind = raft::EntryKind::command;
  entry.payload = mem::Buffer::copy(as_bytes("payload"));
  return entry;
}

// One record of kind entries that holds make_entry().
std::vector<uint8_t> make_stream(uint32_t generation = 0) {
  const raft::Entry entry = make_entry();
  RecordHeader header;
  header.group = 5;
  header.hard = {3, 2};
  header.leader_term = 3;
  header.previous = make_position(1, 4096);
  header.first = 11;
  header.previous_term = 2;
  header.last_time_ns = entry.time_ns;
  header.count = 1;
  header.generation = generation;
  header.bytes =
      static_cast<uint32_t>(record_header_bytes + entry_header_bytes + entry.payload.size());
  std::vector<uint8_t> stream(header.bytes);
  encode(header, stream.data());
  encode(entry, stream.data() + record_header_bytes);
  std::ranges::copy(entry.payload.bytes(),
                    stream.begin() + record_header_bytes + entry_header_bytes);
  return stream;
}

TEST(Record, gives_back_its_header_and_entries) {
  std::vector<RecordView> records;
  const std::vector<uint8_t> stream = make_stream();
  ASSERT_TRUE(decode_records(stream, records));
  ASSERT_EQ(records.size(), 1u);
  const RecordHeader& header = records[0].header;
  EXPECT_EQ(header.kind, RecordKind::entries);
  EXPECT_EQ(header.group, 5u);
  EXPECT_EQ(header.hard, (raft::HardState{3, 2}));
  EXPECT_EQ(header.leader_term, 3u);
  EXPECT_EQ(header.previous, make_position(1, 4096));
  EXPECT_EQ(header.first, 11u);
  EXPECT_EQ(header.previous_term, 2u);
  EXPECT_EQ(header.last_time_ns, 1234567890123);
  EntryReader reader(records[0].body);
  EntryView view;
  ASSERT_TRUE(reader.next(view));
  EXPECT_EQ(view.entry.term, 3u);
  EXPECT_EQ(view.entry.index, 11u);
  EXPECT_EQ(view.entry.time_ns, 1234567890123);
  EXPECT_EQ(view.entry.session, 7u);
  EXPECT_EQ(view.entry.sequence, 21u);
  EXPECT_EQ(view.entry.behind, 4u);
  EXPECT_EQ(view.entry.machine_version, 2u);
  EXPECT_EQ(view.entry.kind, raft::EntryKind::command);
  EXPECT_EQ(as_text(view.payload), "payload");
  EXPECT_FALSE(reader.next(view));
  EXPECT_TRUE(reader.ok());
}

TEST(Record, of_a_newer_version_is_sound_and_named) {
  std::vector<RecordView> records;
  ASSERT_TRUE(decode_records(make_stream(), records));
  EXPECT_EQ(std::string_view(records[0].newer), "a session");
  ASSERT_TRUE(decode_records(make_stream(1), records));
  EXPECT_EQ(records[0].header.generation, 1u);
  std::vector<uint8_t> answers = make_stream();
  answers[4] = 5;
  ASSERT_TRUE(decode_records(answers, records));
  EXPECT_EQ(std::string_view(records[0].newer), "an unknown kind");
}

TEST(Record, that_is_a_part_of_a_checkpoint_names_its_place_among_the_parts) {
  std::vector<RecordView> records;
  const auto decode = [&](Part part, uint8_t flags = 0) {
    std::vector<uint8_t> stream = make_stream();
    stream[4] = static_cast<uint8_t>(RecordKind::checkpoint);
    stream[5] = flags;
    store_le<uint32_t>(stream.data() + 72, encode(part));
    return decode_records(stream, records);
  };
  ASSERT_TRUE(decode({2, 3}));
  EXPECT_EQ(records[0].newer, nullptr);
  EXPECT_EQ(part_of(records[0].header).number, 2u);
  EXPECT_EQ(part_of(records[0].header).of, 3u);
  EXPECT_EQ(records[0].body.size(), make_stream().size() - record_header_bytes);
  EXPECT_FALSE(decode({3, 3}));
  EXPECT_FALSE(decode({0, 0}));
  ASSERT_TRUE(decode({0, 1}, record_restarts));
  EXPECT_EQ(records[0].newer, nullptr);
  EXPECT_FALSE(decode({1, 2}, record_restarts)) << "a restart is one record";
  ASSERT_TRUE(decode({0, 1}, 4));
  EXPECT_EQ(std::string_view(records[0].newer), "unknown flags");
}

TEST(Record, of_another_length_than_its_entries_is_none) {
  std::vector<RecordView> records;
  for (const uint32_t change : {UINT32_MAX, 1u}) {
    std::vector<uint8_t> stream = make_stream();
    const size_t payload_at = record_header_bytes;
    store_le<uint32_t>(stream.data() + payload_at,
                       load_le<uint32_t>(stream.data() + payload_at) + change);
    EXPECT_FALSE(decode_records(stream, records));
  }
  std::vector<uint8_t> cut = make_stream();
  cut.pop_back();
  EXPECT_FALSE(decode_records(cut, records));
}

TEST(Summary, gives_back_its_items) {
  const SummaryItem item{.group = 9,
                         .last_record = make_position(2, 8192),
                         .hard = {4, 1},
                         .first = 5,
                         .last = {4, 17},
                         .suspect = true,
                         .checkpoint = make_position(2, 4096),
                         .generation = 3,
                         .flags = 1};
  std::vector<uint8_t> stream(record_header_bytes + summary_item_bytes);
  RecordHeader header;
  header.kind = RecordKind::summary;
  header.count = 1;
  header.bytes = static_cast<uint32_t>(stream.size());
  encode(header, stream.data());
  encode(item, stream.data() + record_header_bytes);
  std::vector<RecordView> records;
  ASSERT_TRUE(decode_records(stream, records));
  const std::vector<SummaryItem> items = decode_summary(records[0]);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].group, 9u);
  EXPECT_EQ(items[0].last_record, item.last_record);
  EXPECT_EQ(items[0].hard, item.hard);
  EXPECT_EQ(items[0].first, 5u);
  EXPECT_EQ(items[0].last, item.last);
  EXPECT_TRUE(items[0].suspect);
  EXPECT_EQ(items[0].checkpoint, item.checkpoint);
  EXPECT_EQ(items[0].generation, 3u);
  EXPECT_EQ(items[0].flags, 1u);
}

}  // namespace
}  // namespace bop::log

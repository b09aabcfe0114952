#include "proto/peer.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/random.h"
#include "bytes.h"

namespace bop::proto {
namespace {

PeerHeader header() {
  PeerHeader header;
  header.cluster[0] = 7;
  header.from = 1;
  header.to = 2;
  header.incarnation = 11;
  header.epoch = 5;
  return header;
}

raft::Entry entry(Index index, std::string_view payload) {
  raft::Entry entry;
  entry.term = 4;
  entry.index = index;
  entry.time_ns = 1'700'000'000'000'000'000 + static_cast<int64_t>(index);
  entry.machine_version = 1;
  entry.kind = raft::EntryKind::command;
  entry.payload = buffer(payload);
  return entry;
}

void expect_same(const raft::Entry& a, const raft::Entry& b) {
  EXPECT_EQ(a.term, b.term);
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.time_ns, b.time_ns);
  EXPECT_EQ(a.session, b.session);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.machine_version, b.machine_version);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(text(a.payload), text(b.payload));
}

raft::Message append(std::span<const raft::Entry> entries) {
  raft::Message message;
  message.kind = raft::MessageKind::append_request;
  message.from = 1;
  message.to = 2;
  message.term = 4;
  message.log_term = 3;
  message.index = entries.empty() ? 9 : entries.front().index - 1;
  message.commit = 8;
  message.compact = 6;
  message.round = 99;
  message.quiesce = true;
  message.hindered = true;
  message.entries = entries;
  return message;
}

// A whole, correctly sealed frame with other bytes after its prefix.
mem::Buffer reseal(std::string frame) {
  auto* bytes = reinterpret_cast<uint8_t*>(frame.data());
  store_le<uint32_t>(bytes + 4, static_cast<uint32_t>(frame.size()));
  store_le<uint32_t>(bytes + 8, crc32c(as_bytes(frame).subspan(12)));
  return buffer(frame);
}

TEST(PeerFrame, carries_an_append_with_its_entries_whole) {
  const std::vector<raft::Entry> entries{entry(10, "small"), entry(11, std::string(5000, 'x')),
                                         entry(12, "")};
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{42, 3, append(entries)}));
  const mem::Buffer frame = join(writer.finish());

  PeerDecoder decoder;
  const auto decoded = decoder.decode(frame);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->header.cluster, header().cluster);
  EXPECT_EQ(decoded->header.from, 1u);
  EXPECT_EQ(decoded->header.to, 2u);
  EXPECT_EQ(decoded->header.incarnation, 11u);
  EXPECT_EQ(decoded->header.epoch, 5u);
  ASSERT_EQ(decoded->items.size(), 1u);
  const auto& item = std::get<RaftItem>(decoded->items[0]);
  EXPECT_EQ(item.group, 42u);
  EXPECT_EQ(item.generation, 3u);
  const raft::Message& message = item.message;
  EXPECT_EQ(message.kind, raft::MessageKind::append_request);
  EXPECT_EQ(message.from, 1u);
  EXPECT_EQ(message.to, 2u);
  EXPECT_EQ(message.term, 4u);
  EXPECT_EQ(message.log_term, 3u);
  EXPECT_EQ(message.index, 9u);
  EXPECT_EQ(message.commit, 8u);
  EXPECT_EQ(message.compact, 6u);
  EXPECT_EQ(message.round, 99u);
  EXPECT_FALSE(message.ok);
  EXPECT_TRUE(message.quiesce);
  EXPECT_TRUE(message.hindered);
  ASSERT_EQ(message.entries.size(), 3u);
  for (size_t i = 0; i < 3; ++i) expect_same(message.entries[i], entries[i]);
}

TEST(PeerFrame, copies_no_payload_when_it_is_decoded) {
  const std::vector<raft::Entry> entries{entry(10, std::string(300, 'p'))};
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{1, 0, append(entries)}));
  const mem::Buffer frame = join(writer.finish());
  PeerDecoder decoder;
  const auto decoded = decoder.decode(frame);
  ASSERT_TRUE(decoded);
  const uint8_t* payload = std::get<RaftItem>(decoded->items[0]).message.entries[0].payload.data();
  EXPECT_GE(payload, frame.data());
  EXPECT_LT(payload, frame.data() + frame.size());
}

TEST(PeerFrame, shares_large_payloads_when_it_is_written) {
  const std::vector<raft::Entry> entries{entry(10, std::string(4000, 'p'))};
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{1, 0, append(entries)}));
  const auto parts = writer.finish();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[1].data(), entries[0].payload.data());
}

TEST(PeerFrame, carries_every_kind_of_item_in_order) {
  PeerHeader with_trace = header();
  with_trace.trace = as_bytes("00-trace-context");
  PeerFrameWriter writer;
  writer.begin(with_trace);
  EXPECT_TRUE(writer.empty());
  ASSERT_TRUE(writer.add(HelloItem{1, 1, 2, 77}));
  ASSERT_TRUE(writer.add(HelloAckItem{1, 1, BOP_E_WRONG_CLUSTER, 78, "another cluster"}));
  ASSERT_TRUE(writer.add(HeartbeatItem{5, 6, 7, 8, 9, 0b1010}));
  ASSERT_TRUE(writer.add(ForwardItem{42, 1, 1000, 4, 2 * seconds, 0, 0, 0, buffer("command")}));
  ASSERT_TRUE(writer.add(
      ForwardReplyItem{42, 1, 5, 1000, BOP_E_NOT_LEADER, 17, 3, buffer("body"), "ask node 3"}));
  ASSERT_TRUE(writer.add(RaftItem{42, 1, append({})}));
  const mem::Buffer frame = join(writer.finish());

  PeerDecoder decoder;
  const auto decoded = decoder.decode(frame);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(text(decoded->header.trace), "00-trace-context");
  ASSERT_EQ(decoded->items.size(), 6u);

  const auto& hello = std::get<HelloItem>(decoded->items[0]);
  EXPECT_EQ(hello.channel, 1);
  EXPECT_EQ(hello.version_low, 1);
  EXPECT_EQ(hello.version_high, 2);
  EXPECT_EQ(hello.bootstrap, 77u);
  const auto& ack = std::get<HelloAckItem>(decoded->items[1]);
  EXPECT_EQ(ack.status, BOP_E_WRONG_CLUSTER);
  EXPECT_EQ(ack.bootstrap, 78u);
  EXPECT_EQ(ack.detail, "another cluster");
  const auto& heartbeat = std::get<HeartbeatItem>(decoded->items[2]);
  EXPECT_EQ(heartbeat.sequence, 5u);
  EXPECT_EQ(heartbeat.sent_at, 6);
  EXPECT_EQ(heartbeat.echo_sequence, 7u);
  EXPECT_EQ(heartbeat.echo_sent_at, 8);
  EXPECT_EQ(heartbeat.echo_held, 9);
  EXPECT_EQ(heartbeat.healthy_shards, 0b1010u);
  const auto& forward = std::get<ForwardItem>(decoded->items[3]);
  EXPECT_EQ(forward.sequence, 1000u);
  EXPECT_EQ(forward.leader_term, 4u);
  EXPECT_EQ(forward.deadline_left, 2 * seconds);
  EXPECT_EQ(forward.session, 0u);
  EXPECT_EQ(forward.behind, 0u);
  EXPECT_EQ(text(forward.payload), "command");
  const auto& reply = std::get<ForwardReplyItem>(decoded->items[4]);
  EXPECT_EQ(reply.group, 42u);
  EXPECT_EQ(reply.generation, 1u);
  EXPECT_EQ(reply.origin_epoch, 5u);
  EXPECT_EQ(reply.sequence, 1000u);
  EXPECT_EQ(reply.status, BOP_E_NOT_LEADER);
  EXPECT_EQ(reply.index, 17u);
  EXPECT_EQ(reply.leader, 3u);
  EXPECT_EQ(text(reply.body), "body");
  EXPECT_EQ(reply.detail, "ask node 3");
  EXPECT_TRUE(std::get<RaftItem>(decoded->items[5]).message.entries.empty());
}

TEST(PeerFrame, is_the_same_whether_a_run_was_encoded_before_for_another_peer_or_not) {
  std::vector<raft::Entry> entries;
  for (Index i = 10; i < 60; ++i) entries.push_back(entry(i, std::string(i * 40, 'e')));
  EntriesCache cache;
  std::vector<std::string> frames;
  for (EntriesCache* used : {static_cast<EntriesCache*>(nullptr), &cache, &cache}) {
    PeerFrameWriter writer;
    writer.begin(header());
    ASSERT_TRUE(writer.add(RaftItem{1, 0, append(entries)}, used));
    frames.push_back(text(join(writer.finish())));
  }
  EXPECT_EQ(frames[0], frames[1]);
  EXPECT_EQ(frames[0], frames[2]);
}

TEST(EntriesCache, encodes_again_for_another_group_and_for_another_run) {
  const std::vector<raft::Entry> one{entry(10, "one")};
  const std::vector<raft::Entry> two{entry(10, "two"), entry(11, "three")};
  std::vector<raft::Entry> later = one;
  later[0].term = 5;
  EntriesCache cache;
  const auto encoded = [&](GroupId group, const std::vector<raft::Entry>& entries) {
    return text(join(cache.encode(group, entries).parts));
  };
  const std::string first = encoded(1, one);
  EXPECT_EQ(encoded(1, one), first);
  EXPECT_NE(encoded(1, two), first);
  EXPECT_NE(encoded(1, later), first);
  const std::vector<raft::Entry> other{entry(10, "of another group")};
  EXPECT_NE(encoded(2, other), first);
  cache.clear();
  EXPECT_EQ(encoded(1, one), first);
}

TEST(PeerFrameWriter, refuses_an_item_that_does_not_fit_and_keeps_the_frame_unchanged) {
  PeerFrameWriter writer(1000);
  writer.begin(header());
  ASSERT_TRUE(writer.add(ForwardItem{1, 0, 1, 1, 0, 0, 0, 0, buffer(std::string(500, 'a'))}));
  const size_t before = writer.size();
  EXPECT_FALSE(writer.add(ForwardItem{1, 0, 2, 1, 0, 0, 0, 0, buffer(std::string(500, 'b'))}));
  EXPECT_EQ(writer.size(), before);
  PeerDecoder decoder;
  const auto decoded = decoder.decode(join(writer.finish()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->items.size(), 1u);
}

TEST(PeerFrameWriter, refuses_an_append_that_is_larger_than_any_frame) {
  const std::vector<raft::Entry> entries{entry(10, std::string(2000, 'x'))};
  PeerFrameWriter writer(1000);
  EntriesCache cache;
  writer.begin(header());
  EXPECT_FALSE(writer.add(RaftItem{1, 0, append(entries)}));
  EXPECT_FALSE(writer.add(RaftItem{1, 0, append(entries)}, &cache));
  EXPECT_TRUE(writer.empty());
}

TEST(PeerDecoder, keeps_entries_of_several_frames_until_it_is_cleared) {
  PeerDecoder decoder;
  std::vector<raft::Message> messages;
  for (Index i = 1; i <= 200; ++i) {
    PeerFrameWriter writer;
    writer.begin(header());
    const std::vector<raft::Entry> entries{entry(i, "payload " + std::to_string(i))};
    ASSERT_TRUE(writer.add(RaftItem{1, 0, append(entries)}));
    const auto decoded = decoder.decode(join(writer.finish()));
    ASSERT_TRUE(decoded);
    messages.push_back(std::get<RaftItem>(decoded->items[0]).message);
  }
  for (Index i = 1; i <= 200; ++i) {
    ASSERT_EQ(messages[i - 1].entries.size(), 1u);
    EXPECT_EQ(messages[i - 1].entries[0].index, i);
    EXPECT_EQ(text(messages[i - 1].entries[0].payload), "payload " + std::to_string(i));
  }
  decoder.clear();
}

TEST(PeerDecoder, refuses_other_versions_and_unknown_kinds_by_name) {
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{1, 0, append({})}));
  const std::string frame = text(join(writer.finish()));
  PeerDecoder decoder;
  const auto altered = [&](size_t at, char value) {
    std::string copy = frame;
    copy[at] = value;
    return decoder.decode(reseal(copy));
  };
  EXPECT_EQ(altered(12, 1).error().code, BOP_E_VERSION_MISMATCH);
  EXPECT_EQ(altered(peer_header_bytes, 99).error().code, BOP_E_VERSION_MISMATCH);
  EXPECT_EQ(altered(peer_header_bytes + 1, 99).error().code, BOP_E_VERSION_MISMATCH);
  EXPECT_NE(altered(peer_header_bytes, 99).error().detail.find("item 0"), std::string::npos);
}

TEST(PeerDecoder, refuses_entries_that_do_not_follow_the_index_of_their_append) {
  const std::vector<raft::Entry> entries{entry(10, "x")};
  raft::Message message = append(entries);
  message.index = 5;
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{1, 0, message}));
  PeerDecoder decoder;
  EXPECT_EQ(decoder.decode(join(writer.finish())).error().code, BOP_E_PROTOCOL);
}

TEST(PeerDecoder, refuses_entries_in_a_message_that_is_not_an_append) {
  const std::vector<raft::Entry> entries{entry(10, "x")};
  raft::Message message = append(entries);
  message.kind = raft::MessageKind::append_reply;
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{1, 0, message}));
  PeerDecoder decoder;
  EXPECT_EQ(decoder.decode(join(writer.finish())).error().code, BOP_E_PROTOCOL);
}

FetchItem fetch() { return {42, 1, 9, {1, 2}, {3, 4}, 262144, 1000}; }
ChunkItem chunk() { return {42, 1, 9, BOP_OK, 262144, 262149, buffer("bytes")}; }

TEST(PeerFrame, carries_requests_for_parts_of_snapshots_and_their_answers) {
  raft::Message offer;
  offer.kind = raft::MessageKind::snapshot_offer;
  offer.term = 5;
  offer.log_term = 4;
  offer.index = 77;
  offer.snapshot = {11, 12};
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{42, 1, offer}));
  ASSERT_TRUE(writer.add(fetch()));
  ASSERT_TRUE(writer.add(chunk()));
  ASSERT_TRUE(writer.add(ChunkItem{42, 1, 10, BOP_E_NOT_FOUND, 0, 0, {}}));
  ChunkItem largest = chunk();
  largest.bytes = buffer(std::string(max_chunk_bytes, 'x'));
  largest.size = largest.offset + max_chunk_bytes;
  ASSERT_TRUE(writer.add(largest));
  const mem::Buffer frame = join(writer.finish());

  PeerDecoder decoder;
  const auto decoded = decoder.decode(frame);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  ASSERT_EQ(decoded->items.size(), 5u);
  const auto& offered = std::get<RaftItem>(decoded->items[0]).message;
  EXPECT_EQ(offered.kind, raft::MessageKind::snapshot_offer);
  EXPECT_EQ(offered.log_term, 4u);
  EXPECT_EQ(offered.index, 77u);
  EXPECT_EQ(offered.snapshot, (Hash128{11, 12}));
  const auto& wanted = std::get<FetchItem>(decoded->items[1]);
  EXPECT_EQ(wanted.group, 42u);
  EXPECT_EQ(wanted.generation, 1u);
  EXPECT_EQ(wanted.request, 9u);
  EXPECT_EQ(wanted.snapshot, (Hash128{1, 2}));
  EXPECT_EQ(wanted.part, (Hash128{3, 4}));
  EXPECT_EQ(wanted.offset, 262144u);
  EXPECT_EQ(wanted.length, 1000u);
  const auto& answer = std::get<ChunkItem>(decoded->items[2]);
  EXPECT_EQ(answer.group, 42u);
  EXPECT_EQ(answer.request, 9u);
  EXPECT_EQ(answer.status, BOP_OK);
  EXPECT_EQ(answer.offset, 262144u);
  EXPECT_EQ(answer.size, 262149u);
  EXPECT_EQ(text(answer.bytes), "bytes");
  EXPECT_EQ(std::get<ChunkItem>(decoded->items[3]).status, BOP_E_NOT_FOUND);
  EXPECT_EQ(std::get<ChunkItem>(decoded->items[4]).bytes.size(), max_chunk_bytes);
}

TEST(PeerDecoder, refuses_fetches_and_chunks_beyond_their_limits) {
  const auto refusal = [](const auto& item) {
    PeerFrameWriter writer;
    writer.begin(header());
    EXPECT_TRUE(writer.add(item));
    PeerDecoder decoder;
    const auto decoded = decoder.decode(join(writer.finish()));
    return decoded ? std::string() : decoded.error().to_string();
  };
  FetchItem wanted = fetch();
  EXPECT_EQ(refusal(wanted), "");
  wanted.length = 0;
  EXPECT_NE(refusal(wanted).find("a fetch of 0 bytes"), std::string::npos);
  wanted.length = max_chunk_bytes + 1;
  EXPECT_NE(refusal(wanted).find("a fetch of 262145 bytes"), std::string::npos);
  ChunkItem answer = chunk();
  answer.size = 262148;
  EXPECT_NE(refusal(answer).find("past its part"), std::string::npos);
  answer.offset = uint64_t{0} - 2;
  answer.size = uint64_t{0} - 1;
  EXPECT_NE(refusal(answer).find("past its part"), std::string::npos);
  answer = chunk();
  answer.status = BOP_E_NOT_FOUND;
  EXPECT_NE(refusal(answer).find("both an error and bytes"), std::string::npos);
  answer.bytes = {};
  EXPECT_EQ(refusal(answer), "");
  answer.status = BOP_OK;
  EXPECT_NE(refusal(answer).find("or neither"), std::string::npos);
}

// Correct checksums around wrong content: what only a broken or hostile peer sends.
TEST(PeerDecoder, survives_every_truncation_and_random_damage_under_a_correct_checksum) {
  const std::vector<raft::Entry> entries{entry(10, "first"), entry(11, "second")};
  PeerFrameWriter writer;
  writer.begin(header());
  ASSERT_TRUE(writer.add(RaftItem{42, 3, append(entries)}));
  ASSERT_TRUE(writer.add(ForwardItem{42, 1, 1000, 4, 0, 0, 0, 0, buffer("command")}));
  ASSERT_TRUE(writer.add(ForwardReplyItem{42, 1, 5, 1000, 0, 17, 3, buffer("body"), "detail"}));
  ASSERT_TRUE(writer.add(HeartbeatItem{5, 6, 7, 8, 9, 1}));
  ASSERT_TRUE(writer.add(HelloItem{}));
  ASSERT_TRUE(writer.add(fetch()));
  ASSERT_TRUE(writer.add(chunk()));
  const std::string frame = text(join(writer.finish()));
  PeerDecoder decoder;
  ASSERT_TRUE(decoder.decode(reseal(frame)));
  for (size_t size = 12; size < frame.size(); ++size) {
    EXPECT_FALSE(decoder.decode(reseal(frame.substr(0, size)))) << size;
  }
  Random random(2);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = frame;
    for (uint64_t n = 1 + random.below(4); n > 0; --n) {
      damaged[12 + random.below(damaged.size() - 12)] = static_cast<char>(random.next());
    }
    const auto decoded = decoder.decode(reseal(damaged));
    if (!decoded) {
      EXPECT_FALSE(decoded.error().detail.empty());
    }
    decoder.clear();
  }
}

TEST(PeerSections, as_many_addresses_as_fit_a_frame_are_encoded_and_read_back) {
  const std::string longest(max_section_text_bytes, 'a');
  const std::vector<NodeAddress> known{{2, "127.0.0.1:7103"}, {3, ""}, {4, longest}, {5, longest}};
  std::vector<uint8_t> bytes;
  EXPECT_EQ(encode(known, bytes), 4u);
  const auto sections = decode_sections(bytes);
  ASSERT_TRUE(sections);
  EXPECT_EQ(decode_addresses(sections->addresses), known);

  bytes.clear();
  EXPECT_EQ(encode(std::vector<NodeAddress>(9, {6, longest}), bytes), 3u);
  EXPECT_LE(bytes.size(), max_peer_extension_bytes);
  EXPECT_EQ(decode_addresses(decode_sections(bytes)->addresses).size(), 3u);
  bytes.clear();
  EXPECT_EQ(encode(std::span<const NodeAddress>(), bytes), 0u);
  EXPECT_TRUE(bytes.empty());
}

TEST(PeerSections, a_part_of_an_address_is_malformed) {
  std::vector<uint8_t> bytes;
  encode(std::vector<NodeAddress>{{2, "127.0.0.1:7103"}}, bytes);
  for (size_t cut = 1; cut + 4 < bytes.size(); ++cut) {
    std::vector<uint8_t> damaged(bytes.begin(), bytes.end() - static_cast<ptrdiff_t>(cut));
    damaged[2] = static_cast<uint8_t>(damaged.size() - 4);
    EXPECT_FALSE(decode_sections(damaged)) << cut;
  }
}

}  // namespace
}  // namespace bop::proto

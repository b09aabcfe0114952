#include "proto/peer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace bop::proto {

namespace {

constexpr size_t item_head_bytes = 24;
constexpr size_t raft_bytes = 64;
constexpr size_t offer_bytes = 16;  // behind those, in a snapshot offer
constexpr size_t forward_bytes = 48;
constexpr size_t forward_reply_bytes = 44;
constexpr size_t heartbeat_bytes = 56;
constexpr size_t hello_bytes = 16;
constexpr size_t hello_ack_bytes = 20;
constexpr size_t fetch_bytes = 56;
constexpr size_t chunk_bytes = 32;
constexpr size_t max_trace_bytes = 64;

constexpr uint16_t flag_trace = 1;     // of a frame: the extension begins with a trace context
constexpr uint16_t flag_sections = 2;  // of a frame: the extension consists of sections
constexpr uint16_t flag_ok = 1;        // of a raft item
constexpr uint16_t flag_quiesce = 2;
constexpr unsigned log_capacity_shift = 2;
constexpr uint16_t log_capacity_mask = 3;
// Bit 4 (transfer) and all above are a later version's.
constexpr uint16_t flag_hindered = 32;
constexpr uint16_t raft_flags =
    flag_ok | flag_quiesce | log_capacity_mask << log_capacity_shift | flag_hindered;
constexpr size_t kept_runs = 64;  // vectors kept for the next turn
constexpr size_t kept_run_entries = 4096;

std::string_view cut_detail(std::string_view detail) { return detail.substr(0, max_detail_bytes); }

bool known_message(uint8_t kind) {
  return kind >= static_cast<uint8_t>(raft::MessageKind::pre_vote_request) &&
         kind <= static_cast<uint8_t>(raft::MessageKind::snapshot_offer);
}

void store_hash(uint8_t* to, const Hash128& hash) {
  store_le<uint64_t>(to, hash.low);
  store_le<uint64_t>(to + 8, hash.high);
}

Error malformed(std::string_view what) {
  return Error{BOP_E_PROTOCOL, fmt::format("a malformed {} item", what)};
}

}  // namespace

// ---- writing ----

void PeerFrameWriter::begin(const PeerHeader& header, Bytes sections) {
  BOP_ASSERT_LE(header.trace.size(), max_trace_bytes);
  BOP_ASSERT_LE(sections.size(), max_peer_extension_bytes);
  BOP_ASSERT(header.trace.empty() || sections.empty());
  const Bytes extension = sections.empty() ? header.trace : sections;
  const uint16_t flags = !sections.empty() ? flag_sections : !header.trace.empty() ? flag_trace : 0;
  parts_.begin();
  items_ = 0;
  front_ = parts_.reserve(peer_header_bytes + extension.size());
  std::memset(front_, 0, peer_header_bytes);
  front_[12] = peer_version;
  store_le<uint16_t>(front_ + 14, flags);
  std::memcpy(front_ + 16, header.cluster.data(), header.cluster.size());
  store_le<uint64_t>(front_ + 32, header.from);
  store_le<uint64_t>(front_ + 40, header.to);
  store_le<uint64_t>(front_ + 48, header.incarnation);
  store_le<uint64_t>(front_ + 56, header.epoch);
  store_le<uint64_t>(front_ + 64, header.recovery_epoch);
  store_le<uint16_t>(front_ + 76, static_cast<uint16_t>(extension.size()));
  if (!extension.empty()) {
    std::memcpy(front_ + peer_header_bytes, extension.data(), extension.size());
  }
}

// Writes an item's header and reserves the `head_bytes` after it, which it returns; nullptr: the item does
// not fit.
uint8_t* PeerFrameWriter::item(PeerItemKind kind, uint8_t sub, uint16_t flags, GroupId group,
                               uint32_t generation, size_t head_bytes, size_t more_bytes) {
  BOP_ASSERT(front_ != nullptr);
  const size_t body_bytes = head_bytes + more_bytes;
  if (items_ == max_peer_items || !fits(item_head_bytes + body_bytes)) return nullptr;
  ++items_;
  uint8_t* head = parts_.reserve(item_head_bytes + head_bytes);
  head[0] = static_cast<uint8_t>(kind);
  head[1] = sub;
  store_le<uint16_t>(head + 2, flags);
  store_le<uint32_t>(head + 4, static_cast<uint32_t>(body_bytes));
  store_le<uint64_t>(head + 8, group);
  store_le<uint32_t>(head + 16, generation);
  store_le<uint32_t>(head + 20, 0);
  return head + item_head_bytes;
}

bool PeerFrameWriter::add(const RaftItem& item, EntriesCache* cache) {
  const raft::Message& message = item.message;
  const bool has_entries = !message.entries.empty();
  const bool offers = message.kind == raft::MessageKind::snapshot_offer;
  BOP_ASSERT(!offers || !has_entries);
  const EncodedEntries* encoded = nullptr;
  size_t entries_bytes = 0;
  if (has_entries && cache != nullptr) {
    encoded = &cache->encode(item.group, message.entries);
    entries_bytes = encoded->size;
  } else if (has_entries) {
    entries_bytes = encoded_size(message.entries);
  }
  const uint16_t flags =
      static_cast<uint16_t>((message.ok ? flag_ok : 0) | (message.quiesce ? flag_quiesce : 0) |
                            (message.hindered ? flag_hindered : 0) |
                            static_cast<unsigned>(message.log_capacity) << log_capacity_shift);
  uint8_t* to =
      this->item(PeerItemKind::raft, static_cast<uint8_t>(message.kind), flags, item.group,
                 item.generation, raft_bytes + (offers ? offer_bytes : 0), entries_bytes);
  if (to == nullptr) return false;
  store_le<uint64_t>(to, message.term);
  store_le<uint64_t>(to + 8, message.log_term);
  store_le<uint64_t>(to + 16, message.index);
  store_le<uint64_t>(to + 24, message.commit);
  store_le<uint64_t>(to + 32, message.compact);
  store_le<uint64_t>(to + 40, message.match);
  store_le<uint64_t>(to + 48, message.round);
  store_le<uint64_t>(to + 56, 0);  // held
  if (offers) store_hash(to + raft_bytes, message.snapshot);
  if (encoded != nullptr) {
    for (const mem::Buffer& part : encoded->parts) parts_.buffer(part);
  } else if (has_entries) {
    encode_entries(message.entries, parts_);
  }
  return true;
}

bool PeerFrameWriter::add(const ForwardItem& item) {
  uint8_t* to = this->item(PeerItemKind::forward, 0, 0, item.group, item.generation, forward_bytes,
                           item.payload.size());
  if (to == nullptr) return false;
  store_le<uint64_t>(to, item.sequence);
  store_le<uint64_t>(to + 8, item.leader_term);
  store_le<int64_t>(to + 16, item.deadline_left);
  store_le<uint64_t>(to + 24, item.session);
  store_le<uint64_t>(to + 32, item.session_sequence);
  store_le<uint32_t>(to + 40, item.behind);
  store_le<uint32_t>(to + 44, static_cast<uint32_t>(item.payload.size()));
  parts_.buffer(item.payload);
  return true;
}

bool PeerFrameWriter::add(const ForwardReplyItem& item) {
  const std::string_view detail = cut_detail(item.detail);
  uint8_t* to = this->item(PeerItemKind::forward_reply, 0, 0, item.group, item.generation,
                           forward_reply_bytes, detail.size() + item.body.size());
  if (to == nullptr) return false;
  store_le<uint64_t>(to, item.origin_epoch);
  store_le<uint64_t>(to + 8, item.sequence);
  store_le<uint64_t>(to + 16, item.index);
  store_le<uint64_t>(to + 24, item.leader);
  store_le<int32_t>(to + 32, item.status);
  store_le<uint16_t>(to + 36, static_cast<uint16_t>(detail.size()));
  store_le<uint16_t>(to + 38, 0);
  store_le<uint32_t>(to + 40, static_cast<uint32_t>(item.body.size()));
  parts_.bytes(as_bytes(detail));
  parts_.buffer(item.body);
  return true;
}

bool PeerFrameWriter::add(const HeartbeatItem& item) {
  uint8_t* to = this->item(PeerItemKind::heartbeat, 0, 0, 0, 0, heartbeat_bytes, 0);
  if (to == nullptr) return false;
  store_le<uint64_t>(to, item.sequence);
  store_le<int64_t>(to + 8, item.sent_at);
  store_le<uint64_t>(to + 16, item.echo_sequence);
  store_le<int64_t>(to + 24, item.echo_sent_at);
  store_le<int64_t>(to + 32, item.echo_held);
  store_le<uint64_t>(to + 40, item.healthy_shards);
  store_le<uint64_t>(to + 48, item.recovery_epoch);
  return true;
}

bool PeerFrameWriter::add(const HelloItem& item) {
  uint8_t* to = this->item(PeerItemKind::hello, 0, 0, 0, 0, hello_bytes, 0);
  if (to == nullptr) return false;
  to[0] = item.channel;
  to[1] = item.version_low;
  to[2] = item.version_high;
  to[3] = 0;
  store_le<uint32_t>(to + 4, 0);  // flags
  store_le<uint64_t>(to + 8, item.bootstrap);
  return true;
}

bool PeerFrameWriter::add(const HelloAckItem& item) {
  const std::string_view detail = cut_detail(item.detail);
  uint8_t* to = this->item(PeerItemKind::hello_ack, 0, 0, 0, 0, hello_ack_bytes, detail.size());
  if (to == nullptr) return false;
  to[0] = item.channel;
  to[1] = item.version;
  store_le<uint16_t>(to + 2, static_cast<uint16_t>(detail.size()));
  store_le<int32_t>(to + 4, item.status);
  store_le<uint64_t>(to + 8, item.bootstrap);
  store_le<uint32_t>(to + 16, 0);
  parts_.bytes(as_bytes(detail));
  return true;
}

bool PeerFrameWriter::add(const FetchItem& item) {
  uint8_t* to = this->item(PeerItemKind::fetch, 0, 0, item.group, item.generation, fetch_bytes, 0);
  if (to == nullptr) return false;
  store_le<uint64_t>(to, item.request);
  store_hash(to + 8, item.snapshot);
  store_hash(to + 24, item.part);
  store_le<uint64_t>(to + 40, item.offset);
  store_le<uint32_t>(to + 48, item.length);
  store_le<uint32_t>(to + 52, 0);
  return true;
}

bool PeerFrameWriter::add(const ChunkItem& item) {
  BOP_ASSERT_LE(item.bytes.size(), max_chunk_bytes);
  uint8_t* to = this->item(PeerItemKind::chunk, 0, 0, item.group, item.generation, chunk_bytes,
                           item.bytes.size());
  if (to == nullptr) return false;
  store_le<uint64_t>(to, item.request);
  store_le<int32_t>(to + 8, item.status);
  store_le<uint32_t>(to + 12, 0);
  store_le<uint64_t>(to + 16, item.offset);
  store_le<uint64_t>(to + 24, item.size);
  parts_.buffer(item.bytes);
  return true;
}

std::span<const mem::Buffer> PeerFrameWriter::finish() {
  BOP_ASSERT(front_ != nullptr);
  store_le<uint32_t>(front_ + 72, items_);
  const auto parts = parts_.finish();
  seal_frame(peer_magic, front_, parts);
  front_ = nullptr;
  return parts;
}

// ---- reading ----

namespace {

Status decode_header(Reader& reader, PeerHeader& header, uint32_t& items) {
  const uint8_t version = reader.u8();
  const uint8_t reserved = reader.u8();
  const uint16_t flags = reader.u16();
  const Bytes cluster = reader.bytes(header.cluster.size());
  header.from = reader.u64();
  header.to = reader.u64();
  header.incarnation = reader.u64();
  header.epoch = reader.u64();
  header.recovery_epoch = reader.u64();
  items = reader.u32();
  const uint16_t extension_bytes = reader.u16();
  reader.u16();
  const Bytes extension = reader.bytes(std::min<size_t>(extension_bytes, reader.remaining()));
  if (version != peer_version) {
    return fail(BOP_E_VERSION_MISMATCH, fmt::format("a peer frame of version {}", version));
  }
  if (!reader.ok() || reserved != 0 || extension.size() != extension_bytes ||
      extension_bytes > max_peer_extension_bytes) {
    return fail(BOP_E_PROTOCOL, "a malformed peer frame header");
  }
  BOP_TRY(check_unused(header.recovery_epoch, "a recovered cluster"));
  std::copy(cluster.begin(), cluster.end(), header.cluster.begin());
  if ((flags & flag_trace) != 0) {
    header.trace = extension.first(std::min(extension.size(), max_trace_bytes));
  } else if ((flags & flag_sections) != 0) {
    BOP_TRY_ASSIGN(header.sections, decode_sections(extension));
  }
  return {};
}

Result<ForwardItem> decode_forward(const mem::Buffer& frame, Reader body) {
  ForwardItem item;
  item.sequence = body.u64();
  item.leader_term = body.u64();
  item.deadline_left = body.i64();
  item.session = body.u64();
  item.session_sequence = body.u64();
  item.behind = body.u32();
  item.payload = frame.slice(body.bytes(body.u32()));
  if (!body.complete()) return std::unexpected(malformed("forward"));
  BOP_TRY(
      check_unused(item.session | item.session_sequence | item.behind, "a command of a session"));
  return item;
}

Result<ForwardReplyItem> decode_forward_reply(const mem::Buffer& frame, Reader body) {
  ForwardReplyItem item;
  item.origin_epoch = body.u64();
  item.sequence = body.u64();
  item.index = body.u64();
  item.leader = body.u64();
  item.status = body.read<int32_t>();
  const uint16_t detail_bytes = body.u16();
  body.u16();
  const uint32_t body_bytes = body.u32();
  item.detail = as_text(body.bytes(detail_bytes));
  item.body = frame.slice(body.bytes(body_bytes));
  if (!body.complete() || detail_bytes > max_detail_bytes) {
    return std::unexpected(malformed("forward reply"));
  }
  return item;
}

Result<HeartbeatItem> decode_heartbeat(Reader body) {
  HeartbeatItem item;
  item.sequence = body.u64();
  item.sent_at = body.i64();
  item.echo_sequence = body.u64();
  item.echo_sent_at = body.i64();
  item.echo_held = body.i64();
  item.healthy_shards = body.u64();
  item.recovery_epoch = body.u64();
  if (!body.complete()) return std::unexpected(malformed("heartbeat"));
  BOP_TRY(check_unused(item.recovery_epoch, "a recovered cluster"));
  return item;
}

Result<HelloItem> decode_hello(Reader body) {
  HelloItem item;
  item.channel = body.u8();
  item.version_low = body.u8();
  item.version_high = body.u8();
  body.u8();
  const uint32_t flags = body.u32();
  item.bootstrap = body.u64();
  if (!body.complete()) return std::unexpected(malformed("hello"));
  BOP_TRY(check_unused(flags, "a hello with flags"));
  return item;
}

Result<HelloAckItem> decode_hello_ack(Reader body) {
  HelloAckItem item;
  item.channel = body.u8();
  item.version = body.u8();
  const uint16_t detail_bytes = body.u16();
  item.status = body.read<int32_t>();
  item.bootstrap = body.u64();
  body.u32();
  item.detail = as_text(body.bytes(detail_bytes));
  if (!body.complete() || detail_bytes > max_detail_bytes) {
    return std::unexpected(malformed("hello ack"));
  }
  return item;
}

Hash128 read_hash(Reader& reader) {
  Hash128 hash;
  hash.low = reader.u64();
  hash.high = reader.u64();
  return hash;
}

Result<FetchItem> decode_fetch(Reader body) {
  FetchItem item;
  item.request = body.u64();
  item.snapshot = read_hash(body);
  item.part = read_hash(body);
  item.offset = body.u64();
  item.length = body.u32();
  const uint32_t zero = body.u32();
  if (!body.complete()) return std::unexpected(malformed("fetch"));
  BOP_TRY(check_unused(zero, "a fetch of another form"));
  if (item.length == 0 || item.length > max_chunk_bytes) {
    return fail(BOP_E_PROTOCOL, fmt::format("a fetch of {} bytes; 1 to {} can be asked for at once",
                                            item.length, max_chunk_bytes));
  }
  return item;
}

Result<ChunkItem> decode_chunk(const mem::Buffer& frame, Reader body) {
  ChunkItem item;
  item.request = body.u64();
  item.status = body.read<int32_t>();
  const uint32_t zero = body.u32();
  item.offset = body.u64();
  item.size = body.u64();
  if (!body.ok()) return std::unexpected(malformed("chunk"));
  item.bytes = frame.slice(body.rest());
  BOP_TRY(check_unused(zero, "a chunk of another form"));
  if (item.bytes.size() > max_chunk_bytes) {
    return fail(BOP_E_PROTOCOL, fmt::format("a chunk of {} bytes; the limit is {}",
                                            item.bytes.size(), max_chunk_bytes));
  }
  if ((item.status == BOP_OK) != (item.bytes.size() > 0)) {
    return fail(BOP_E_PROTOCOL, "a chunk with both an error and bytes, or neither");
  }
  if (item.offset > item.size || item.bytes.size() > item.size - item.offset) {
    return fail(BOP_E_PROTOCOL, "a chunk that reaches past its part");
  }
  return item;
}

}  // namespace

Result<PeerFrame> PeerDecoder::decode(const mem::Buffer& frame) {
  items_.clear();
  const size_t runs_before = runs_used_;
  auto drop = [&](Error error) {
    items_.clear();
    while (runs_used_ > runs_before) runs_[--runs_used_].clear();
    return std::unexpected(std::move(error));
  };
  auto body = open_frame(peer_format, frame.bytes());
  if (!body) return drop(std::move(body).error());
  Reader reader(*body);
  PeerHeader header;
  uint32_t items = 0;
  if (auto status = decode_header(reader, header, items); !status) {
    return drop(std::move(status).error());
  }
  if (items > max_peer_items || items > reader.remaining() / item_head_bytes) {
    return drop({BOP_E_PROTOCOL, fmt::format("a peer frame that cannot hold {} items", items)});
  }
  for (uint32_t i = 0; i < items; ++i) {
    if (auto status = decode_item(frame, header, reader); !status) {
      return drop(
          {status.error().code, fmt::format("peer frame, item {}: {}", i, status.error().detail)});
    }
  }
  if (!reader.complete()) return drop({BOP_E_PROTOCOL, "bytes follow a peer frame's items"});
  return PeerFrame{header, items_};
}

Status PeerDecoder::decode_item(const mem::Buffer& frame, const PeerHeader& header,
                                Reader& reader) {
  const uint8_t kind = reader.u8();
  const uint8_t sub = reader.u8();
  const uint16_t flags = reader.u16();
  const uint32_t body_bytes = reader.u32();
  const GroupId group = reader.u64();
  const uint32_t generation = reader.u32();
  reader.u32();
  const Reader body(reader.bytes(body_bytes));
  if (!reader.ok()) return fail(BOP_E_PROTOCOL, "it reaches past the frame");
  switch (static_cast<PeerItemKind>(kind)) {
    case PeerItemKind::raft:
      return decode_raft(frame, header, {group, generation, {}}, sub, flags, body);
    case PeerItemKind::forward: {
      BOP_TRY_ASSIGN(auto item, decode_forward(frame, body));
      item.group = group;
      item.generation = generation;
      items_.emplace_back(std::move(item));
      return {};
    }
    case PeerItemKind::forward_reply: {
      BOP_TRY_ASSIGN(auto item, decode_forward_reply(frame, body));
      item.group = group;
      item.generation = generation;
      items_.emplace_back(std::move(item));
      return {};
    }
    case PeerItemKind::heartbeat: {
      BOP_TRY_ASSIGN(auto item, decode_heartbeat(body));
      items_.emplace_back(item);
      return {};
    }
    case PeerItemKind::hello: {
      BOP_TRY_ASSIGN(auto item, decode_hello(body));
      items_.emplace_back(item);
      return {};
    }
    case PeerItemKind::hello_ack: {
      BOP_TRY_ASSIGN(auto item, decode_hello_ack(body));
      items_.emplace_back(item);
      return {};
    }
    case PeerItemKind::fetch: {
      BOP_TRY_ASSIGN(auto item, decode_fetch(body));
      item.group = group;
      item.generation = generation;
      items_.emplace_back(item);
      return {};
    }
    case PeerItemKind::chunk: {
      BOP_TRY_ASSIGN(auto item, decode_chunk(frame, body));
      item.group = group;
      item.generation = generation;
      items_.emplace_back(std::move(item));
      return {};
    }
  }
  return fail(BOP_E_VERSION_MISMATCH, fmt::format("unknown kind {}", kind));
}

Status PeerDecoder::decode_raft(const mem::Buffer& frame, const PeerHeader& header, RaftItem item,
                                uint8_t kind, uint16_t flags, Reader body) {
  if (!known_message(kind)) {
    return fail(BOP_E_VERSION_MISMATCH, fmt::format("a raft message of unknown kind {}", kind));
  }
  raft::Message& message = item.message;
  message.kind = static_cast<raft::MessageKind>(kind);
  message.from = header.from;
  message.to = header.to;
  message.term = body.u64();
  message.log_term = body.u64();
  message.index = body.u64();
  message.commit = body.u64();
  message.compact = body.u64();
  message.match = body.u64();
  message.round = body.u64();
  const uint64_t held = body.u64();
  message.ok = (flags & flag_ok) != 0;
  message.quiesce = (flags & flag_quiesce) != 0;
  message.hindered = (flags & flag_hindered) != 0;
  message.log_capacity =
      static_cast<raft::LogCapacity>(flags >> log_capacity_shift & log_capacity_mask);
  if (message.log_capacity > raft::LogCapacity::disk_full)
    return std::unexpected(malformed("raft"));
  if (!body.ok()) return std::unexpected(malformed("raft"));
  BOP_TRY(check_unused(flags & ~raft_flags, "a raft message with unknown flags"));
  BOP_TRY(check_unused(held, "an append reply that tells what its sender holds"));
  if (message.kind == raft::MessageKind::snapshot_offer) {
    message.snapshot = read_hash(body);
    if (!body.complete()) return std::unexpected(malformed("snapshot offer"));
  }
  if (body.remaining() != 0) {
    if (message.kind != raft::MessageKind::append_request) {
      return fail(BOP_E_PROTOCOL, "entries in a message that is not an append");
    }
    std::vector<raft::Entry>& run = next_run();
    BOP_TRY(decode_entries(frame, body.rest(), run));
    if (run.front().index != message.index + 1) {
      return fail(BOP_E_PROTOCOL, "an append whose entries do not follow its index");
    }
    message.entries = run;
  }
  items_.emplace_back(item);
  return {};
}

std::vector<raft::Entry>& PeerDecoder::next_run() {
  if (runs_used_ == runs_.size()) runs_.emplace_back();
  return runs_[runs_used_++];
}

void PeerDecoder::clear() {
  items_.clear();
  for (size_t i = 0; i < runs_used_; ++i) {
    if (runs_[i].capacity() > kept_run_entries) {
      runs_[i] = {};
    } else {
      runs_[i].clear();
    }
  }
  runs_used_ = 0;
  if (runs_.size() > kept_runs) runs_.resize(kept_runs);
}

}  // namespace bop::proto

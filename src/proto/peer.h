// Frames between nodes. A frame is a batch of items: what one turn of a shard sends to one peer.
// Byte table: docs/formats/peer.md; examples: clients/spec/peer.json.
//
// Writing: PeerFrameWriter, with begin(), add() and finish(). When add() returns false, the item did not
// fit: send the frame, and add the item to the next one.
// Reading: FrameSplitter (proto/frame.h) cuts the stream; PeerDecoder decodes a whole frame before
// anything is delivered, so that a malformed frame changes nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/checksum.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "mem/buffer.h"
#include "proto/entries.h"
#include "proto/frame.h"
#include "proto/part_writer.h"
#include "proto/peer_sections.h"
#include "raft/types.h"

namespace bop::proto {

inline constexpr uint8_t peer_version = 2;
inline constexpr uint32_t peer_magic = 0x46504f42;  // "BOPF"
inline constexpr uint32_t max_peer_frame_bytes = 8u << 20;
inline constexpr uint32_t max_peer_items = 65536;
inline constexpr size_t peer_header_bytes = 80;
inline constexpr size_t max_peer_extension_bytes = 1024;
inline constexpr size_t max_detail_bytes = 1024;
inline constexpr size_t max_chunk_bytes = 256 << 10;  // of a snapshot
inline constexpr FrameFormat peer_format{peer_magic, peer_header_bytes, max_peer_frame_bytes};

struct PeerHeader {
  ClusterId cluster{};
  NodeId from = 0;
  NodeId to = 0;
  uint64_t incarnation = 0;     // of the sender's data directory
  uint64_t epoch = 0;           // rises with every start of the sender on that directory
  uint64_t recovery_epoch = 0;  // of the cluster: rises with each recovery from a lost quorum
  Bytes trace;                  // trace context of the turn: opaque, at most 64 bytes, may be empty
  PeerSections sections;        // only of a decoded frame; begin() takes them encoded
};

// ---- items ----

// A message of the core. `from` and `to` are not encoded: decode() sets them from the frame's header.
struct RaftItem {
  GroupId group = 0;
  uint32_t generation = 0;  // of the group: a replica of another generation drops the message
  raft::Message message;
};

// A proposal that a follower forwards to its leader; it is not forwarded again. Its origin is the frame's
// sender, with the incarnation and epoch of the header.
struct ForwardItem {
  GroupId group = 0;
  uint32_t generation = 0;     // of the group
  uint64_t sequence = 0;       // chosen by the origin, unique within its epoch
  Term leader_term = 0;        // a receiver that does not lead in this term refuses
  Duration deadline_left = 0;  // time that was left until the deadline when it was sent
  uint64_t session = 0;        // of the client, as in raft::Entry; 0: none
  uint64_t session_sequence = 0;
  uint32_t behind = 0;  // as in raft::Entry
  mem::Buffer payload;  // the command
};

struct ForwardReplyItem {
  GroupId group = 0;
  uint32_t generation = 0;  // of the group
  uint64_t origin_epoch =
      0;  // of the frame with the proposal: an origin that restarted drops the reply
  uint64_t sequence = 0;    // of the ForwardItem
  int32_t status = 0;       // a bop_status
  Index index = 0;          // of the entry; 0: provably not proposed
  NodeId leader = 0;        // a hint; 0: unknown
  mem::Buffer body;         // the machine's reply
  std::string_view detail;  // explains an error to people; truncated to max_detail_bytes
};

// Liveness is between nodes: each pair of nodes exchanges one heartbeat, whatever the number of groups.
struct HeartbeatItem {
  uint64_t sequence = 0;  // chosen by the sender, increasing
  Instant sent_at = 0;    // by the sender's clock
  uint64_t echo_sequence =
      0;  // of the last heartbeat that the sender received from the receiver; 0: none
  Instant echo_sent_at = 0;  // the sent_at of that heartbeat
  Duration echo_held = 0;    // time since it arrived: round trip = now - echo_sent_at - echo_held
  uint64_t healthy_shards = 0;  // one bit for each shard; 0: its log is latched or stalled
  uint64_t recovery_epoch = 0;  // as in PeerHeader
};

// The first item on a connection, from the node that connected, and the answer of the one that accepted.
struct HelloItem {
  uint8_t channel = 0;                 // a port::Channel
  uint8_t version_low = peer_version;  // the versions that the sender can speak
  uint8_t version_high = peer_version;
  uint64_t bootstrap = 0;  // the bootstrap digest (docs/GLOSSARY.md) of the sender's directory
};
struct HelloAckItem {
  uint8_t channel = 0;             // of the hello
  uint8_t version = peer_version;  // of both directions from now on
  int32_t status = 0;       // BOP_OK, WRONG_CLUSTER, VERSION_MISMATCH, WRONG_INCARNATION, ...
  uint64_t bootstrap = 0;   // of the sender's directory
  std::string_view detail;  // explains an error to people
};

// Asks for bytes of a snapshot's manifest or of one of its parts.
struct FetchItem {
  GroupId group = 0;
  uint32_t generation = 0;  // of the group
  uint64_t request = 0;     // chosen by the sender
  Hash128 snapshot;         // id: digest of the manifest
  Hash128 part;             // digest; zero: the manifest
  uint64_t offset = 0;
  uint32_t length = 0;  // 1 to max_chunk_bytes
};

// The answer: bytes from `offset` on, at least one and perhaps fewer than were asked for, or an error.
struct ChunkItem {
  GroupId group = 0;
  uint32_t generation = 0;  // of the group
  uint64_t request = 0;     // of the FetchItem
  int32_t status = 0;  // BOP_OK, or an error, without bytes: NOT_FOUND, OVERLOADED, DAMAGED, ...
  uint64_t offset = 0;
  uint64_t size = 0;  // of the whole part or manifest
  mem::Buffer bytes;
};

using PeerItem = std::variant<RaftItem, ForwardItem, ForwardReplyItem, HeartbeatItem, HelloItem,
                              HelloAckItem, FetchItem, ChunkItem>;

enum class PeerItemKind : uint8_t {
  raft = 1,
  forward = 2,
  forward_reply = 3,
  heartbeat = 4,
  hello = 5,
  hello_ack = 6,
  fetch = 7,
  chunk = 8,
};

// ---- writing ----

class PeerFrameWriter {
 public:
  explicit PeerFrameWriter(uint32_t max_bytes = max_peer_frame_bytes) : max_bytes_(max_bytes) {}

  // Begins a new frame and drops the previous one. Copies `header`, with its trace, and `sections`, which
  // are encoded (proto/peer_sections.h). A frame has a trace or sections, not both.
  void begin(const PeerHeader& header, Bytes sections = {});

  // False: the item does not fit the frame, which is unchanged. With a cache, entries that several peers
  // receive are encoded once.
  [[nodiscard]] bool add(const RaftItem& item, EntriesCache* cache = nullptr);
  [[nodiscard]] bool add(const ForwardItem& item);
  [[nodiscard]] bool add(const ForwardReplyItem& item);
  [[nodiscard]] bool add(const HeartbeatItem& item);
  [[nodiscard]] bool add(const HelloItem& item);
  [[nodiscard]] bool add(const HelloAckItem& item);
  [[nodiscard]] bool add(const FetchItem& item);
  [[nodiscard]] bool add(const ChunkItem& item);

  bool empty() const { return items_ == 0; }
  size_t size() const { return parts_.size(); }
  bool fits(size_t bytes) const { return bytes <= max_bytes_ - parts_.size(); }

  // The frame's parts, for Transport::send. Valid until begin().
  std::span<const mem::Buffer> finish();

 private:
  uint8_t* item(PeerItemKind kind, uint8_t sub, uint16_t flags, GroupId group, uint32_t generation,
                size_t head_bytes, size_t more_bytes);

  const uint32_t max_bytes_;
  PartWriter parts_;
  uint8_t* front_ = nullptr;
  uint32_t items_ = 0;
};

// ---- reading ----

struct PeerFrame {
  PeerHeader header;
  std::span<const PeerItem> items;  // valid until the next decode()
};

class PeerDecoder {
 public:
  // String views point into the frame; payloads and bodies share its block. The entries of messages belong
  // to the decoder and keep their blocks alive until clear(). On an error, which names the item, nothing is
  // kept. The caller has to check the header (cluster, nodes, incarnation).
  Result<PeerFrame> decode(const mem::Buffer& frame);

  // Releases all entries decoded so far. Call it at the end of a turn, after the groups stepped.
  void clear();

 private:
  Status decode_item(const mem::Buffer& frame, const PeerHeader& header, Reader& reader);
  Status decode_raft(const mem::Buffer& frame, const PeerHeader& header, RaftItem item,
                     uint8_t kind, uint16_t flags, Reader body);
  std::vector<raft::Entry>& next_run();

  std::vector<PeerItem> items_;
  // One vector for each message with entries. A deque: messages refer to the vectors, which must not move.
  std::deque<std::vector<raft::Entry>> runs_;
  size_t runs_used_ = 0;
};

}  // namespace bop::proto

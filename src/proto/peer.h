// Frames between nodes: one carries, in a batch of items, what a turn of a shard has for one peer.
// Byte table: docs/formats/peer.md; examples: clients/spec/peer.json.
//
// Writing: PeerFrameWriter. begin(), add_*(), finish(); an add_* that returns false did not fit, so
// the frame is finished and sent and the item added to the next one.
// Reading: FrameSplitter (proto/frame.h) cuts the stream, PeerDecoder decodes one frame whole, so
// that a frame with an error in it changes nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

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

inline constexpr uint8_t peer_version = 1;
inline constexpr uint32_t peer_magic = 0x46504f42;  // "BOPF"
inline constexpr uint32_t max_peer_frame_bytes = 8u << 20;
inline constexpr uint32_t max_peer_items = 65536;
inline constexpr size_t peer_header_bytes = 80;
inline constexpr size_t max_peer_extension_bytes = 1024;
inline constexpr size_t max_detail_bytes = 1024;
inline constexpr FrameFormat peer_format{peer_magic, peer_header_bytes, max_peer_frame_bytes};

struct PeerHeader {
  ClusterId cluster{};
  NodeId from = 0;
  NodeId to = 0;
  uint64_t incarnation = 0;    // of the sender's data directory
  uint64_t epoch = 0;          // rises with every start of the sender on that directory
  uint64_t configuration = 0;  // epoch of the catalogue the sender goes by; 0: none
  Bytes trace;                 // trace context of the turn, may be empty; opaque, at most 64 bytes
  PeerSections sections;       // of a frame that was read; a writer is given them encoded
};

// ---- items ----

// All of raft::Message but from and to, which are the frame's. A decoded message has them.
struct RaftItem {
  GroupId group = 0;
  uint32_t generation = 0;  // of the group: a replica of another generation drops it
  raft::Message message;
};

// A proposal that a follower got and hands to its leader: one hop. Its origin, with incarnation and
// epoch, is the frame's sender.
struct ForwardItem {
  GroupId group = 0;
  uint32_t generation = 0;
  uint64_t sequence = 0;       // the origin's own, never used twice within an epoch
  Term leader_term = 0;        // a receiver that does not lead in this term refuses
  Duration deadline_left = 0;  // when it was sent
  uint64_t session = 0;
  uint64_t session_sequence = 0;
  mem::Buffer payload;
};

struct ForwardReplyItem {
  GroupId group = 0;
  uint32_t generation = 0;
  uint64_t origin_epoch = 0;  // of the frame that brought the proposal: an older life's is dropped
  uint64_t sequence = 0;
  int32_t status = 0;
  Index index = 0;    // of the entry, 0: provably not proposed
  NodeId leader = 0;  // a hint, 0: unknown
  mem::Buffer body;
  std::string_view detail;  // words for people, at most max_detail_bytes (longer is cut)
};

// Liveness is between nodes: one heartbeat a node pair, whatever the number of groups.
struct HeartbeatItem {
  uint64_t sequence = 0;        // the sender's, rising
  Instant sent_at = 0;          // on the sender's clock
  uint64_t echo_sequence = 0;   // of the last heartbeat got from the receiver, 0: none
  Instant echo_sent_at = 0;     // that one's sent_at
  Duration echo_held = 0;       // how long it lay here: round trip = now - echo_sent_at - echo_held
  uint64_t healthy_shards = 0;  // a bit a shard; 0: its log is latched or stalls
};

// The first item of a connection, from who connected; and the answer, from who accepted.
struct HelloItem {
  uint8_t channel = 0;  // port::Channel
  uint8_t version_low = peer_version;
  uint8_t version_high = peer_version;
  uint64_t bootstrap = 0;  // digest of what the cluster was bootstrapped from
};
struct HelloAckItem {
  uint8_t channel = 0;
  uint8_t version = peer_version;  // what both will speak
  int32_t status = 0;              // WRONG_CLUSTER, VERSION_MISMATCH, WRONG_INCARNATION, ...
  uint64_t bootstrap = 0;
  std::string_view detail;
};

using PeerItem =
    std::variant<RaftItem, ForwardItem, ForwardReplyItem, HeartbeatItem, HelloItem, HelloAckItem>;

enum class PeerItemKind : uint8_t {
  raft = 1,
  forward = 2,
  forward_reply = 3,
  heartbeat = 4,
  hello = 5,
  hello_ack = 6,
};

// ---- writing ----

class PeerFrameWriter {
 public:
  explicit PeerFrameWriter(uint32_t max_bytes = max_peer_frame_bytes) : max_bytes_(max_bytes) {}

  // Lets go of the frame before. `header` is copied, its trace too. `sections`, encoded
  // (proto/peer_sections.h), are copied; a frame has a trace or sections, not both.
  void begin(const PeerHeader& header, Bytes sections = {});

  // With a cache, entries are encoded once for all peers that get the same run.
  [[nodiscard]] bool add(const RaftItem& item, EntriesCache* cache = nullptr);
  [[nodiscard]] bool add(const ForwardItem& item);
  [[nodiscard]] bool add(const ForwardReplyItem& item);
  [[nodiscard]] bool add(const HeartbeatItem& item);
  [[nodiscard]] bool add(const HelloItem& item);
  [[nodiscard]] bool add(const HelloAckItem& item);

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
  // Bytes that views point to are the frame's. Payloads and bodies share the frame's block. Entries
  // of messages are kept here, and with them the blocks, until clear(). On an error, which names the
  // item, nothing is kept. Whose frame it is (cluster, nodes, incarnation) is the caller's to judge.
  Result<PeerFrame> decode(const mem::Buffer& frame);

  // Lets go of all entries decoded so far: when the groups stepped, at the end of a turn.
  void clear();

 private:
  Status decode_item(const mem::Buffer& frame, const PeerHeader& header, Reader& reader);
  Status decode_raft(const mem::Buffer& frame, const PeerHeader& header, RaftItem item,
                     uint8_t kind, uint16_t flags, Reader body);
  std::vector<raft::Entry>& next_run();

  std::vector<PeerItem> items_;
  // One vector a message; a deque, so that those handed out stay where they are.
  std::deque<std::vector<raft::Entry>> runs_;
  size_t runs_used_ = 0;
};

}  // namespace bop::proto

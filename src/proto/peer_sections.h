// Sections: what a node says of itself beside a frame's items. They travel in the header's extension,
// which readers that do not know them skip. Byte table: docs/formats/peer.md.
//
// An introduction goes with each hello and its answer, a report or addresses with some of the heartbeats.
// They only inform: nothing in consensus depends on them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace bop::proto {

inline constexpr size_t max_section_text_bytes = 255;
inline constexpr size_t max_reported_groups = 13;  // in one frame: the extension has 1,024 bytes

struct IntroductionSection {
  uint64_t instance = 0;  // random, of the sender's process
  std::string_view address;
  std::string_view native;
};

struct NodeReport {
  uint64_t uptime_ms = 0;
  uint64_t conditions = 0;       // a bit a condition: 1 << node::Condition
  NodeId second_process_of = 0;  // a node as which the sender sees two processes run; 0: none
  std::string_view version;      // of the program, at most 63 bytes (longer is cut)
};

struct GroupReport {
  enum Flags : uint8_t { ready = 1, halted = 2, suspect = 4 };
  GroupId id = 0;
  uint64_t term = 0;
  uint64_t commit = 0, applied = 0, last = 0;
  uint64_t hash_index = 0, hash_low = 0, hash_high = 0;  // of the state; index 0: none
  uint8_t role = 0;                                      // raft::Role
  uint8_t flags = 0;
  friend bool operator==(const GroupReport&, const GroupReport&) = default;
};

// Where another node takes connections of nodes, as it told the sender, which is connected with it.
struct NodeAddress {
  NodeId node = 0;
  std::string_view address;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

// What a frame's sections say; views point into the frame. Unknown kinds are skipped.
struct PeerSections {
  std::optional<IntroductionSection> introduction;
  std::optional<NodeReport> node;
  Bytes groups;     // see decode_group_reports
  Bytes addresses;  // see decode_addresses
};

void encode(const IntroductionSection& section, std::vector<uint8_t>& out);
void encode(const NodeReport& section, std::vector<uint8_t>& out);
void encode(std::span<const GroupReport> groups, std::vector<uint8_t>& out);
// As many as fit into one frame without other sections: their number.
size_t encode(std::span<const NodeAddress> addresses, std::vector<uint8_t>& out);

// PROTOCOL when a section is malformed.
Result<PeerSections> decode_sections(Bytes bytes);
std::vector<GroupReport> decode_group_reports(Bytes groups);
std::vector<NodeAddress> decode_addresses(Bytes addresses);

}  // namespace bop::proto

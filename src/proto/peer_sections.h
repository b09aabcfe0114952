// Sections: information about the sending node beside a frame's items. They are in the header's extension,
// which readers that do not know them skip. Byte table: docs/formats/peer.md.
//
// Each hello and its answer carry an introduction; some heartbeats carry a report or addresses. They are only
// shown in status and logs or used to find addresses: consensus does not depend on them.
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
  uint64_t instance = 0;     // random, drawn by the sender's process
  std::string_view address;  // on which the sender accepts connections of nodes
  std::string_view native;   // on which it accepts connections of native clients
};

struct NodeReport {
  uint64_t uptime_ms = 0;
  uint64_t conditions = 0;  // one bit for each condition: 1 << node::Condition
  NodeId second_process_of =
      0;                     // the node id that two processes use, as the sender sees it; 0: none
  std::string_view version;  // of the program; truncated to 63 bytes
};

// A replica of the sender.
struct GroupReport {
  enum Flags : uint8_t { ready = 1, halted = 2, suspect = 4 };
  GroupId id = 0;
  uint64_t term = 0;
  uint64_t commit = 0, applied = 0, last = 0;            // indexes
  uint64_t hash_index = 0, hash_low = 0, hash_high = 0;  // state hash at hash_index; index 0: none
  uint8_t role = 0;                                      // a raft::Role
  uint8_t flags = 0;                                     // a set of Flags
  friend bool operator==(const GroupReport&, const GroupReport&) = default;
};

// The address on which another node accepts connections of nodes, as it told the sender, which is connected to
// it.
struct NodeAddress {
  NodeId node = 0;
  std::string_view address;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

// The decoded sections of a frame; string views point into the frame. Unknown kinds are skipped.
struct PeerSections {
  std::optional<IntroductionSection> introduction;
  std::optional<NodeReport> node;
  Bytes groups;     // encoded: see decode_group_reports
  Bytes addresses;  // encoded: see decode_addresses
};

void encode(const IntroductionSection& section, std::vector<uint8_t>& out);
void encode(const NodeReport& section, std::vector<uint8_t>& out);
void encode(std::span<const GroupReport> groups, std::vector<uint8_t>& out);
// Encodes as many as fit in one frame without other sections, and returns their number.
size_t encode(std::span<const NodeAddress> addresses, std::vector<uint8_t>& out);

// PROTOCOL when a section is malformed.
Result<PeerSections> decode_sections(Bytes bytes);
std::vector<GroupReport> decode_group_reports(Bytes groups);
std::vector<NodeAddress> decode_addresses(Bytes addresses);

}  // namespace bop::proto

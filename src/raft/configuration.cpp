#include "raft/configuration.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::raft {

namespace {

constexpr uint8_t format_version = 2;
constexpr size_t head_bytes = 24;
constexpr size_t member_bytes = 32;

// Roles of a member.
constexpr uint8_t votes = 1;  // in the configuration that is being entered, or the only one
constexpr uint8_t learner = 4;
// A voter's priority when it may lead as any other may.
constexpr uint8_t equal_priority = 1;

Status check_ids(const char* what, const std::vector<NodeId>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == 0) return fail(BOP_E_BAD_CONFIG, std::string(what) + ": 0 is not a node id");
    if (i > 0 && ids[i] <= ids[i - 1])
      return fail(BOP_E_BAD_CONFIG, std::string(what) + ": node " + std::to_string(ids[i]) +
                                        " is not in ascending order");
  }
  return {};
}

void write_member(Writer& writer, NodeId id, bool is_voter) {
  writer.u64(id);
  writer.u64(0);  // incarnation: the first one met
  writer.u8(is_voter ? votes : learner);
  writer.u8(is_voter ? equal_priority : 0);
  writer.u16(0);
  writer.u32(0);
  writer.u64(0);  // the member that it replaces
}

std::unexpected<Error> newer(const char* what) {
  return fail(BOP_E_NEWER_FORMAT,
              std::string("a configuration with ") + what + ", which this version does not know");
}

Status read_member(Reader& reader, NodeId& last, Configuration& into) {
  const NodeId id = reader.u64();
  const uint64_t incarnation = reader.u64();
  const uint8_t roles = reader.u8();
  const uint8_t priority = reader.u8();
  const uint64_t zeros = reader.u16() | reader.u32();
  const NodeId replaces = reader.u64();
  if (id <= last)
    return fail(BOP_E_BAD_CONFIG, "member " + std::to_string(id) + " is not in ascending order");
  last = id;
  if (incarnation != 0) return newer("incarnations");
  if (replaces != 0) return newer("a member that replaces another");
  if (roles != votes && roles != learner) return newer("roles other than voter and learner");
  if (priority != (roles == votes ? equal_priority : 0)) return newer("priorities");
  if (zeros != 0) return newer("members of another form");
  (roles == votes ? into.voters : into.learners).push_back(id);
  return {};
}

}  // namespace

Status check_configuration(const Configuration& configuration) {
  if (configuration.voters.empty()) return fail(BOP_E_BAD_CONFIG, "a group needs a voter");
  if (configuration.voters.size() > max_voters)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_voters) + " voters");
  if (configuration.learners.size() > max_learners)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_learners) + " learners");
  if (configuration.joint())
    return fail(BOP_E_UNSUPPORTED, "a joint configuration cannot be in force in this version");
  BOP_TRY(check_ids("voters", configuration.voters));
  BOP_TRY(check_ids("learners", configuration.learners));
  for (NodeId learner : configuration.learners)
    if (std::ranges::binary_search(configuration.voters, learner))
      return fail(BOP_E_BAD_CONFIG,
                  "node " + std::to_string(learner) + " is both voter and learner");
  return {};
}

mem::Buffer encode_configuration(const Configuration& configuration) {
  BOP_ASSERT(check_configuration(configuration).has_value());
  std::vector<uint8_t> bytes;
  bytes.reserve(head_bytes +
                (configuration.voters.size() + configuration.learners.size()) * member_bytes);
  Writer writer(bytes);
  writer.u8(format_version);
  writer.u8(0);  // flags
  writer.u16(static_cast<uint16_t>(configuration.voters.size() + configuration.learners.size()));
  writer.u32(0);  // lease in milliseconds
  writer.u64(0);  // recovery epoch
  writer.u32(0);  // quorum sizes: majorities
  writer.u32(0);
  auto voter = configuration.voters.begin();
  auto other = configuration.learners.begin();
  while (voter != configuration.voters.end() || other != configuration.learners.end()) {
    const bool votes_next = other == configuration.learners.end() ||
                            (voter != configuration.voters.end() && *voter < *other);
    write_member(writer, votes_next ? *voter++ : *other++, votes_next);
  }
  return mem::Buffer::copy(bytes);
}

Result<Configuration> decode_configuration(Bytes bytes) {
  Reader reader(bytes);
  const uint8_t version = reader.u8();
  const uint8_t flags = reader.u8();
  const size_t members = reader.u16();
  if (reader.ok() && version != format_version)
    return fail(version > format_version ? BOP_E_NEWER_FORMAT : BOP_E_OLDER_FORMAT,
                "a configuration of version " + std::to_string(version));
  const uint32_t lease_ms = reader.u32();
  const uint64_t recovery_epoch = reader.u64();
  const uint32_t quorums = reader.u32();
  const uint32_t zero = reader.u32();
  if (!reader.ok())
    return fail(BOP_E_PROTOCOL,
                "a configuration of fewer than " + std::to_string(head_bytes) + " bytes");
  if (flags != 0 || zero != 0) return newer("unknown flags");
  if (lease_ms != 0) return newer("a lease");
  if (recovery_epoch != 0) return newer("a recovery epoch");
  if (quorums != 0) return newer("quorum sizes");
  // Checked before memory is allocated for the claimed count.
  if (reader.remaining() != members * member_bytes)
    return fail(BOP_E_PROTOCOL, "a configuration whose count is not that of its bytes");
  Configuration configuration;
  NodeId last = 0;
  for (size_t i = 0; i < members; ++i) BOP_TRY(read_member(reader, last, configuration));
  BOP_TRY(check_configuration(configuration));
  return configuration;
}

}  // namespace bop::raft

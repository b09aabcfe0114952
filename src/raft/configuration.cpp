#include "raft/configuration.h"

#include <algorithm>
#include <map>

#include "base/assert.h"

namespace bop::raft {

namespace {

constexpr uint8_t format_version = 2;
constexpr size_t head_bytes = 24;
constexpr size_t member_bytes = 32;

constexpr uint8_t leaves_by_itself = 1;  // a flag

// Roles of a member, as bits.
constexpr uint8_t votes = 1;         // in the half that is entered, or in the only one
constexpr uint8_t votes_in_old = 2;  // in the half that is left
constexpr uint8_t learner = 4;
// A voter's priority when it may lead as any other may.
constexpr uint8_t equal_priority = 1;

// All members and what each is, by id.
std::map<NodeId, uint8_t> roles_of(const Configuration& configuration) {
  std::map<NodeId, uint8_t> roles;
  for (const NodeId id : configuration.voters) roles[id] |= votes;
  for (const NodeId id : configuration.outgoing) roles[id] |= votes_in_old;
  for (const NodeId id : configuration.learners) roles[id] |= learner;
  return roles;
}

bool are_roles(uint8_t roles) {
  constexpr uint8_t known = votes | votes_in_old | learner;
  return roles != 0 && (roles & ~known) == 0 && (roles & (votes | learner)) != (votes | learner);
}

uint8_t priority_of(uint8_t roles) {
  return (roles & (votes | votes_in_old)) != 0 ? equal_priority : 0;
}

Status check_ids(const char* what, const std::vector<NodeId>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == 0) return fail(BOP_E_BAD_CONFIG, std::string(what) + ": 0 is not a node id");
    if (i > 0 && ids[i] <= ids[i - 1])
      return fail(BOP_E_BAD_CONFIG, std::string(what) + ": node " + std::to_string(ids[i]) +
                                        " is not in ascending order");
  }
  return {};
}

void write_member(Writer& writer, NodeId id, uint8_t roles) {
  writer.u64(id);
  writer.u64(0);  // incarnation: the first one met
  writer.u8(roles);
  writer.u8(priority_of(roles));
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
  if (!are_roles(roles)) return newer("roles other than voter and learner");
  if (priority != priority_of(roles)) return newer("priorities");
  if (zeros != 0) return newer("members of another form");
  if ((roles & votes) != 0) into.voters.push_back(id);
  if ((roles & votes_in_old) != 0) into.outgoing.push_back(id);
  if ((roles & learner) != 0) into.learners.push_back(id);
  return {};
}

}  // namespace

bool includes(const std::vector<NodeId>& sorted, NodeId id) {
  return std::ranges::binary_search(sorted, id);
}

std::vector<NodeId> members_of(const Configuration& configuration) {
  std::vector<NodeId> ids;
  for (const auto& [id, roles] : roles_of(configuration)) ids.push_back(id);
  return ids;
}

Status check_configuration(const Configuration& configuration) {
  if (configuration.voters.empty()) return fail(BOP_E_BAD_CONFIG, "a group needs a voter");
  if (configuration.voters.size() > max_voters)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_voters) + " voters");
  if (configuration.learners.size() > max_learners)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_learners) + " learners");
  if (configuration.outgoing.size() > max_voters)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_voters) + " voters before");
  if (configuration.auto_leave && !configuration.joint())
    return fail(BOP_E_BAD_CONFIG, "there is no joint configuration to leave");
  BOP_TRY(check_ids("voters", configuration.voters));
  BOP_TRY(check_ids("voters before", configuration.outgoing));
  BOP_TRY(check_ids("learners", configuration.learners));
  for (NodeId learner : configuration.learners)
    if (includes(configuration.voters, learner))
      return fail(BOP_E_BAD_CONFIG,
                  "node " + std::to_string(learner) + " is both voter and learner");
  return {};
}

mem::Buffer encode_configuration(const Configuration& configuration) {
  BOP_ASSERT(check_configuration(configuration).has_value());
  const std::map<NodeId, uint8_t> members = roles_of(configuration);
  std::vector<uint8_t> bytes;
  bytes.reserve(head_bytes + members.size() * member_bytes);
  Writer writer(bytes);
  writer.u8(format_version);
  writer.u8(configuration.auto_leave ? leaves_by_itself : 0);
  writer.u16(static_cast<uint16_t>(members.size()));
  writer.u32(0);  // lease in milliseconds
  writer.u64(0);  // recovery epoch
  writer.u32(0);  // quorum sizes: majorities
  writer.u32(0);
  for (const auto& [id, roles] : members) write_member(writer, id, roles);
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
  if ((flags & ~leaves_by_itself) != 0 || zero != 0) return newer("unknown flags");
  if (lease_ms != 0) return newer("a lease");
  if (recovery_epoch != 0) return newer("a recovery epoch");
  if (quorums != 0) return newer("quorum sizes");
  // Checked before memory is allocated for the claimed count.
  if (reader.remaining() != members * member_bytes)
    return fail(BOP_E_PROTOCOL, "a configuration whose count is not that of its bytes");
  Configuration configuration;
  configuration.auto_leave = (flags & leaves_by_itself) != 0;
  NodeId last = 0;
  for (size_t i = 0; i < members; ++i) BOP_TRY(read_member(reader, last, configuration));
  BOP_TRY(check_configuration(configuration));
  return configuration;
}

}  // namespace bop::raft

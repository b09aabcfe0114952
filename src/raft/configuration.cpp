#include "raft/configuration.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::raft {

namespace {

constexpr uint8_t format_version = 1;

Status check_ids(const char* what, const std::vector<NodeId>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == 0) return fail(BOP_E_BAD_CONFIG, std::string(what) + ": 0 is not a node id");
    if (i > 0 && ids[i] <= ids[i - 1])
      return fail(BOP_E_BAD_CONFIG, std::string(what) + ": node " + std::to_string(ids[i]) +
                                        " is not in ascending order");
  }
  return {};
}

std::vector<NodeId> read_ids(Reader& reader, size_t count) {
  std::vector<NodeId> ids;
  ids.reserve(count);
  for (size_t i = 0; i < count; ++i) ids.push_back(reader.u64());
  return ids;
}

}  // namespace

Status check_configuration(const Configuration& configuration) {
  if (configuration.voters.empty()) return fail(BOP_E_BAD_CONFIG, "a group needs a voter");
  if (configuration.voters.size() > max_voters)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_voters) + " voters");
  if (configuration.learners.size() > max_learners)
    return fail(BOP_E_BAD_CONFIG, "more than " + std::to_string(max_learners) + " learners");
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
  Writer writer(bytes);
  writer.u8(format_version);
  writer.u8(0);
  writer.u16(static_cast<uint16_t>(configuration.voters.size()));
  writer.u16(static_cast<uint16_t>(configuration.learners.size()));
  for (NodeId id : configuration.voters) writer.u64(id);
  for (NodeId id : configuration.learners) writer.u64(id);
  return mem::Buffer::copy(bytes);
}

Result<Configuration> decode_configuration(Bytes bytes) {
  Reader reader(bytes);
  const uint8_t version = reader.u8();
  const uint8_t flags = reader.u8();
  const size_t voters = reader.u16();
  const size_t learners = reader.u16();
  if (!reader.ok()) return fail(BOP_E_PROTOCOL, "a configuration of fewer than 6 bytes");
  if (version != format_version || flags != 0)
    return fail(BOP_E_NEWER_FORMAT, "a configuration of version " + std::to_string(version));
  // Checked before memory is allocated for the claimed counts.
  if (reader.remaining() != (voters + learners) * sizeof(NodeId))
    return fail(BOP_E_PROTOCOL, "a configuration whose counts do not match its size");
  Configuration configuration;
  configuration.voters = read_ids(reader, voters);
  configuration.learners = read_ids(reader, learners);
  BOP_TRY(check_configuration(configuration));
  return configuration;
}

}  // namespace bop::raft

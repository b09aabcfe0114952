#include "raft/configuration.h"

#include <gtest/gtest.h>

namespace bop::raft {
namespace {

std::vector<uint8_t> bytes_of(const Configuration& configuration) {
  const mem::Buffer buffer = encode_configuration(configuration);
  return {buffer.data(), buffer.data() + buffer.size()};
}

bop_status error_of(const std::vector<uint8_t>& bytes) {
  const auto decoded = decode_configuration(bytes);
  return decoded ? BOP_OK : decoded.error().code;
}

const Configuration example{.voters = {1, 2, 3}, .learners = {7, 9}};

// Node 3 is demoted, 4 leaves, 5 joins.
const Configuration joint{
    .voters = {1, 2, 5}, .learners = {3, 7}, .outgoing = {1, 2, 3, 4}, .auto_leave = true};

TEST(ConfigurationCodec, what_is_written_is_read_back) {
  EXPECT_EQ(decode_configuration(bytes_of(example)).value(), example);
  EXPECT_EQ(decode_configuration(bytes_of(joint)).value(), joint);
  Configuration asked_for = joint;
  asked_for.auto_leave = false;
  EXPECT_EQ(decode_configuration(bytes_of(asked_for)).value(), asked_for);
  EXPECT_EQ(decode_configuration(bytes_of({{5}, {}})).value(), (Configuration{{5}, {}}));
}

TEST(ConfigurationCodec, its_bytes_are_those_of_the_table) {
  const std::vector<uint8_t> expected = {
      2, 0, 2, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0,  // version, flags, members, lease, recovery epoch
      0, 0, 0, 0, 0, 0, 0, 0,  // quorum sizes
      4, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0,  // a learner: id, incarnation,
      4, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0,  // roles, priority, replaces
      2, 1, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0,  // a voter
      1, 1, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(bytes_of({{0x102}, {4}}), expected);
}

TEST(ConfigurationCodec, a_joint_configuration_has_the_roles_of_both_halves) {
  const std::vector<uint8_t> bytes = bytes_of(joint);
  ASSERT_EQ(bytes.size(), 24u + 6 * 32);
  EXPECT_EQ(bytes[1], 1);
  const uint8_t roles[] = {3, 3, 2 | 4, 2, 1, 4};
  const uint8_t priorities[] = {1, 1, 1, 1, 1, 0};
  for (size_t i = 0; i < std::size(roles); ++i) {
    EXPECT_EQ(bytes[24 + 32 * i + 16], roles[i]) << i;
    EXPECT_EQ(bytes[24 + 32 * i + 17], priorities[i]) << i;
  }
}

TEST(ConfigurationCodec, every_cut_and_every_extension_is_refused) {
  std::vector<uint8_t> bytes = bytes_of(example);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(error_of({bytes.begin(), bytes.begin() + static_cast<long>(size)}), BOP_E_PROTOCOL);
  bytes.push_back(0);
  EXPECT_EQ(error_of(bytes), BOP_E_PROTOCOL);
}

TEST(ConfigurationCodec, another_version_is_refused_by_name) {
  std::vector<uint8_t> bytes = bytes_of(example);
  bytes[0] = 3;
  EXPECT_EQ(error_of(bytes), BOP_E_NEWER_FORMAT);
  bytes[0] = 1;
  EXPECT_EQ(error_of(bytes), BOP_E_OLDER_FORMAT);
}

TEST(ConfigurationCodec, what_a_later_version_means_by_a_field_is_refused_by_name) {
  const size_t member = 24;
  const struct {
    size_t at;
    uint8_t byte;
    const char* what;
  } changes[] = {{1, 2, "flags"},
                 {4, 1, "a lease"},
                 {8, 1, "a recovery epoch"},
                 {16, 2, "quorum sizes"},
                 {19, 2, "quorum sizes"},
                 {20, 1, "flags"},
                 {member + 8, 1, "incarnations"},
                 {member + 16, 5, "roles"},
                 {member + 16, 8, "roles"},
                 {member + 16, 0, "roles"},
                 {member + 16, 17, "roles"},
                 {member + 17, 0, "priorities"},
                 {member + 17, 2, "priorities"},
                 {member + 18, 1, "another form"},
                 {member + 24, 9, "replaces"}};
  for (const auto& change : changes) {
    std::vector<uint8_t> bytes = bytes_of(example);
    bytes[change.at] = change.byte;
    const auto decoded = decode_configuration(bytes);
    ASSERT_FALSE(decoded) << change.at;
    EXPECT_EQ(decoded.error().code, BOP_E_NEWER_FORMAT) << change.at;
    EXPECT_NE(decoded.error().detail.find(change.what), std::string::npos)
        << decoded.error().detail;
  }
}

TEST(ConfigurationCodec, members_are_in_ascending_order_and_none_is_there_twice) {
  std::vector<uint8_t> bytes = bytes_of(example);
  std::swap(bytes[24], bytes[24 + 32]);
  EXPECT_EQ(error_of(bytes), BOP_E_BAD_CONFIG);
  bytes = bytes_of(example);
  bytes[24 + 32] = bytes[24];
  EXPECT_EQ(error_of(bytes), BOP_E_BAD_CONFIG);
}

TEST(ConfigurationCheck, names_what_is_wrong) {
  EXPECT_TRUE(check_configuration(example).has_value());
  EXPECT_EQ(check_configuration({{}, {1}}).error().detail, "a group needs a voter");
  EXPECT_EQ(check_configuration({{0, 1}, {}}).error().detail, "voters: 0 is not a node id");
  EXPECT_EQ(check_configuration({{2, 2}, {}}).error().detail,
            "voters: node 2 is not in ascending order");
  EXPECT_EQ(check_configuration({{1, 2}, {2}}).error().detail, "node 2 is both voter and learner");
  EXPECT_TRUE(check_configuration(joint).has_value());
  EXPECT_EQ(check_configuration({{1}, {}, {2, 2}}).error().detail,
            "voters before: node 2 is not in ascending order");
  EXPECT_EQ(check_configuration({{1}, {}, {}, true}).error().detail,
            "there is no joint configuration to leave");
  Configuration large;
  for (NodeId id = 1; id <= max_voters + 1; ++id) large.voters.push_back(id);
  EXPECT_EQ(check_configuration(large).error().detail, "more than 31 voters");
  EXPECT_EQ(check_configuration({{1}, {}, large.voters}).error().detail,
            "more than 31 voters before");
}

}  // namespace
}  // namespace bop::raft

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

TEST(ConfigurationCodec, what_is_written_is_read_back) {
  EXPECT_EQ(decode_configuration(bytes_of(example)).value(), example);
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
  } changes[] = {{1, 1, "flags"},
                 {4, 1, "a lease"},
                 {8, 1, "a recovery epoch"},
                 {16, 2, "quorum sizes"},
                 {19, 2, "quorum sizes"},
                 {20, 1, "flags"},
                 {member + 8, 1, "incarnations"},
                 {member + 16, 3, "roles"},
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
  Configuration large;
  for (NodeId id = 1; id <= max_voters + 1; ++id) large.voters.push_back(id);
  EXPECT_EQ(check_configuration(large).error().detail, "more than 31 voters");
}

}  // namespace
}  // namespace bop::raft

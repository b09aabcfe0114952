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
  const std::vector<uint8_t> expected = {1, 0, 1, 0, 1, 0,         // version, flags, counts
                                         4, 0, 0, 0, 0, 0, 0, 0,   // voter
                                         2, 1, 0, 0, 0, 0, 0, 0};  // learner
  EXPECT_EQ(bytes_of({{4}, {0x102}}), expected);
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
  bytes[0] = 2;
  EXPECT_EQ(error_of(bytes), BOP_E_NEWER_FORMAT);
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

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "bop/config.h"

namespace {

class CConfiguration : public testing::Test {
 protected:
  CConfiguration() { EXPECT_EQ(bop_config_create(&config_), BOP_OK); }
  ~CConfiguration() override { bop_config_destroy(config_); }

  bop_config* config_ = nullptr;
  char error_[256] = "";
};

TEST_F(CConfiguration, tells_each_key_with_value_and_origin) {
  const std::string text = "node_id = 3\nlisten.http = \"127.0.0.1:80\"\n";
  ASSERT_EQ(bop_config_load_text(config_, text.data(), text.size(), "f", error_, sizeof error_), 0);
  bop_config_item item{};
  item.size = sizeof item;
  ASSERT_EQ(bop_config_get(config_, "listen.http", &item), BOP_OK);
  EXPECT_EQ(item.origin, BOP_CONFIG_FILE);
  EXPECT_STREQ(item.key, "listen.http");
  EXPECT_STREQ(item.value, "\"127.0.0.1:80\"");
  EXPECT_STREQ(item.text, "127.0.0.1:80");
  EXPECT_STREQ(item.source, "f:2");
  ASSERT_EQ(bop_config_get(config_, "node_id", &item), BOP_OK);
  EXPECT_STREQ(item.text, "3");
  EXPECT_EQ(bop_config_get(config_, "nothing", &item), BOP_E_NOT_FOUND);
}

TEST_F(CConfiguration, lists_all_keys_to_the_end) {
  bop_config_item item{};
  item.size = sizeof item;
  size_t count = 0;
  std::vector<const char*> values;
  while (bop_config_at(config_, count, &item) == BOP_OK) {
    values.push_back(item.value);
    EXPECT_EQ(item.origin, BOP_CONFIG_DEFAULT);
    ++count;
  }
  EXPECT_GT(count, 20u);
  // Reading on did not move what was read before.
  ASSERT_EQ(bop_config_at(config_, 0, &item), BOP_OK);
  EXPECT_EQ(item.value, values[0]);
}

TEST_F(CConfiguration, writes_no_byte_past_the_size_its_caller_knows) {
  bop_config_item item;
  std::memset(&item, 0x5a, sizeof item);
  item.size = offsetof(bop_config_item, value);
  ASSERT_EQ(bop_config_at(config_, 0, &item), BOP_OK);
  EXPECT_STREQ(item.key, "data_directory");
  const char* untouched;
  std::memset(&untouched, 0x5a, sizeof untouched);
  EXPECT_EQ(item.value, untouched);
  EXPECT_EQ(item.text, untouched);
}

TEST_F(CConfiguration, cuts_error_texts_to_fit) {
  char small[8];
  EXPECT_EQ(bop_config_set(config_, "shards", "zero", small, sizeof small), BOP_E_BAD_CONFIG);
  EXPECT_STREQ(small, "flag: s");
  EXPECT_EQ(bop_config_set(config_, "shards", "zero", nullptr, 0), BOP_E_BAD_CONFIG);
}

TEST_F(CConfiguration, is_checked_as_a_whole) {
  EXPECT_EQ(bop_config_check(config_, error_, sizeof error_), BOP_E_BAD_CONFIG);
  EXPECT_STREQ(error_, "data_directory: must be set");
}

TEST_F(CConfiguration, is_written_when_there_is_room) {
  ASSERT_EQ(bop_config_set(config_, "log.direct", "false", nullptr, 0), BOP_OK);
  size_t size = 0;
  EXPECT_EQ(bop_config_write(config_, nullptr, 0, &size), BOP_OK);
  const std::string expected = "\n[log]\ndirect = false\n";
  EXPECT_EQ(size, expected.size());
  std::string text(size, 'x');
  EXPECT_EQ(bop_config_write(config_, text.data(), text.size(), &size), BOP_E_TOO_LARGE);
  text.resize(size + 1);
  EXPECT_EQ(bop_config_write(config_, text.data(), text.size(), &size), BOP_OK);
  EXPECT_EQ(text.c_str(), expected);
}

TEST(CConfigurationArguments, that_are_missing_are_refused) {
  EXPECT_EQ(bop_config_create(nullptr), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_config_check(nullptr, nullptr, 0), BOP_E_INVALID_ARGUMENT);
  bop_config_destroy(nullptr);
}

}  // namespace

// A node within this process, by the C interface alone.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "bop/bop.h"
#include "bop/config.h"
#include "bop/kv.h"
#include "bop/node.h"

namespace {

class ANode : public testing::Test {
 protected:
  ANode() {
    std::string name = (std::filesystem::temp_directory_path() / "bop-node-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    EXPECT_EQ(bop_config_create(&config_), BOP_OK);
    EXPECT_EQ(bop_queue_create(0, &queue_), BOP_OK);
    set("cluster_id", "0123456789abcdef0123456789abcdef");
    set("node_id", "1");
    set("data_directory", directory_ + "/1");
    for (const char* listener : {"listen.peer", "listen.native", "listen.resp", "listen.http"}) {
      set(listener, "");
    }
    set("log.segment_bytes", "4194304");
    char error[512] = "";
    EXPECT_EQ(bop_node_format(config_, error, sizeof error), BOP_OK) << error;
  }
  ~ANode() override {
    bop_queue_destroy(queue_);
    bop_config_destroy(config_);
    std::filesystem::remove_all(directory_);
  }

  void set(const char* key, const std::string& value) {
    char error[512] = "";
    EXPECT_EQ(bop_config_set(config_, key, value.c_str(), error, sizeof error), BOP_OK) << error;
  }
  bop_node* start() {
    char error[1024] = "";
    bop_node_options options{};
    options.size = sizeof options;
    options.queue = queue_;
    bop_node* node = nullptr;
    EXPECT_EQ(bop_node_start(config_, &options, &node, error, sizeof error), BOP_OK) << error;
    return node;
  }
  bop_completion put(bop_node* node) {
    static const uint8_t command[] = {
        BOP_KV_VERSION, 0, 1, 0, BOP_KV_PUT, 0, 1, 0, 1, 0, 0, 0, 'k', 'v'};
    bop_request request{};
    request.size = sizeof request;
    request.timeout_ms = 30'000;
    request.payload = {command, sizeof command};
    EXPECT_EQ(bop_node_propose(node, &request), BOP_OK);
    bop_completion completion{};
    while (bop_queue_drain(queue_, &completion, 1) == 0) bop_queue_wait(queue_, -1);
    return completion;
  }

  std::string directory_;
  bop_config* config_ = nullptr;
  bop_queue* queue_ = nullptr;
};

// Some milliseconds after a write the log seals what it wrote: the moments around it are all tried.
TEST_F(ANode, can_be_stopped_at_any_moment_after_a_write) {
  using Clock = std::chrono::steady_clock;
  for (auto wait = std::chrono::microseconds(0); wait < std::chrono::milliseconds(8);
       wait += std::chrono::microseconds(200)) {
    bop_node* node = start();
    ASSERT_NE(node, nullptr);
    ASSERT_EQ(put(node).status, BOP_OK);
    for (const auto moment = Clock::now() + wait; Clock::now() < moment;) {
    }
    bop_node_stop(node, 0);
  }
}

}  // namespace

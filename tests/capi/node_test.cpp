// A node within this process, by the C interface alone.
#include "bop/node.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "bop/bop.h"
#include "bop/config.h"
#include "bop/kv.h"
#include "sum_machine.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto long_enough = 60s;

// A completion whose bytes are its own.
struct Done {
  uint64_t tag = 0;
  int32_t status = BOP_E_INTERNAL;
  uint64_t index = 0;
  uint64_t leader = 0;
  std::string body;
  std::string detail;
};
Done keep(const bop_completion& of) {
  return {of.tag,
          of.status,
          of.index,
          of.leader,
          std::string(reinterpret_cast<const char*>(of.body.data), of.body.size),
          of.detail};
}

bop_request request(const char* group, std::string_view payload, uint64_t tag = 0) {
  bop_request request{};
  request.size = sizeof request;
  request.timeout_ms = 30'000;
  request.group_name = group;
  request.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  request.tag = tag;
  return request;
}

constexpr std::string_view put_k_v("\1\0\1\0\1\0\1\0\1\0\0\0kv", 14);
static_assert(put_k_v[0] == BOP_KV_VERSION && put_k_v[4] == BOP_KV_PUT);
constexpr std::string_view get_k("\1\1\0\0\1\0\1\0k", 9);
static_assert(get_k[0] == BOP_KV_VERSION && get_k[1] == BOP_KV_GET);

class ANode : public testing::Test {
 protected:
  ANode() {
    std::string name = (std::filesystem::temp_directory_path() / "bop-node-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    EXPECT_EQ(bop_config_create(&config_), BOP_OK);
    EXPECT_EQ(bop_queue_create(0, &queue_), BOP_OK);
    options_.size = sizeof options_;
    options_.queue = queue_;
    set("cluster_id", "0123456789abcdef0123456789abcdef");
    set("node_id", "1");
    set("data_directory", directory_ + "/1");
    for (const char* listener : {"listen.peer", "listen.native", "listen.resp", "listen.http"}) {
      set(listener, "");
    }
    set("log.segment_bytes", "4194304");
  }
  ~ANode() override {
    stop();
    bop_queue_destroy(queue_);
    bop_config_destroy(config_);
    std::filesystem::remove_all(directory_);
  }

  void set(const char* key, const std::string& value) {
    char error[512] = "";
    EXPECT_EQ(bop_config_set(config_, key, value.c_str(), error, sizeof error), BOP_OK) << error;
  }
  void format() {
    char error[512] = "";
    EXPECT_EQ(bop_node_format(config_, error, sizeof error), BOP_OK) << error;
  }
  void start() {
    char error[1024] = "";
    ASSERT_EQ(bop_node_start(config_, &options_, &node_, error, sizeof error), BOP_OK) << error;
  }
  void stop() {
    bop_node_stop(node_, 0);
    node_ = nullptr;
  }
  // Tries to start a node, which must fail; the words it said.
  std::string refused(int32_t status) {
    char error[1024] = "";
    bop_node* none = nullptr;
    EXPECT_EQ(bop_node_start(config_, &options_, &none, error, sizeof error), status) << error;
    EXPECT_EQ(none, nullptr);
    bop_node_stop(none, 0);
    return error;
  }

  Done wait() {
    bop_completion completion{};
    while (bop_queue_drain(queue_, &completion, 1) == 0) {
      if (bop_queue_wait(queue_, 60'000) == BOP_OK) continue;
      ADD_FAILURE() << "no completion came";
      return {};
    }
    return keep(completion);
  }
  Done propose(const bop_request& asked) {
    EXPECT_EQ(bop_node_propose(node_, &asked), BOP_OK);
    return wait();
  }
  Done query(const bop_request& asked) {
    EXPECT_EQ(bop_node_query(node_, &asked), BOP_OK);
    return wait();
  }
  std::string status() {
    EXPECT_EQ(bop_node_status(node_, 0), BOP_OK);
    return wait().body;
  }
  bool becomes_ready() {
    const auto latest = Clock::now() + long_enough;
    while (bop_node_ready(node_) == 0 && Clock::now() < latest) std::this_thread::yield();
    return bop_node_ready(node_) == 1;
  }

  std::string directory_;
  bop_config* config_ = nullptr;
  bop_queue* queue_ = nullptr;
  bop_node_options options_{};
  bop_node* node_ = nullptr;
};

// Some milliseconds after a write the log seals what it wrote: the moments around it are all tried.
// A debugger shows the names. A signal of the host must run on a thread of the host.
bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
  return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
  return false;
#endif
}

// ThreadSanitizer runs a thread of its own, with the name of the process.
bool has_a_thread_of_the_sanitizer() {
#if defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
  return __has_feature(thread_sanitizer);
#else
  return false;
#endif
}

TEST_F(ANode, starts_threads_with_names_that_block_the_signals_of_its_host) {
  set("shards", "2");
  format();
  start();
  std::set<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(getpid()))
      continue;  // the main thread is the host's
    std::ifstream status(task.path() / "status");
    std::string name;
    uint64_t blocked = 0;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:\t")) name = line.substr(6);
      if (line.starts_with("SigBlk:\t")) blocked = std::stoull(line.substr(8), nullptr, 16);
    }
    if (name.starts_with("iou-")) continue;  // the kernel's
    if (has_a_thread_of_the_sanitizer() && !name.starts_with("bop-")) continue;
    EXPECT_TRUE(name.starts_with("bop-")) << name;
    EXPECT_TRUE((blocked >> (SIGTERM - 1) & 1) != 0) << name;
    names.insert(name);
  }
  EXPECT_TRUE(names.contains("bop-shard-0") && names.contains("bop-shard-1"));
}

size_t count_entries(const char* directory) {
  const std::filesystem::directory_iterator entries(directory);
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// Starts a node under each limit in turn until one suffices. Each start before must fail with a message that contains
// `text`, and leave no thread, file or lock behind. The exit code for a child process; 0: all is well.
int start_under(const bop_config* config, const bop_node_options* options,
                __rlimit_resource resource, rlim_t first, rlim_t step, const char* text) {
  const size_t files = count_entries("/proc/self/fd");
  for (int attempt = 0; attempt < 100; ++attempt) {
    rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_cur = first + static_cast<rlim_t>(attempt) * step;
    if (setrlimit(resource, &limit) != 0) return 2;
    char error[1024] = "";
    bop_node* node = nullptr;
    const int32_t status = bop_node_start(config, options, &node, error, sizeof error);
    if (status == BOP_OK) {
      bop_node_stop(node, 0);
      return attempt == 0 ? 3 : 0;  // the first limit was to be too low
    }
    if (std::strstr(error, text) == nullptr) {
      std::fprintf(stderr, "limit %llu: %s: %s\n", static_cast<unsigned long long>(limit.rlim_cur),
                   bop_error_name(status), error);
      return 4;
    }
    for (const auto latest = Clock::now() + long_enough; count_entries("/proc/self/task") > 1;)
      if (Clock::now() > latest) return 5;  // the system removes threads some time after their end
    if (count_entries("/proc/self/fd") != files) {
      for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        std::fprintf(stderr, "%s -> %s\n", entry.path().c_str(),
                     std::filesystem::read_symlink(entry.path(), gone).c_str());
      }
      std::fprintf(stderr, "limit %llu: %s\n", static_cast<unsigned long long>(limit.rlim_cur),
                   error);
      return 6;
    }
  }
  return 7;
}

int exit_code_of(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WEXITSTATUS(status);
}

TEST_F(ANode, that_may_not_have_its_threads_fails_to_start_with_the_name_of_the_limit) {
  if (has_a_thread_of_the_sanitizer()) GTEST_SKIP() << "the sanitizer's thread counts, too";
  set("listen.native", "127.0.0.1:0");
  set("shards", "2");
  set("io.backend", "pool");
  format();
  EXPECT_EQ(exit_code_of([&] {
              // The superuser has no such limit. No other process has this user.
              const uid_t user = 100000 + static_cast<uid_t>(getpid());
              if (getuid() == 0) {
                for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_))
                  if (chown(entry.path().c_str(), user, user) != 0) return 8;
                if (chown(directory_.c_str(), user, user) != 0 || setuid(user) != 0) return 9;
              }
              return start_under(config_, &options_, RLIMIT_NPROC, 1, 1, "ulimit -u");
            }),
            0);
}

TEST_F(ANode, that_may_not_have_its_address_space_fails_to_start_with_the_name_of_the_limit) {
  if (is_sanitized()) GTEST_SKIP() << "sanitizers need the address space that this test takes away";
  set("listen.native", "127.0.0.1:0");
  format();
  EXPECT_EQ(exit_code_of([&] {
              std::ifstream statm("/proc/self/statm");
              rlim_t pages = 0;
              statm >> pages;
              return start_under(config_, &options_, RLIMIT_AS, pages * 4096 + (1u << 20), 4u << 20,
                                 "ulimit -v");
            }),
            0);
}

TEST_F(ANode, can_be_stopped_at_any_moment_after_a_write) {
  format();
  for (auto wait = 0us; wait < 8ms; wait += 200us) {
    start();
    ASSERT_NE(node_, nullptr);
    ASSERT_EQ(propose(request("kv", put_k_v)).status, BOP_OK);
    for (const auto moment = Clock::now() + wait; Clock::now() < moment;) {
    }
    stop();
  }
}

TEST_F(ANode, answers_proposals_questions_and_for_its_status_with_the_tags_that_were_given) {
  format();
  start();
  ASSERT_NE(node_, nullptr);
  ASSERT_TRUE(becomes_ready());
  const Done written = propose(request(nullptr, put_k_v, 11));
  EXPECT_EQ(written.status, BOP_OK);
  EXPECT_EQ(written.tag, 11u);
  EXPECT_GT(written.index, 0u);
  EXPECT_EQ(written.leader, 1u);
  const Done read = query(request("kv", get_k, 12));
  EXPECT_EQ(read.status, BOP_OK);
  EXPECT_EQ(read.tag, 12u);
  EXPECT_EQ(read.body.back(), 'v');
  EXPECT_EQ(bop_node_status(node_, 13), BOP_OK);
  const Done told = wait();
  EXPECT_EQ(told.tag, 13u);
  for (const char* part : {"\"cluster_id\":\"0123456789abcdef0123456789abcdef\"",
                           "\"role\":\"leader\"", "\"name\":\"kv\"", "\"health\":\"ok\""}) {
    EXPECT_NE(told.body.find(part), std::string::npos) << part << " in " << told.body;
  }
  EXPECT_EQ(bop_node_address(node_, "native"), nullptr) << "it does not listen";
}

TEST_F(ANode, refuses_what_its_machine_does_not_take_in_words_and_its_log_stays_as_it_was) {
  format();
  start();
  ASSERT_NE(node_, nullptr);
  ASSERT_TRUE(becomes_ready());
  const Done before = propose(request("kv", put_k_v));
  const Done refused = propose(request("kv", "garbage"));
  EXPECT_EQ(refused.status, BOP_E_PROTOCOL);
  EXPECT_EQ(refused.detail, "the machine kv refused this command");
  const Done unanswered = query(request("kv", "garbage"));
  EXPECT_EQ(unanswered.status, BOP_E_PROTOCOL);
  EXPECT_EQ(unanswered.detail, "the machine kv refused this query");
  EXPECT_EQ(propose(request("kv", put_k_v)).index, before.index + 1);
}

TEST_F(ANode, knows_its_groups_by_name_and_no_others) {
  set("groups", "[{name = \"one\", id = 5}, {name = \"two\", id = 3}]");
  format();
  start();
  ASSERT_NE(node_, nullptr);
  uint64_t group = 0;
  EXPECT_EQ(bop_node_group(node_, "one", &group), BOP_OK);
  EXPECT_EQ(group, 5u);
  EXPECT_EQ(bop_node_group(node_, "two", &group), BOP_OK);
  EXPECT_EQ(group, 3u);
  EXPECT_EQ(bop_node_group(node_, "kv", &group), BOP_E_NO_GROUP);
  EXPECT_EQ(group, 3u) << "an error changes nothing";
  // They are two: what one has, the other has not.
  EXPECT_EQ(propose(request("one", put_k_v)).status, BOP_OK);
  bop_request by_id = request(nullptr, get_k);
  by_id.group = 5;
  EXPECT_EQ(query(by_id).body.back(), 'v');
  EXPECT_NE(query(request("two", get_k)).body.back(), 'v');
  for (bop_request stray : {request(nullptr, get_k), request("three", get_k)}) {
    EXPECT_EQ(bop_node_query(node_, &stray), BOP_E_NO_GROUP);
    EXPECT_EQ(bop_node_propose(node_, &stray), BOP_E_NO_GROUP);
  }
  by_id.group = 4;
  EXPECT_EQ(bop_node_query(node_, &by_id), BOP_E_NO_GROUP);
}

TEST_F(ANode, is_not_ready_without_a_majority_and_completes_what_waits_when_it_is_stopped) {
  set("peers",
      "[{id = 1, address = \"127.0.0.1:1\"}, {id = 2, address = \"127.0.0.1:2\"}, "
      "{id = 3, address = \"127.0.0.1:3\"}]");
  set("listen.peer", "127.0.0.1:0");
  format();
  start();
  ASSERT_NE(node_, nullptr);
  const bop_request write = request("kv", put_k_v, 21), read = request("kv", get_k, 22);
  EXPECT_EQ(bop_node_propose(node_, &write), BOP_OK);
  EXPECT_EQ(bop_node_query(node_, &read), BOP_OK);
  for (int i = 0; i < 100; ++i) {
    EXPECT_NE(status().find("\"leader\":null"), std::string::npos);
    EXPECT_EQ(bop_node_ready(node_), 0);
  }
  bop_node_stop(std::exchange(node_, nullptr), 100);
  std::map<uint64_t, int32_t> ends;
  for (int i = 0; i < 2; ++i) {
    const Done done = wait();
    ends[done.tag] = done.status;
  }
  EXPECT_EQ(ends[21], BOP_E_STOPPED) << "it waited for a leader: nobody proposed it";
  EXPECT_EQ(ends[22], BOP_E_STOPPED);
}

TEST_F(ANode, refuses_calls_that_its_queue_or_a_limit_has_no_room_for) {
  bop_queue_destroy(queue_);
  ASSERT_EQ(bop_queue_create(2, &queue_), BOP_OK);
  options_.queue = queue_;
  format();
  start();
  ASSERT_NE(node_, nullptr);
  bop_request huge = request("kv", put_k_v);
  huge.payload.size = (4u << 20) + 1;
  EXPECT_EQ(bop_node_propose(node_, &huge), BOP_E_TOO_LARGE);
  bop_request nowhere = request("kv", put_k_v);
  nowhere.payload.data = nullptr;
  EXPECT_EQ(bop_node_propose(node_, &nowhere), BOP_E_INVALID_ARGUMENT);
  // An error takes no place; a call has one until its completion is drained.
  const bop_request write = request("kv", put_k_v), read = request("kv", get_k);
  EXPECT_EQ(bop_node_propose(node_, &write), BOP_OK);
  EXPECT_EQ(bop_node_query(node_, &read), BOP_OK);
  EXPECT_EQ(bop_node_propose(node_, &write), BOP_E_OVERLOADED);
  EXPECT_EQ(bop_node_status(node_, 0), BOP_E_OVERLOADED);
  EXPECT_EQ(wait().status, BOP_OK);
  EXPECT_EQ(bop_node_status(node_, 0), BOP_OK);
  EXPECT_EQ(bop_node_status(node_, 0), BOP_E_OVERLOADED);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(wait().status, BOP_OK);
}

// ---- a callback in the queue's place ----

// Proposes the next one from within the callback of the one before.
struct Chain {
  static constexpr uint64_t links = 100;
  bop_node* node = nullptr;
  std::thread::id thread;
  std::promise<Done> last;

  static void on_done(void* context, const bop_completion* completion) {
    auto& chain = *static_cast<Chain*>(context);
    chain.thread = std::this_thread::get_id();
    const bop_request next = request("kv", put_k_v, completion->tag + 1);
    const bool ends = completion->status != BOP_OK || completion->tag == links;
    if (ends || bop_node_propose(chain.node, &next) != BOP_OK)
      chain.last.set_value(keep(*completion));
  }
};

TEST_F(ANode, calls_back_on_its_own_thread_and_takes_further_calls_there) {
  Chain chain;
  options_.queue = nullptr;
  options_.callback = Chain::on_done;
  options_.context = &chain;
  format();
  start();
  ASSERT_NE(node_, nullptr);
  chain.node = node_;
  const bop_request first = request("kv", put_k_v, 1);
  EXPECT_EQ(bop_node_propose(node_, &first), BOP_OK);
  std::future<Done> last = chain.last.get_future();
  ASSERT_EQ(last.wait_for(long_enough), std::future_status::ready);
  const Done done = last.get();
  EXPECT_EQ(done.status, BOP_OK);
  EXPECT_EQ(done.tag, Chain::links);
  EXPECT_NE(chain.thread, std::this_thread::get_id());
}

// ---- a machine of the caller's ----

class ANodeWithAMachineOfItsCaller : public ANode {
 protected:
  ANodeWithAMachineOfItsCaller() {
    options_.machines = tables_;
    options_.machine_count = 1;
    set("groups", "[{name = \"kv\", id = 1}, {name = \"sum\", id = 7, machine = \"sum\"}]");
    format();
  }

  SumMachine sum_;
  const bop_machine_table* tables_[2] = {&sum_, nullptr};
};

TEST_F(ANodeWithAMachineOfItsCaller, runs_it_beside_the_built_in_ones_and_replays_the_log_into_it) {
  start();
  ASSERT_NE(node_, nullptr);
  const Done first = propose(request("sum", "5"));
  EXPECT_EQ(first.status, BOP_OK);
  EXPECT_EQ(first.body, "5");
  const Done second = propose(request("sum", "-12"));
  EXPECT_EQ(second.body, "-7");
  EXPECT_GT(second.index, first.index);
  EXPECT_EQ(propose(request("sum", "five")).status, BOP_E_WRONG_TYPE) << "the machine's own answer";
  EXPECT_EQ(query(request("sum", "")).body, "-7");
  EXPECT_EQ(propose(request("kv", put_k_v)).status, BOP_OK);
  EXPECT_GE(sum_.pending, 4) << "all of these completed by token";
  stop();
  EXPECT_EQ(sum_.open_now, 0);
  start();
  ASSERT_NE(node_, nullptr);
  EXPECT_EQ(query(request("sum", "")).body, "-7");
  EXPECT_EQ(sum_.opened, 2);
}

// Sends a request of any protocol to HOST:PORT and returns what comes until the server closes.
std::string talk(std::string_view address, const std::string& request) {
  const size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(std::string(address.substr(colon + 1)))));
  inet_pton(AF_INET, std::string(address.substr(0, colon)).c_str(), &to.sin_addr);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 60, .tv_usec = 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  EXPECT_EQ(send(client, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string got;
  char piece[4096];
  for (ssize_t size; (size = recv(client, piece, sizeof piece, 0)) > 0;) {
    got.append(piece, static_cast<size_t>(size));
  }
  close(client);
  return got;
}

std::string http_request(const std::string& method_and_target, const std::string& body) {
  return method_and_target +
         " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(ANodeWithAMachineOfItsCaller, is_served_raw_over_http_and_spared_the_commands_of_kv) {
  set("groups", "[{name = \"sum\", id = 7, machine = \"sum\"}]");
  set("listen.http", "127.0.0.1:0");
  set("listen.resp", "127.0.0.1:0");
  set("data_directory", directory_ + "/http");
  format();
  start();
  ASSERT_NE(node_, nullptr);
  ASSERT_EQ(propose(request("sum", "5")).status, BOP_OK);
  const std::string address = bop_node_address(node_, "http");

  const std::string added = talk(address, http_request("POST /v1/groups/sum/propose", "7"));
  EXPECT_TRUE(added.starts_with("HTTP/1.1 200 OK\r\n")) << added;
  EXPECT_TRUE(added.ends_with("\r\n\r\n12")) << added;
  EXPECT_NE(added.find("\r\nX-Bop-Outcome: executed\r\n"), std::string::npos) << added;
  EXPECT_NE(added.find("\r\nX-Bop-Index: "), std::string::npos) << added;
  EXPECT_TRUE(talk(address, http_request("POST /v1/groups/sum/query", "")).ends_with("\r\n\r\n12"));

  const std::string refused = talk(address, http_request("POST /v1/groups/sum/propose", "five"));
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 400 ")) << refused;
  EXPECT_NE(refused.find("BOP_E_WRONG_TYPE"), std::string::npos) << refused;
  EXPECT_NE(refused.find("\r\nX-Bop-Outcome: executed\r\n"), std::string::npos) << refused;

  for (const char* request : {"PUT /v1/kv/1", "GET /v1/kv/1", "DELETE /v1/kv/1", "GET /v1/kv"}) {
    const std::string answer = talk(address, http_request(request, "1"));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 409 Conflict\r\n")) << answer;
    EXPECT_NE(answer.find("group sum runs the machine sum"), std::string::npos) << answer;
  }
  for (const char* command :
       {"SET 1 1", "GET 1", "DEL 1", "INCR 1", "MSET 1 1 2 2", "SCAN 0", "DBSIZE"}) {
    const std::string reply =
        talk(bop_node_address(node_, "resp"), std::string(command) + "\r\nQUIT\r\n");
    EXPECT_EQ(reply, "-ERR group sum runs the machine sum, these are commands of kv\r\n+OK\r\n")
        << command;
  }
  EXPECT_EQ(query(request("sum", "")).body, "12") << "a command of kv reached it";
}

// Whichever shard the connections go to.
TEST_F(ANodeWithAMachineOfItsCaller,
       is_not_ready_and_says_so_while_the_thread_of_a_shard_is_stuck) {
  set("shards", "2");
  set("groups",
      "[{name = \"kv\", id = 1}, {name = \"sum\", id = 7, machine = \"sum\", shard = 1}]");
  set("listen.http", "127.0.0.1:0");
  set("data_directory", directory_ + "/stuck");
  format();
  start();
  ASSERT_NE(node_, nullptr);
  ASSERT_EQ(propose(request("sum", "5")).status, BOP_OK);
  ASSERT_TRUE(becomes_ready());
  const std::string address = bop_node_address(node_, "http");
  EXPECT_TRUE(talk(address, http_request("GET /readyz", "")).starts_with("HTTP/1.1 200 "));

  sum_.stuck = true;
  const bop_request command = request("sum", "7");
  ASSERT_EQ(bop_node_propose(node_, &command), BOP_OK);
  const auto latest = Clock::now() + long_enough;
  while (!sum_.is_stuck && Clock::now() < latest) std::this_thread::sleep_for(1ms);
  const std::string why =
      "shard_stalled: shard 1: its thread does not run; the group sum is not served";
  for (int i = 0; i < 4; ++i) {
    const std::string answer = talk(address, http_request("GET /readyz", ""));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
    EXPECT_NE(answer.find(why), std::string::npos) << answer;
  }
  const std::string shown = status();
  EXPECT_NE(shown.find("\"ready\":false"), std::string::npos) << shown;
  EXPECT_NE(shown.find("shard_stalled"), std::string::npos) << shown;
  while (bop_node_ready(node_) == 1 && Clock::now() < latest) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(bop_node_ready(node_), 0);

  sum_.stuck = false;
  EXPECT_EQ(wait().body, "12");
  EXPECT_TRUE(becomes_ready());
}

TEST_F(ANodeWithAMachineOfItsCaller, halts_its_group_alone_when_it_breaks) {
  start();
  ASSERT_NE(node_, nullptr);
  ASSERT_EQ(propose(request("sum", "5")).status, BOP_OK);
  sum_.broken = true;
  EXPECT_EQ(propose(request("sum", "6")).status, BOP_E_OUTCOME_UNKNOWN);
  EXPECT_EQ(query(request("sum", "")).status, BOP_E_MACHINE);
  EXPECT_EQ(propose(request("sum", "7")).status, BOP_E_MACHINE);
  EXPECT_EQ(propose(request("kv", put_k_v)).status, BOP_OK);
  stop();
  // It was in the log, so it happens when the machine is mended; what was refused does not.
  sum_.broken = false;
  start();
  ASSERT_NE(node_, nullptr);
  EXPECT_EQ(query(request("sum", "")).body, "11");
}

TEST_F(ANodeWithAMachineOfItsCaller,
       does_not_start_when_it_is_missing_incomplete_or_does_not_open) {
  options_.machine_count = 0;
  EXPECT_NE(
      refused(BOP_E_BAD_CONFIG).find("group sum: unknown machine \"sum\"; this program has: kv"),
      std::string::npos);
  options_.machine_count = 1;
  sum_.state_hash = nullptr;
  EXPECT_NE(refused(BOP_E_INVALID_ARGUMENT).find("has no function state_hash"), std::string::npos);
  sum_.state_hash = SumMachine().state_hash;
  sum_.broken = true;
  EXPECT_NE(refused(BOP_E_MACHINE).find("group sum: machine sum: out of order"), std::string::npos);
  sum_.broken = false;
  start();
  ASSERT_NE(node_, nullptr);
  EXPECT_EQ(propose(request("sum", "1")).body, "1") << "none of it changed anything";
}

TEST_F(ANodeWithAMachineOfItsCaller, names_a_table_that_it_cannot_take) {
  SumMachine other_interface, nameless, second_kv;
  other_interface.abi = BOP_MACHINE_ABI + 1;
  nameless.kind = nullptr;
  second_kv.kind = "kv";
  options_.machine_count = 2;
  for (const bop_machine_table* bad : {static_cast<const bop_machine_table*>(nullptr),
                                       static_cast<const bop_machine_table*>(&other_interface),
                                       static_cast<const bop_machine_table*>(&nameless)}) {
    tables_[1] = bad;
    EXPECT_NE(refused(BOP_E_INVALID_ARGUMENT).find("machine 1 has no kind"), std::string::npos);
  }
  tables_[1] = &sum_;
  EXPECT_NE(refused(BOP_E_INVALID_ARGUMENT).find("the machine kind sum appears twice"),
            std::string::npos);
  tables_[1] = &second_kv;
  EXPECT_NE(refused(BOP_E_INVALID_ARGUMENT).find("the machine kind kv appears twice"),
            std::string::npos);
}

// ---- what start refuses ----

TEST_F(ANode, does_not_start_on_a_directory_that_is_not_its_own) {
  EXPECT_NE(refused(BOP_E_NOT_FORMATTED).find(directory_ + "/1"), std::string::npos);
  std::filesystem::create_directory(directory_ + "/1");
  EXPECT_NE(refused(BOP_E_NOT_FORMATTED).find(directory_ + "/1"), std::string::npos);
  format();
  char error[512] = "";
  EXPECT_EQ(bop_node_format(config_, error, sizeof error), BOP_E_ALREADY_FORMATTED);
  set("cluster_id", "00000000000000000000000000000001");
  EXPECT_NE(refused(BOP_E_FOREIGN_DIRECTORY), "");
  set("cluster_id", "0123456789abcdef0123456789abcdef");
  set("node_id", "2");
  EXPECT_NE(refused(BOP_E_FOREIGN_DIRECTORY), "");
  set("node_id", "1");
  start();
  ASSERT_NE(node_, nullptr);
  EXPECT_NE(refused(BOP_E_DIRECTORY_IN_USE).find(directory_ + "/1"), std::string::npos);
  EXPECT_EQ(propose(request("kv", put_k_v)).status, BOP_OK) << "the one that runs goes on";
}

TEST_F(ANode, does_not_start_on_an_address_in_use_and_tells_the_one_that_it_took) {
  set("listen.native", "127.0.0.1:0");
  format();
  start();
  ASSERT_NE(node_, nullptr);
  const std::string taken = bop_node_address(node_, "native");
  EXPECT_EQ(taken.find("127.0.0.1:"), 0u);
  EXPECT_NE(taken, "127.0.0.1:0");
  set("data_directory", directory_ + "/2");
  set("listen.native", taken);
  format();
  EXPECT_NE(refused(BOP_E_ADDRESS_IN_USE).find(taken), std::string::npos);
  stop();
  start();
  ASSERT_NE(node_, nullptr);
  EXPECT_EQ(bop_node_address(node_, "native"), taken);
}

TEST_F(ANode, names_the_key_of_a_configuration_that_is_not_valid) {
  format();
  set("raft.heartbeat_ms", "900");
  EXPECT_NE(refused(BOP_E_BAD_CONFIG).find("raft.heartbeat_ms"), std::string::npos);
}

TEST(ANodeThatIsNone, is_an_invalid_argument) {
  const bop_request asked = request("kv", get_k);
  uint64_t group = 0;
  bop_node* node = nullptr;
  char error[64] = "";
  EXPECT_EQ(bop_node_format(nullptr, error, sizeof error), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_node_start(nullptr, nullptr, &node, error, sizeof error), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_node_propose(nullptr, &asked), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_node_query(nullptr, &asked), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_node_status(nullptr, 0), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_node_group(nullptr, "kv", &group), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_node_ready(nullptr), 0);
  EXPECT_EQ(bop_node_address(nullptr, "native"), nullptr);
  bop_node_stop(nullptr, 0);
}

}  // namespace

// One client with one request in flight, or one per endpoint: used by every command except bench.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bop/client.h"

// Options that all commands share.
struct Globals {
  std::string endpoints = "127.0.0.1:7100";  // HOST:PORT, separated by commas
  std::string group = "kv";
  uint32_t timeout_ms = 5000;  // of one request
  bool has_timeout = false;    // it was given, and is not the default
  bool json = false;           // results and errors as JSON
};

// Exit codes that scripts can rely on.
enum Exit : int { ok = 0, condition = 1, usage = 2, unavailable = 3 };

Exit exit_of(int32_t status);
// On standard error, "bop: TEXT: DETAIL (CODE)" or, with -o json, {"error": {"code": …, "text": …}}.
Exit report(const Globals& globals, int32_t status, std::string_view detail);

uint32_t endpoint_count(const std::string& endpoints);

struct Answer {
  int32_t status = 0;  // BOP_OK, an error of bop, or the machine's own status
  uint64_t index = 0;  // of the log entry; 0: none
  std::string body;
  std::string detail;  // for people; may be empty
};

class Session {
 public:
  explicit Session(const Globals& globals);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Both block until the request completes.
  Answer propose(std::string_view command);
  Answer query(std::string_view question);
  // The same for commands and queries of kv. UNSUPPORTED, and nothing is sent, if the group runs another machine:
  // it could misread kv's bytes.
  Answer propose_kv(std::string_view command);
  Answer query_kv(std::string_view question);
  // The status of each endpoint's node, in the order of the endpoints, which are asked at the same time.
  // `all`: waits for every endpoint. `first`: the list ends with the first endpoint, in order, that answers.
  // `any`: the list is the answer that arrives first.
  enum class Until { all, first, any };
  std::vector<Answer> statuses(uint32_t endpoints, Until until);
  // "take", "list" or "verify", asked of each endpoint's node in the same way. `waiting` is called every second until the
  // last one answers, with the number of those that have not.
  std::vector<Answer> snapshots(std::string_view action, uint32_t endpoints, Until until,
                                const std::function<void(size_t)>& waiting);

 private:
  using Call = int32_t (*)(bop_client*, const bop_request*);
  using Clock = std::chrono::steady_clock;
  // The error for a group that does not run kv, or whose machine cannot be found out; nullopt: it runs kv.
  std::optional<Answer> refuse_kv();
  // The group's machine according to the answers; empty: none of the nodes has a replica of the group.
  std::string machine_of_group(const std::vector<Answer>& statuses) const;
  uint32_t timeout_ms() const;
  Answer ask(Call call, std::string_view payload);
  int32_t begin(Call call, std::string_view payload, uint32_t endpoint);
  // The next completion and its tag. It may belong to an earlier status request that is not waited for any more.
  std::pair<uint64_t, Answer> next();
  std::vector<Answer> ask_each(Call call, std::string_view payload, uint32_t endpoints, Until until,
                               const std::function<void(size_t)>& waiting);

  const Globals& globals_;
  uint64_t last_tag_ = 0;  // of the request that was submitted last
  bool runs_kv_ = false;   // refuse_kv() found that the group runs kv
  // When several requests share one timeout: its end.
  std::optional<Clock::time_point> deadline_;
  int32_t opened_ = BOP_OK;
  std::string open_error_;
  bop_queue* queue_ = nullptr;
  bop_client* client_ = nullptr;
};

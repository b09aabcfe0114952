// One client and one request, or one to each endpoint, at a time: what every command but bench needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bop/client.h"

// What the user said before the command.
struct Globals {
  std::string endpoints = "127.0.0.1:7100";
  std::string group = "kv";
  uint32_t timeout_ms = 5000;
  bool json = false;
};

// Exit codes that scripts can rely on.
enum Exit : int { ok = 0, condition = 1, usage = 2, unavailable = 3 };

Exit exit_of(int32_t status);
// On standard error, "bop: TEXT: DETAIL (CODE)" or, with -o json, {"error": {"code": …, "text": …}}.
Exit report(const Globals& globals, int32_t status, std::string_view detail);

uint32_t endpoint_count(const std::string& endpoints);

struct Answer {
  int32_t status = 0;
  uint64_t index = 0;
  std::string body;
  std::string detail;
};

class Session {
 public:
  explicit Session(const Globals& globals);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Each waits for its completion.
  Answer propose(std::string_view command);
  Answer query(std::string_view question);
  // The same for a command or question of the machine kv: not sent when the group runs another machine, to
  // which the bytes would mean something else.
  Answer propose_kv(std::string_view command);
  Answer query_kv(std::string_view question);
  // The status of each endpoint's node, in the order given; all are asked at once. With `first` the list ends
  // with the first endpoint that answered, when all before it are known not to; with `any`, what answered
  // before the others is all there is of it.
  enum class Until { all, first, any };
  std::vector<Answer> statuses(uint32_t endpoints, Until until);

 private:
  using Call = int32_t (*)(bop_client*, const bop_request*);
  using Clock = std::chrono::steady_clock;
  // Why a command of kv cannot be sent; nothing: it can.
  std::optional<Answer> refuse_kv();
  // The machine that the group runs, as those who answered say; empty: none of their nodes keeps the group.
  std::string machine_of_group(const std::vector<Answer>& statuses) const;
  uint32_t timeout_ms() const;
  Answer ask(Call call, std::string_view payload);
  int32_t begin(Call call, std::string_view payload, uint32_t endpoint);
  // The next completion, with its tag: it may be that of a status which nobody waits for any more.
  std::pair<uint64_t, Answer> next();

  const Globals& globals_;
  uint64_t last_tag_ = 0;  // of the request begun last
  bool runs_kv_ = false;   // as far as that was asked
  // By when what was begun has to be done; none: a request has the whole timeout.
  std::optional<Clock::time_point> deadline_;
  int32_t opened_ = BOP_OK;
  std::string open_error_;
  bop_queue* queue_ = nullptr;
  bop_client* client_ = nullptr;
};

// One client and one request, or one to each endpoint, at a time: what every command but bench needs.
#pragma once

#include <cstdint>
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
// "bop: could not …" on standard error, with what each endpoint's last cause was.
Exit report(int32_t status, std::string_view detail);

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
  // What each endpoint says of its node, in the order given; all are asked at once. With `first` it ends
  // with the first that answered, when all before it are known not to.
  std::vector<Answer> statuses(uint32_t endpoints, bool first);

 private:
  using Call = int32_t (*)(bop_client*, const bop_request*);
  Answer ask(Call call, std::string_view payload);
  int32_t begin(Call call, std::string_view payload, uint32_t number);
  std::pair<uint64_t, Answer> next();  // and the number it was begun with

  const Globals& globals_;
  int32_t opened_ = BOP_OK;
  std::string open_error_;
  bop_queue* queue_ = nullptr;
  bop_client* client_ = nullptr;
};

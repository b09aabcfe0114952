// One client and one request at a time: what every command but bench needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
  Answer status(uint32_t endpoint);

 private:
  using Call = int32_t (*)(bop_client*, const bop_request*);
  Answer ask(Call call, std::string_view payload, uint32_t connection);

  const Globals& globals_;
  int32_t opened_ = BOP_OK;
  std::string open_error_;
  bop_queue* queue_ = nullptr;
  bop_client* client_ = nullptr;
};

#include "session.h"

#include <cstdio>
#include <optional>

Exit exit_of(int32_t status) {
  switch (status) {
    case BOP_OK: return ok;
    case BOP_E_NOT_FOUND:
    case BOP_E_CONDITION_FAILED:
    case BOP_E_WRONG_TYPE:
    case BOP_E_OVERFLOW: return condition;
    case BOP_E_INVALID_ARGUMENT:
    case BOP_E_TOO_LARGE:
    case BOP_E_BAD_ADDRESS:
    case BOP_E_NO_GROUP:
    case BOP_E_UNSUPPORTED: return usage;
    default: return unavailable;
  }
}

Exit report(int32_t status, std::string_view detail) {
  const char* text = bop_error_text(status);
  std::fprintf(stderr, "bop: %s", text);
  if (!detail.empty() && detail != text) {
    std::fprintf(stderr, ": %.*s", static_cast<int>(detail.size()), detail.data());
  }
  std::fprintf(stderr, " (%s)\n", bop_error_name(status));
  return exit_of(status);
}

Session::Session(const Globals& globals) : globals_(globals) {
  char error[1024] = "";
  opened_ = bop_queue_create(64, &queue_);
  if (opened_ == BOP_OK) {
    bop_client_options options{};
    options.size = sizeof options;
    options.endpoints = globals.endpoints.c_str();
    options.queue = queue_;
    opened_ = bop_client_open(&options, &client_, error, sizeof error);
  }
  open_error_ = error;
}

Session::~Session() {
  bop_client_close(client_);
  bop_queue_destroy(queue_);
}

Answer Session::propose(std::string_view command) { return ask(bop_client_propose, command); }

Answer Session::query(std::string_view question) { return ask(bop_client_query, question); }

std::vector<Answer> Session::statuses(uint32_t endpoints, bool first) {
  if (opened_ != BOP_OK) return {{opened_, 0, {}, open_error_}};
  std::vector<std::optional<Answer>> known(endpoints);
  for (uint32_t i = 0; i < endpoints; ++i) {
    const int32_t called = begin(bop_client_status, {}, i);
    if (called != BOP_OK) known[i] = Answer{called, 0, {}, {}};
  }
  std::vector<Answer> answers;
  while (answers.size() < endpoints) {
    while (!known[answers.size()]) {
      auto [endpoint, answer] = next();
      known[endpoint] = std::move(answer);
    }
    answers.push_back(std::move(*known[answers.size()]));
    if (first && answers.back().status == BOP_OK) break;
  }
  return answers;
}

Answer Session::ask(Call call, std::string_view payload) {
  if (opened_ != BOP_OK) return {opened_, 0, {}, open_error_};
  if (const int32_t called = begin(call, payload, 0); called != BOP_OK) return {called, 0, {}, {}};
  return next().second;
}

int32_t Session::begin(Call call, std::string_view payload, uint32_t number) {
  bop_request request{};
  request.size = sizeof request;
  request.timeout_ms = globals_.timeout_ms;
  request.group_name = globals_.group.c_str();
  request.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  request.connection = number;
  request.tag = number;
  return call(client_, &request);
}

std::pair<uint64_t, Answer> Session::next() {
  bop_completion completion;
  while (bop_queue_drain(queue_, &completion, 1) == 0) bop_queue_wait(queue_, -1);
  return {completion.tag,
          {completion.status, completion.index,
           std::string(reinterpret_cast<const char*>(completion.body.data), completion.body.size),
           completion.detail}};
}

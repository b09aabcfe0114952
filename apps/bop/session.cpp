#include "session.h"

#include <cstdio>

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
  opened_ = bop_queue_create(16, &queue_);
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

Answer Session::propose(std::string_view command) { return ask(bop_client_propose, command, 0); }

Answer Session::query(std::string_view question) { return ask(bop_client_query, question, 0); }

Answer Session::status(uint32_t endpoint) { return ask(bop_client_status, {}, endpoint); }

Answer Session::ask(Call call, std::string_view payload, uint32_t connection) {
  if (opened_ != BOP_OK) return {opened_, 0, {}, open_error_};
  bop_request request{};
  request.size = sizeof request;
  request.timeout_ms = globals_.timeout_ms;
  request.group_name = globals_.group.c_str();
  request.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  request.connection = connection;
  const int32_t called = call(client_, &request);
  if (called != BOP_OK) return {called, 0, {}, {}};

  bop_completion completion;
  while (bop_queue_drain(queue_, &completion, 1) == 0) bop_queue_wait(queue_, -1);
  return {completion.status, completion.index,
          std::string(reinterpret_cast<const char*>(completion.body.data), completion.body.size),
          completion.detail};
}

#include "session.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "output.h"

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

Exit report(const Globals& globals, int32_t status, std::string_view detail) {
  // The detail of a usage error says it all; that of another error is the cause of what the text says.
  std::string text = bop_error_text(status);
  if (!detail.empty() && exit_of(status) == usage) {
    text = detail;
  } else if (!detail.empty() && detail != text) {
    text += ": " + std::string(detail);
  }
  if (globals.json) {
    print_json_error(status, text);
  } else {
    std::fprintf(stderr, "bop: %s (%s)\n", text.c_str(), bop_error_name(status));
  }
  return exit_of(status);
}

uint32_t endpoint_count(const std::string& endpoints) {
  return 1 + static_cast<uint32_t>(std::count(endpoints.begin(), endpoints.end(), ','));
}

namespace {

// No endpoint told which machine the group runs, so nothing was sent to it.
Answer not_sent(const std::vector<Answer>& statuses) {
  std::string causes;
  for (const Answer& answer : statuses) causes += (causes.empty() ? "" : "; ") + answer.detail;
  return {BOP_E_UNAVAILABLE, 0, {}, causes};
}

}  // namespace

Session::Session(const Globals& globals) : globals_(globals) {
  char error[1024] = "";
  opened_ = bop_queue_create(256, &queue_);
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

Answer Session::propose_kv(std::string_view command) {
  if (auto refused = refuse_kv()) return *refused;
  return propose(command);
}

Answer Session::query_kv(std::string_view question) {
  if (auto refused = refuse_kv()) return *refused;
  return query(question);
}

std::optional<Answer> Session::refuse_kv() {
  if (opened_ != BOP_OK || runs_kv_) return std::nullopt;
  constexpr std::chrono::milliseconds pause(50);
  deadline_ = Clock::now() + std::chrono::milliseconds(globals_.timeout_ms);
  const uint32_t endpoints = endpoint_count(globals_.endpoints);
  std::vector<Answer> answers = statuses(endpoints, Until::any);
  while (answers.back().status != BOP_OK) {
    if (Clock::now() + pause >= *deadline_) return not_sent(answers);
    std::this_thread::sleep_for(pause);
    answers = statuses(endpoints, Until::any);
  }
  std::string machine = machine_of_group(answers);
  if (machine.empty() && endpoints > 1) machine = machine_of_group(statuses(endpoints, Until::all));
  if (!machine.empty() && machine != "kv") {
    return Answer{BOP_E_UNSUPPORTED,
                  0,
                  {},
                  "group " + globals_.group + " runs the machine " + machine +
                      ", not kv; see bop propose and bop query"};
  }
  runs_kv_ = true;
  return std::nullopt;
}

std::string Session::machine_of_group(const std::vector<Answer>& statuses) const {
  using nlohmann::json;
  for (const Answer& answer : statuses) {
    const json document = json::parse(answer.body, nullptr, false);
    if (answer.status != BOP_OK || !document.is_object()) continue;
    for (const json& group : document.value("groups", json::array())) {
      if (group.value("name", "") == globals_.group) return group.value("machine", "");
    }
  }
  return {};
}

uint32_t Session::timeout_ms() const {
  if (!deadline_) return globals_.timeout_ms;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - Clock::now());
  return static_cast<uint32_t>(std::max<int64_t>(1, left.count()));
}

std::vector<Answer> Session::statuses(uint32_t endpoints, Until until) {
  return ask_each(bop_client_status, {}, endpoints, until, nullptr);
}

std::vector<Answer> Session::snapshots(std::string_view action, uint32_t endpoints, Until until,
                                       const std::function<void(size_t)>& waiting) {
  return ask_each(bop_client_snapshot, action, endpoints, until, waiting);
}

std::vector<Answer> Session::ask_each(Call call, std::string_view payload, uint32_t endpoints,
                                      Until until, const std::function<void(size_t)>& waiting) {
  if (opened_ != BOP_OK) return {{opened_, 0, {}, open_error_}};
  std::vector<std::optional<Answer>> known(endpoints);
  const uint64_t before = last_tag_;  // the tag of endpoint i is before + 1 + i
  for (uint32_t i = 0; i < endpoints; ++i) {
    const int32_t called = begin(call, payload, i);
    if (called != BOP_OK) known[i] = Answer{called, 0, {}, {}};
  }
  std::vector<Answer> answers;
  while (answers.size() < endpoints) {
    while (!known[answers.size()]) {
      if (waiting != nullptr && bop_queue_wait(queue_, 1000) != BOP_OK) {
        waiting(static_cast<size_t>(
            std::ranges::count_if(known, [](const auto& answer) { return !answer.has_value(); })));
        continue;
      }
      auto [tag, answer] = next();
      if (tag <= before) continue;
      if (until == Until::any && answer.status == BOP_OK) return {std::move(answer)};
      known[tag - before - 1] = std::move(answer);
    }
    answers.push_back(std::move(*known[answers.size()]));
    if (until == Until::first && answers.back().status == BOP_OK) break;
  }
  return answers;
}

Answer Session::ask(Call call, std::string_view payload) {
  if (opened_ != BOP_OK) return {opened_, 0, {}, open_error_};
  const int32_t called = begin(call, payload, 0);
  deadline_.reset();
  if (called != BOP_OK) return {called, 0, {}, {}};
  for (;;) {
    auto [tag, answer] = next();
    if (tag == last_tag_) return std::move(answer);
  }
}

int32_t Session::begin(Call call, std::string_view payload, uint32_t endpoint) {
  bop_request request{};
  request.size = sizeof request;
  request.timeout_ms = timeout_ms();
  request.group_name = globals_.group.c_str();
  request.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  request.connection = endpoint;
  request.tag = ++last_tag_;
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

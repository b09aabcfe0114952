// bop snapshot: takes, lists and verifies the snapshots of a group's replicas.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "output.h"

namespace {

using nlohmann::json;

constexpr uint32_t default_timeout_ms = 60 * 60 * 1000;

// A node of the cluster and how it answered.
struct Reply {
  uint64_t node = 0;
  Answer answer = {};
  json snapshots = json::array();
};

// On a terminal, how many nodes are still at work.
class Progress {
 public:
  explicit Progress(const char* what) : what_(what), shown_(isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (seconds_ > 0 && shown_) std::fputs("\r\033[K", stderr);
  }
  void operator()(size_t waiting) {
    ++seconds_;
    if (shown_)
      std::fprintf(stderr, "\r\033[Kbop: %s: %zu of the nodes at work, %u s", what_, waiting,
                   seconds_);
  }

 private:
  const char* const what_;
  const bool shown_;
  unsigned seconds_ = 0;
};

Globals patient(const Globals& globals) {
  Globals out = globals;
  if (!globals.has_timeout) out.timeout_ms = default_timeout_ms;
  return out;
}

void read(Reply& reply) {
  if (reply.answer.status != BOP_OK) return;
  const json document = json::parse(reply.answer.body, nullptr, false);
  if (!document.is_object()) {
    reply.answer = {BOP_E_PROTOCOL, 0, {}, "the answer is not a list of snapshots"};
    return;
  }
  reply.node = document.value("node", reply.node);
  reply.snapshots = document.value("snapshots", json::array());
}

// As in the status of a node.
json as_status(const json& snapshot) {
  json out = json::object();
  for (const char* name : {"index", "term", "bytes", "id"})
    out[name] = snapshot.value(name, json());
  return out;
}

std::string text_of(const json& object, const char* name) {
  const json value = object.value(name, json());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void complain(const Globals& globals, uint64_t node, const Answer& answer) {
  std::string text = "node " + std::to_string(node) + ": " + bop_error_text(answer.status);
  if (!answer.detail.empty()) text += ": " + answer.detail;
  if (globals.json)
    print_json_error(answer.status, text);
  else
    std::fprintf(stderr, "bop: %s (%s)\n", text.c_str(), bop_error_name(answer.status));
}

Exit take(const Globals& globals) {
  Globals own = patient(globals);
  Answer answer;
  // One after the other, so that one node takes one.
  std::string endpoints = globals.endpoints;
  while (!endpoints.empty()) {
    const size_t comma = std::min(endpoints.find(','), endpoints.size());
    own.endpoints = endpoints.substr(0, comma);
    endpoints.erase(0, comma + 1);
    Globals quick = globals;
    quick.endpoints = own.endpoints;
    answer = Session(quick).statuses(1, Session::Until::all).front();
    if (answer.status != BOP_OK) continue;
    Progress progress("taking a snapshot");
    answer = Session(own)
                 .snapshots("take", 1, Session::Until::all, [&](size_t left) { progress(left); })
                 .front();
    break;
  }
  Reply reply{.answer = std::move(answer)};
  read(reply);
  if (reply.answer.status != BOP_OK)
    return report(globals, reply.answer.status, reply.answer.detail);
  if (reply.snapshots.size() != 1) return report(globals, BOP_E_PROTOCOL, "no snapshot came back");
  const json& taken = reply.snapshots[0];
  if (globals.json) {
    print_json(as_status(taken));
    return ok;
  }
  Table table({"NODE", "INDEX", "TERM", "BYTES", "PARTS", "ID"});
  table.add({std::to_string(reply.node), text_of(taken, "index"), text_of(taken, "term"),
             text_of(taken, "bytes"), text_of(taken, "parts"), text_of(taken, "id")});
  table.print();
  return ok;
}

// The same of every node of the cluster, by id. An error: no endpoint tells which nodes there are.
Exit ask_all(const Globals& globals, const char* action, const char* what,
             std::vector<Reply>& replies) {
  const std::vector<Answer> statuses =
      Session(globals).statuses(endpoint_count(globals.endpoints), Session::Until::any);
  const Answer& status = statuses.back();
  if (status.status != BOP_OK) return report(globals, status.status, status.detail);
  const json document = json::parse(status.body, nullptr, false);
  if (!document.is_object()) return report(globals, BOP_E_PROTOCOL, "the answer is not a status");
  Globals own = patient(globals);
  own.endpoints.clear();
  std::vector<size_t> asked;  // places in `replies`, by endpoint
  for (const json& node : document.value("nodes", json::array())) {
    replies.push_back({.node = node.value("id", uint64_t{0})});
    const json native = node.value("native", json());
    if (!native.is_string() || native.get<std::string>().empty()) {
      replies.back().answer = {BOP_E_UNAVAILABLE, 0, {}, "its address is not known"};
      continue;
    }
    own.endpoints += (own.endpoints.empty() ? "" : ",") + native.get<std::string>();
    asked.push_back(replies.size() - 1);
  }
  if (asked.empty()) return report(globals, BOP_E_UNAVAILABLE, "no node's address is known");
  // A node that is down would be waited for until the time is over: those answer their status first.
  Globals quick = globals;
  quick.endpoints = own.endpoints;
  const std::vector<Answer> reached =
      Session(quick).statuses(static_cast<uint32_t>(asked.size()), Session::Until::all);
  std::string endpoints;
  std::vector<size_t> up;
  size_t from = 0;
  for (size_t i = 0; i < asked.size(); ++i) {
    const size_t comma = std::min(own.endpoints.find(',', from), own.endpoints.size());
    const std::string endpoint = own.endpoints.substr(from, comma - from);
    from = comma + 1;
    replies[asked[i]].answer = reached[i];
    if (reached[i].status != BOP_OK) continue;
    endpoints += (endpoints.empty() ? "" : ",") + endpoint;
    up.push_back(asked[i]);
  }
  if (up.empty()) return ok;  // each has its answer
  own.endpoints = endpoints;
  Progress progress(what);
  Session session(own);
  std::vector<Answer> answers =
      session.snapshots(action, static_cast<uint32_t>(up.size()), Session::Until::all,
                        [&](size_t left) { progress(left); });
  for (size_t i = 0; i < up.size() && i < answers.size(); ++i) {
    replies[up[i]].answer = std::move(answers[i]);
    read(replies[up[i]]);
  }
  return ok;
}

Exit list(const Globals& globals) {
  std::vector<Reply> replies;
  if (const Exit failed = ask_all(globals, "list", "listing", replies); failed != ok) return failed;
  json all = json::array();
  Table table({"NODE", "INDEX", "TERM", "BYTES", "PARTS", "ID"});
  Exit exit = unavailable;
  for (const Reply& reply : replies) {
    if (reply.answer.status != BOP_OK) {
      complain(globals, reply.node, reply.answer);
      continue;
    }
    exit = ok;
    all.push_back({{"node", reply.node}, {"group", globals.group}, {"snapshots", reply.snapshots}});
    for (const json& one : reply.snapshots)
      table.add({std::to_string(reply.node), text_of(one, "index"), text_of(one, "term"),
                 text_of(one, "bytes"), text_of(one, "parts"), text_of(one, "id")});
  }
  if (globals.json)
    print_json(all);
  else if (exit == ok)
    table.print();
  return exit;
}

Exit verify(const Globals& globals) {
  std::vector<Reply> replies;
  if (const Exit failed = ask_all(globals, "verify", "verifying", replies); failed != ok)
    return failed;
  json all = json::array();
  Table table({"NODE", "INDEX", "BYTES", "RESULT"});
  bool damaged = false, silent = false;
  for (const Reply& reply : replies) {
    const int32_t status = reply.answer.status;
    const bool bad = status == BOP_E_DAMAGED || status == BOP_E_NOT_FOUND;
    damaged |= bad;
    silent |= status != BOP_OK && !bad;
    if (status != BOP_OK) complain(globals, reply.node, reply.answer);
    json one{{"node", reply.node}, {"group", globals.group}, {"ok", status == BOP_OK}};
    one["snapshot"] = reply.snapshots.empty() ? json() : as_status(reply.snapshots[0]);
    one["error"] = status == BOP_OK
                       ? json()
                       : json{{"code", bop_error_name(status)}, {"text", reply.answer.detail}};
    const std::string result = status == BOP_OK ? (reply.snapshots.empty() ? "no snapshot" : "ok")
                                                : bop_error_name(status);
    table.add({std::to_string(reply.node),
               reply.snapshots.empty() ? "-" : text_of(reply.snapshots[0], "index"),
               reply.snapshots.empty() ? "-" : text_of(reply.snapshots[0], "bytes"), result});
    all.push_back(std::move(one));
  }
  if (globals.json)
    print_json(all);
  else
    table.print();
  if (damaged) return condition;
  return silent ? unavailable : ok;
}

}  // namespace

Exit snapshot(const Globals& globals, SnapshotVerb verb) {
  switch (verb) {
    case SnapshotVerb::take: return take(globals);
    case SnapshotVerb::list: return list(globals);
    case SnapshotVerb::verify: return verify(globals);
  }
  return usage;
}

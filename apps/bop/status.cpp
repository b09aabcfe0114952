// bop status: what nodes say about themselves.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "output.h"

namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string hash_of(const json& group) {
  const auto hash = group.find("state_hash");
  if (hash == group.end() || !hash->is_object()) return "-";
  return text_of(*hash, "hash").substr(0, 12) + "@" + text_of(*hash, "index");
}

std::string health_of(const json& group) {
  const std::string health = text_of(group, "health");
  return health == "ok" && group.contains("halted") ? "halted" : health;
}

void add_rows(Table& table, const json& node) {
  for (const json& group : node.value("groups", json::array())) {
    table.add({text_of(node, "node_id"), text_of(node, "version"), text_of(group, "name"),
               text_of(group, "id"), text_of(group, "role"), text_of(group, "term"),
               text_of(group, "leader"), text_of(group, "commit"), text_of(group, "applied"),
               text_of(group, "last_index"), health_of(group), hash_of(group)});
  }
}

void add_problems(const json& node, std::string& problems) {
  for (const json& group : node.value("groups", json::array())) {
    const auto halted = group.find("halted");
    if (halted == group.end()) continue;
    problems += "node " + text_of(node, "node_id") + ", group " + text_of(group, "name") +
                " takes no part: " + text_of(*halted, "reason") + " (" + text_of(*halted, "code") +
                ")\n";
  }
}

}  // namespace

Exit status(const Globals& globals, bool all) {
  const bool first = globals.json && !all;
  json documents = json::array();
  std::vector<Answer> failures;
  Session session(globals);
  for (Answer& answer : session.statuses(endpoint_count(globals.endpoints),
                                         first ? Session::Until::first : Session::Until::all)) {
    json document;
    if (answer.status == BOP_OK) document = json::parse(answer.body, nullptr, false);
    if (document.is_object()) {
      documents.push_back(std::move(document));
      continue;
    }
    if (answer.status == BOP_OK) answer = {BOP_E_PROTOCOL, 0, {}, "the answer is not a status"};
    failures.push_back(std::move(answer));
  }
  if (documents.empty() || !first) {
    for (const Answer& failure : failures) {
      const std::string text = "no status from " + failure.detail;
      if (globals.json) {
        print_json_error(failure.status, text);
      } else {
        std::fprintf(stderr, "bop: %s (%s)\n", text.c_str(), bop_error_name(failure.status));
      }
    }
  }
  if (documents.empty()) return exit_of(failures.back().status);
  if (globals.json) {
    print_json(all ? documents : documents[0]);
    return ok;
  }
  std::string problems;
  Table table({"NODE", "VERSION", "GROUP", "ID", "ROLE", "TERM", "LEADER", "COMMIT", "APPLIED",
               "LAST", "HEALTH", "STATE HASH"});
  for (const json& document : documents) {
    add_rows(table, document);
    add_problems(document, problems);
  }
  std::printf("cluster %s\n", text_of(documents[0], "cluster_id").c_str());
  table.print();
  std::fputs(problems.c_str(), stdout);
  return ok;
}

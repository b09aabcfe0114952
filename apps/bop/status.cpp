// bop status: every node of the cluster, from the answers of all endpoints.
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.h"
#include "output.h"

namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

uint64_t number_of(const json& object, const char* name, uint64_t otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : otherwise;
}

json list_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : json::array();
}

// "5s", "12m", "7h30m", "3d4h": the largest unit, and the next one if the largest is below 10.
std::string uptime_of(const json& node) {
  constexpr struct {
    uint64_t seconds;
    const char* name;
  } units[] = {{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
  const uint64_t seconds = number_of(node, "uptime_s", UINT64_MAX);
  if (seconds == UINT64_MAX) return "-";
  for (size_t i = 0; i < std::size(units); ++i) {
    const uint64_t whole = seconds / units[i].seconds;
    if (whole == 0 && units[i].seconds > 1) continue;
    std::string out = std::to_string(whole) + units[i].name;
    const uint64_t rest = seconds % units[i].seconds;
    if (whole < 10 && i + 1 < std::size(units) && rest >= units[i + 1].seconds) {
      out += std::to_string(rest / units[i + 1].seconds) + units[i + 1].name;
    }
    return out;
  }
  return "-";
}

// A node's entry in the list of nodes, derived from its own status: for versions without that list.
json entry_of(const json& document) {
  json groups = list_of(document, "groups");
  bool halted = false;
  for (json& group : groups) {
    const uint64_t commit = number_of(group, "commit", 0);
    group["lag"] = commit - std::min(commit, number_of(group, "applied", 0));
    if (!group.contains("halted")) continue;
    halted = true;
    if (text_of(group, "health") == "ok") group["health"] = "halted";
  }
  return {{"id", document.value("node_id", 0)},
          {"self", true},
          {"version", document.value("version", json())},
          {"health", halted ? "failing" : "ok"},
          {"groups", groups}};
}

// Age of an entry, for comparison: a node's own report is the newest, then milliseconds since it was heard.
uint64_t age_of(const json& node) {
  if (node.value("self", false)) return 0;
  const uint64_t heard = number_of(node, "heard_ms_ago", UINT64_MAX);
  return heard == UINT64_MAX ? heard : heard + 1;
}

// The newest entry of each node of the cluster, by id.
std::map<uint64_t, json> nodes_of(const std::vector<json>& documents) {
  std::map<uint64_t, json> nodes;
  for (const json& document : documents) {
    json entries = list_of(document, "nodes");
    if (entries.empty()) entries.push_back(entry_of(document));
    for (const json& entry : entries) {
      const auto [known, fresh] = nodes.emplace(number_of(entry, "id", 0), entry);
      if (!fresh && age_of(entry) < age_of(known->second)) known->second = entry;
    }
  }
  return nodes;
}

// The state hashes of all nodes by group. Only hashes at the same index can be compared.
class Hashes {
 public:
  explicit Hashes(const std::map<uint64_t, json>& nodes) : alone_(nodes.size() == 1) {
    for (const auto& [id, node] : nodes) {
      for (const json& group : list_of(node, "groups")) {
        const auto hash = group.find("state_hash");
        if (hash == group.end() || !hash->is_object()) continue;
        Found& found = found_[{text_of(group, "name"), text_of(*hash, "index")}];
        ++found.nodes;
        found.hashes.insert(text_of(*hash, "hash"));
      }
    }
  }

  // "-": no other node has a hash at the same index.
  std::string of(const json& group) const {
    const auto hash = group.find("state_hash");
    if (hash == group.end() || !hash->is_object()) return "-";
    const std::string index = text_of(*hash, "index");
    const Found& found = found_.at({text_of(group, "name"), index});
    if (found.nodes < 2 && !alone_) return "-";
    if (found.hashes.size() > 1) return "differs@" + index;
    return text_of(*hash, "hash").substr(0, 12) + "@" + index;
  }

 private:
  struct Found {
    size_t nodes = 0;
    std::set<std::string> hashes;
  };
  std::map<std::pair<std::string, std::string>, Found> found_;  // by group and index
  const bool alone_;
};

std::string health_of(const json& node, const json& group) {
  const std::string health = text_of(node, "health");
  const std::string of_group = text_of(group, "health");
  return health == "unreachable" || of_group == "ok" || of_group == "-" ? health : of_group;
}

void print_table(const std::map<uint64_t, json>& nodes) {
  const Hashes hashes(nodes);
  Table table({"NODE", "ADDRESS", "VERSION", "UPTIME", "HEALTH", "GROUP", "ROLE", "TERM", "COMMIT",
               "APPLIED", "LAG", "STATE HASH"});
  for (const auto& [id, node] : nodes) {
    json groups = list_of(node, "groups");
    if (groups.empty()) groups.push_back(json::object());
    for (const json& group : groups) {
      table.add({std::to_string(id), text_of(node, "native"), text_of(node, "version"),
                 uptime_of(node), health_of(node, group), text_of(group, "name"),
                 text_of(group, "role"), text_of(group, "term"), text_of(group, "commit"),
                 text_of(group, "applied"), text_of(group, "lag"), hashes.of(group)});
    }
  }
  table.print();
}

// The halted replicas and conditions of a node, one line each.
void print_problems(const json& document) {
  const std::string node = "node " + text_of(document, "node_id");
  for (const json& group : list_of(document, "groups")) {
    const auto halted = group.find("halted");
    if (halted == group.end()) continue;
    std::printf("%s, group %s is halted: %s (%s)\n", node.c_str(), text_of(group, "name").c_str(),
                text_of(*halted, "reason").c_str(), text_of(*halted, "code").c_str());
  }
  for (const json& condition : list_of(document, "conditions")) {
    const std::string group = text_of(condition, "group");
    std::printf("%s%s: %s: %s\n", node.c_str(), group == "-" ? "" : (", group " + group).c_str(),
                text_of(condition, "condition").c_str(), text_of(condition, "detail").c_str());
  }
}

// Whether some group is ready on `node` and has not lost its quorum. A node that lost contact keeps its last
// leader for a while, so that ready alone is not enough.
bool serves(const json& node) {
  const json conditions = list_of(node, "conditions");
  return std::ranges::any_of(list_of(node, "groups"), [&](const json& group) {
    const bool lost = std::ranges::any_of(conditions, [&](const json& condition) {
      if (condition.is_string()) return condition == "quorum_lost";  // in a report of another node
      return text_of(condition, "condition") == "quorum_lost" &&
             text_of(condition, "group") == text_of(group, "name");
    });
    return group.value("ready", false) && !lost;
  });
}

// Whether some group is served, by a node that answered or by one that such a node hears.
bool any_serves(const std::vector<json>& documents) {
  return std::ranges::any_of(documents, [](const json& document) {
    return serves(document) ||
           std::ranges::any_of(list_of(document, "nodes"), [](const json& node) {
             return text_of(node, "health") != "unreachable" && serves(node);
           });
  });
}

void report_silent(const Globals& globals, const Answer& failure) {
  const std::string text = "no status from " + failure.detail;
  if (globals.json) {
    print_json_error(failure.status, text);
  } else {
    std::fprintf(stderr, "bop: %s (%s)\n", text.c_str(), bop_error_name(failure.status));
  }
}

}  // namespace

Exit status(const Globals& globals, bool all) {
  const bool first = globals.json && !all;
  std::vector<json> documents;
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
    for (const Answer& failure : failures) report_silent(globals, failure);
  }
  if (documents.empty()) return exit_of(failures.back().status);
  if (globals.json) {
    print_json(all ? json(documents) : documents[0]);
  } else {
    std::printf("cluster %s\n", text_of(documents[0], "cluster_id").c_str());
    print_table(nodes_of(documents));
    for (const json& document : documents) print_problems(document);
  }
  if (any_serves(documents)) return ok;
  return report(globals, BOP_E_UNAVAILABLE, "no group serves");
}

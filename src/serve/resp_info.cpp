#include "serve/resp_info.h"

#include <fmt/format.h>

#include <algorithm>

namespace bop::serve {

namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view redis_version = "7.0.15";

class Info {
 public:
  explicit Info(std::string_view wanted) : wanted_(wanted) {}

  bool section(std::string_view name) {
    if (!wants(lower(name)) && !wants("all") && !wants("everything") && !wants("default") &&
        !wanted_.empty()) {
      return false;
    }
    if (!text_.empty()) text_ += line_end;
    text_ += fmt::format("# {}\r\n", name);
    return true;
  }
  template <class T>
  void field(std::string_view name, const T& value) {
    text_ += fmt::format("{}:{}\r\n", name, value);
  }
  std::string take() { return std::move(text_); }

 private:
  bool wants(std::string_view name) const {
    return wanted_.find(fmt::format(" {} ", name)) != std::string_view::npos;
  }
  const std::string_view wanted_;
  std::string text_;
};

void add_group(Info& info, const node::GroupStatus& group) {
  const bool suspect = group.halted == BOP_E_SUSPECT;
  std::string text = fmt::format(
      "id={},machine={},role={},term={},leader={},commit={},applied={},"
      "last_index={},health={}",
      group.id, group.machine, group.role, group.term, group.leader, group.commit, group.applied,
      group.last, suspect ? "suspect" : "ok");
  if (suspect) text += fmt::format(",file={},offset={}", group.file, group.offset);
  if (group.halted != BOP_OK) {
    std::string reason = group.reason;  // may come from a machine; a field is one line
    std::ranges::replace_if(reason, [](char c) { return c == '\r' || c == '\n'; }, ' ');
    text += fmt::format(",halted={},reason={}", bop_error_name(group.halted), reason);
  }
  info.field("group_" + group.name, text);
}

// Of all shards of the node.
struct Totals {
  int64_t connected = 0;
  uint64_t connections = 0, commands = 0, errors = 0;
};

Totals resp_totals(const Shared& shared) {
  Totals totals;
  for (uint32_t shard = 0; shard < shared.shards; ++shard) {
    const ProtocolMetrics metrics(shared.registry, "resp", shard);
    totals.connected += metrics.connected.value();
    totals.connections += metrics.connections.value();
    totals.commands += metrics.commands.value();
    totals.errors += metrics.errors.value();
  }
  return totals;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

std::vector<std::pair<std::string, std::string>> resp_settings(const Options& options,
                                                               const proto::RespLimits& limits) {
  return {
      {"databases", "1"},
      {"maxclients", std::to_string(options.max_connections)},
      {"port", std::to_string(options.resp_port)},
      {"proto-max-bulk-len", std::to_string(limits.max_bulk_bytes)},
  };
}

std::string resp_info(std::string_view wanted, const node::NodeStatus& status,
                      ClientConnections& connections) {
  const Totals totals = resp_totals(connections.shared());
  Info info(wanted);
  if (info.section("Server")) {
    info.field("bop_version", status.version);
    // Tools derive from it which commands exist; the replies here are those of this version.
    info.field("redis_version", redis_version);
    info.field("cluster_id", status.cluster);
    info.field("node_id", status.node);
    info.field("tcp_port", connections.options().resp_port);
  }
  if (info.section("Clients")) {
    info.field("connected_clients", totals.connected);
    info.field("maxclients", connections.options().max_connections);
  }
  if (info.section("Stats")) {
    info.field("total_connections_received", totals.connections);
    info.field("total_commands_processed", totals.commands);
    info.field("total_error_replies", totals.errors);
  }
  if (info.section("Persistence")) {
    info.field("log_used_bytes", status.log_used_bytes);
    info.field("log_latched", status.log_latched ? 1 : 0);
  }
  if (info.section("Replication")) {
    info.field("role", "master");  // every node takes writes
    info.field("connected_peers", std::ranges::count_if(status.peers, [](const auto& peer) {
                 return peer.control_up && peer.bulk_up;
               }));
  }
  if (info.section("Groups")) {
    for (const node::GroupStatus& group : status.groups) add_group(info, group);
  }
  return info.take();
}

}  // namespace bop::serve

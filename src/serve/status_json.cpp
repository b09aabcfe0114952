#include "serve/status_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "serve/json.h"

namespace bop::serve {

namespace {

void write_health(JsonWriter& json, const node::GroupStatus& group) {
  const bool suspect = group.halted == BOP_E_SUSPECT;
  json.field("health", suspect ? "suspect" : "ok");
  if (suspect) {
    json.name("suspect").begin_object();
    json.field("file", group.file).field("offset", group.offset).field("reason", group.reason);
    json.end_object();
  }
  if (group.halted != BOP_OK) {
    json.name("halted").begin_object();
    json.field("code", bop_error_name(group.halted)).field("reason", group.reason);
    json.end_object();
  }
}

void write_integrity(JsonWriter& json, const node::GroupStatus& group) {
  json.name("verifying");
  if (group.verifying) {
    json.begin_object();
    json.field("done_bytes", group.verified_bytes).field("total_bytes", group.verify_bytes);
    json.end_object();
  } else {
    json.null();
  }
  json.name("scrub").begin_object();
  json.field("bytes", group.scrubbed_bytes).field("passes", group.scrub_passes);
  json.name("last_pass_s");
  group.scrub_pass_ended_s == 0 ? json.null() : json.value(group.scrub_pass_ended_s);
  json.end_object();
}

// Of node::GroupStatus or node::KnownGroup.
template <class Group>
void write_hash(JsonWriter& json, const Group& group, bool shown) {
  json.name("state_hash");
  if (!group.has_hash || !shown) {
    json.null();
    return;
  }
  json.begin_object();
  json.field("index", group.hash_index);
  json.field("hash", fmt::format("{:016x}{:016x}", group.hash_high, group.hash_low));
  json.end_object();
}

void write_hash_comparison(JsonWriter& json, const node::GroupStatus& group) {
  json.name("state_hashes");
  if (group.hash_nodes.empty()) {
    json.null();
    return;
  }
  json.begin_object();
  json.field("index", group.hash_index);
  json.field("verdict", group.hashes_differ ? "differs" : "equal");
  json.name("nodes").begin_array();
  for (const NodeId node : group.hash_nodes) json.value(node);
  json.end_array().end_object();
}

void write_snapshot(JsonWriter& json, const node::SnapshotStatus& snapshot) {
  json.begin_object();
  json.field("index", snapshot.index).field("term", snapshot.term);
  json.field("bytes", snapshot.bytes).field("id", snapshot.id);
  json.end_object();
}

void write_group(JsonWriter& json, const node::GroupStatus& group) {
  json.begin_object();
  json.field("name", group.name).field("id", group.id).field("machine", group.machine);
  json.field("role", group.role).field("term", group.term);
  json.name("leader");
  group.leader == 0 ? json.null() : json.value(group.leader);
  json.field("commit", group.commit).field("applied", group.applied);
  json.field("last_index", group.last).field("durable_index", group.durable);
  json.field("machine_durable_index", group.machine_durable);
  json.field("first", group.first);
  json.name("snapshot");
  if (group.snapshot)
    write_snapshot(json, *group.snapshot);
  else
    json.null();
  json.name("installing");
  if (group.installing)
    json.begin_object()
        .field("bytes", group.installing->bytes)
        .field("total", group.installing->total)
        .end_object();
  else
    json.null();
  json.field("ready", group.ready);
  write_health(json, group);
  write_integrity(json, group);
  write_hash(json, group, true);
  write_hash_comparison(json, group);
  json.end_object();
}

void write_log(JsonWriter& json, const node::NodeStatus& status) {
  json.name("log").begin_object();
  json.field("health", status.log_latched ? "latched" : "ok");
  if (status.log_latched) json.field("error", status.log_error);
  json.field("used_bytes", status.log_used_bytes);
  json.end_object();
}

void write_peer(JsonWriter& json, const node::PeerStatus& peer) {
  json.begin_object();
  json.field("id", peer.id).field("address", peer.address);
  json.field("control", peer.control_up ? "up" : "down");
  json.field("bulk", peer.bulk_up ? "up" : "down");
  json.end_object();
}

void write_condition(JsonWriter& json, const node::ActiveCondition& active) {
  json.begin_object();
  json.field("condition", node::name_of(active.condition));
  json.field("blocks", node::blocks(active.condition));
  json.name("group");
  active.group == 0 ? json.null() : json.value(active.group_name);
  json.field("detail", active.detail);
  json.end_object();
}

const char* health_of(const node::KnownNode& node) {
  if (!node.reachable) return "unreachable";
  if (!node.reported) return "unknown";
  if (std::ranges::any_of(node.conditions, node::blocks)) return "failing";
  return node.conditions.empty() ? "ok" : "warning";
}

// A duration in whole units, null when it is not known (negative).
void write_time(JsonWriter& json, std::string_view name, Duration time, Duration unit) {
  json.name(name);
  time < 0 ? json.null() : json.value(static_cast<uint64_t>(time / unit));
}

void write_text(JsonWriter& json, std::string_view name, const std::string& text) {
  json.name(name);
  text.empty() ? json.null() : json.value(text);
}

// A hash is shown where it can be compared: at the index of this node's own.
bool comparable(const node::NodeStatus& status, const node::KnownGroup& group) {
  return std::ranges::any_of(status.groups, [&](const node::GroupStatus& own) {
    return own.id == group.id && own.has_hash && own.hash_index == group.hash_index;
  });
}

void write_node(JsonWriter& json, const node::NodeStatus& status, const node::KnownNode& node) {
  json.begin_object();
  json.field("id", node.id).field("self", node.self);
  write_text(json, "address", node.address);
  write_text(json, "native", node.native);
  write_text(json, "version", node.version);
  json.field("health", health_of(node));
  write_time(json, "heard_ms_ago", node.heard_ago, milliseconds);
  write_time(json, "uptime_s", node.uptime, seconds);
  json.name("conditions").begin_array();
  for (const node::Condition condition : node.conditions) json.value(node::name_of(condition));
  json.end_array();
  json.name("groups").begin_array();
  for (const node::KnownGroup& group : node.groups) {
    json.begin_object();
    json.field("name", group.name).field("id", group.id);
    json.field("role", group.role).field("term", group.term);
    json.field("commit", group.commit).field("applied", group.applied);
    json.field("last_index", group.last).field("lag", group.lag);
    json.field("ready", group.ready);
    json.field("health", group.suspect ? "suspect" : group.halted ? "halted" : "ok");
    write_hash(json, group, comparable(status, group));
    json.end_object();
  }
  json.end_array().end_object();
}

}  // namespace

std::string snapshots_json(NodeId node, std::string_view group,
                           const std::vector<node::SnapshotStatus>& snapshots) {
  JsonWriter json;
  json.begin_object();
  json.field("node", node).field("group", group);
  json.name("snapshots").begin_array();
  for (const node::SnapshotStatus& snapshot : snapshots) {
    json.begin_object();
    json.field("index", snapshot.index).field("term", snapshot.term);
    json.field("bytes", snapshot.bytes).field("parts", snapshot.parts).field("id", snapshot.id);
    json.end_object();
  }
  json.end_array().end_object();
  return json.take();
}

std::string status_json(const node::NodeStatus& status) {
  JsonWriter json;
  json.begin_object();
  json.field("cluster_id", status.cluster).field("node_id", status.node);
  json.field("version", status.version);
  write_time(json, "uptime_s", status.uptime, seconds);
  json.field("ready", node::not_ready_reasons(status).empty());
  json.name("conditions").begin_array();
  for (const node::ActiveCondition& active : status.conditions) write_condition(json, active);
  json.end_array();
  json.name("groups").begin_array();
  for (const node::GroupStatus& group : status.groups) write_group(json, group);
  json.end_array();
  write_log(json, status);
  json.name("peers").begin_array();
  for (const node::PeerStatus& peer : status.peers) write_peer(json, peer);
  json.end_array();
  json.name("nodes").begin_array();
  for (const node::KnownNode& node : status.nodes) write_node(json, status, node);
  json.end_array();
  json.end_object();
  return json.take();
}

}  // namespace bop::serve

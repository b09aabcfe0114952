#include "serve/status_json.h"

#include <fmt/format.h>

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

void write_hash(JsonWriter& json, const node::GroupStatus& group) {
  json.name("state_hash");
  if (!group.has_hash) {
    json.null();
    return;
  }
  json.begin_object();
  json.field("index", group.hash_index);
  json.field("hash", fmt::format("{:016x}{:016x}", group.hash_high, group.hash_low));
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
  json.field("ready", group.ready);
  write_health(json, group);
  write_hash(json, group);
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

}  // namespace

std::string status_json(const node::NodeStatus& status) {
  JsonWriter json;
  json.begin_object();
  json.field("cluster_id", status.cluster).field("node_id", status.node);
  json.field("version", status.version);
  json.name("groups").begin_array();
  for (const node::GroupStatus& group : status.groups) write_group(json, group);
  json.end_array();
  write_log(json, status);
  json.name("peers").begin_array();
  for (const node::PeerStatus& peer : status.peers) write_peer(json, peer);
  json.end_array();
  json.end_object();
  return json.take();
}

}  // namespace bop::serve

#include "serve/node_metrics.h"

#include <fmt/format.h>

#include <array>

namespace bop::serve {

namespace {

using metrics::Labels;
using metrics::Registry;

void set(Registry& registry, const char* name, const char* help, const Labels& labels,
         uint64_t value) {
  registry.gauge(name, help, labels).set(static_cast<int64_t>(value));
}

void follow_node(Registry& registry, const node::NodeStatus& status) {
  set(registry, "bop_build_info", "Always 1; the labels identify the build",
      {{"version", status.version}}, 1);
  set(registry, "bop_node_ready", "1 when /readyz answers 200", {},
      node::not_ready_reasons(status).empty());
  set(registry, "bop_node_uptime_seconds", "Seconds since the node started", {},
      static_cast<uint64_t>(status.uptime / seconds));
  std::array<uint64_t, node::condition_count> counts{};
  for (const node::ActiveCondition& active : status.conditions)
    ++counts[static_cast<size_t>(active.condition)];
  for (size_t i = 0; i < counts.size(); ++i)
    set(registry, "bop_condition",
        "Groups, shards or nodes with a condition that keeps them from full service",
        {{"condition", node::name_of(static_cast<node::Condition>(i))}}, counts[i]);
}

void follow_group(Registry& registry, const node::GroupStatus& group) {
  const Labels labels{{"group", group.name}};
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    set(registry, name, help, labels, value);
  };
  gauge("bop_group_term", "Current term", group.term);
  gauge("bop_group_is_leader", "1 when this node leads the group", group.role == "leader");
  gauge("bop_group_has_leader", "1 when a leader is known", group.leader != 0);
  gauge("bop_group_ready", "1 when a leader is known and this node has caught up with it",
        group.ready);
  gauge("bop_group_commit_index", "Last committed entry", group.commit);
  gauge("bop_group_applied_index", "Last entry the machine applied", group.applied);
  gauge("bop_group_last_index", "Last entry of the log", group.last);
  gauge("bop_group_durable_index", "Last entry durable here", group.durable);
  gauge("bop_group_suspect", "1 when the replica may have lost data",
        group.halted == BOP_E_SUSPECT);
  gauge("bop_group_halted", "1 when the replica is halted, for whatever reason",
        group.halted != BOP_OK);
  gauge("bop_group_state_differs", "1 when another node has another state at the same index",
        group.hashes_differ);
  gauge("bop_store_verifying", "1 while the stored state is verified and answers nothing yet",
        group.verifying);
  gauge("bop_store_verified_bytes", "Bytes of the stored state that were verified at the start",
        group.verified_bytes);
  gauge("bop_store_verify_bytes", "Bytes of the stored state to verify at the start",
        group.verify_bytes);
  gauge("bop_store_damaged", "1 when the replica is halted because its stored state is damaged",
        group.halted == BOP_E_DAMAGED);
  gauge("bop_store_scrub_last_pass_timestamp_seconds",
        "When the whole stored state was last verified in the background; 0: not since the start",
        group.scrub_pass_ended_s);
  registry
      .counter("bop_store_scrubbed_bytes_total",
               "Bytes of the stored state that were verified in the background", labels)
      .follow(group.scrubbed_bytes);
  registry
      .counter("bop_store_scrub_passes_total",
               "Complete verifications of the stored state in the background", labels)
      .follow(group.scrub_passes);
}

void follow_shard(Registry& registry, const node::ShardCounts& shard) {
  const Labels labels{{"shard", std::to_string(shard.shard)}};
  const auto count = [&](const char* name, const char* help, uint64_t value) {
    registry.counter(name, help, labels).follow(value);
  };
  count("bop_shard_turns_total", "Turns of the shard's loop that stepped a group", shard.turns);
  count("bop_log_writes_total", "Frames written to the log", shard.log_writes);
  count("bop_log_written_bytes_total", "Bytes written to the log", shard.log_bytes);
  count("bop_log_records_total", "Records written to the log", shard.log_records);
  count("bop_log_entries_total", "Entries written to the log", shard.log_entries);
  count("bop_log_seals_total", "Sealing frames of an idle log", shard.log_seals);
  count("bop_log_segments_total", "Segments made or used again", shard.log_segments);
  count("bop_log_rewritten_total", "Cold groups rewritten", shard.log_rewritten);
  set(registry, "bop_log_used_bytes", "Bytes of the log's segments in use", labels,
      shard.log_used_bytes);
  set(registry, "bop_log_needed_bytes", "Bytes of the log that may not be released yet", labels,
      shard.log_needed_bytes);
  set(registry, "bop_log_limit_bytes", "Bytes that the log's segments may have (log.max_bytes)",
      labels, shard.log_max_bytes);
  set(registry, "bop_log_latched", "1 when a failed write closed the log", labels,
      shard.log_latched);
}

void follow_peer(Registry& registry, const node::KnownNode& peer) {
  const std::string id = std::to_string(peer.id);
  set(registry, "bop_peer_reachable",
      "1 when a message of the peer arrived within the election timeout", {{"peer", id}},
      peer.reachable);
  for (const node::KnownGroup& group : peer.groups)
    set(registry, "bop_peer_lag_entries",
        "Committed entries that the peer's machine had not applied when it last reported",
        {{"group", group.name}, {"peer", id}}, group.lag);
}

}  // namespace

void follow_status(Registry& registry, const node::NodeStatus& status) {
  follow_node(registry, status);
  for (const node::GroupStatus& group : status.groups) follow_group(registry, group);
  for (const node::ShardCounts& shard : status.shards) follow_shard(registry, shard);
  for (const node::PeerStatus& peer : status.peers)
    set(registry, "bop_peer_up", "1 when both connections to the peer are up",
        {{"peer", std::to_string(peer.id)}}, peer.control_up && peer.bulk_up);
  for (const node::KnownNode& node : status.nodes)
    if (!node.self) follow_peer(registry, node);
}

std::string process_metrics_text(const io::ProcessStats& stats) {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       const std::string& value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  add("process_cpu_seconds_total", "counter", "User and system CPU time spent",
      fmt::format("{:.2f}", stats.cpu_seconds));
  add("process_max_fds", "gauge", "Descriptors that may be open", std::to_string(stats.max_fds));
  add("process_open_fds", "gauge", "Descriptors that are open", std::to_string(stats.open_fds));
  add("process_resident_memory_bytes", "gauge", "Resident memory",
      std::to_string(stats.resident_bytes));
  add("process_start_time_seconds", "gauge", "When the process started, seconds since 1970",
      fmt::format("{:.2f}", stats.start_time_seconds));
  add("process_threads", "gauge", "Threads", std::to_string(stats.threads));
  add("process_virtual_memory_bytes", "gauge", "Virtual memory",
      std::to_string(stats.virtual_bytes));
  return out;
}

}  // namespace bop::serve

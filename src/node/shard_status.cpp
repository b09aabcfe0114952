#include "node/shard_status.h"

#include <algorithm>

#include "node/cluster_view.h"
#include "proto/frame.h"

namespace bop::node {

SnapshotStatus snapshot_status(const snapshot::Stored& snapshot) {
  return {.index = snapshot.index,
          .term = snapshot.term,
          .bytes = snapshot.bytes,
          .parts = snapshot.parts,
          .id = snapshot::to_hex(snapshot.id)};
}

namespace {

GroupStatus status_of(const group::Replica& replica, const std::string& machine) {
  const group::Replica::Status from = replica.status();
  GroupStatus out;
  out.name = replica.name();
  out.id = replica.id();
  out.machine = machine;
  out.role = role_name(static_cast<uint8_t>(from.role));
  out.term = from.term;
  out.leader = from.leader;
  out.commit = from.commit;
  out.applied = from.applied;
  out.last = from.last;
  out.durable = from.durable;
  out.machine_durable = from.machine_durable;
  out.first = from.first;
  if (from.installing) out.installing = {from.installing->bytes, from.installing->total};
  if (from.snapshot) out.snapshot = snapshot_status(*from.snapshot);
  out.ready = from.ready;
  if (from.halted) {
    out.halted = from.halted->code;
    out.reason = from.halted->detail.empty() ? bop_error_text(out.halted) : from.halted->detail;
  }
  out.file = from.file;
  out.offset = from.offset;
  out.verifying = from.verifying;
  out.verified_bytes = from.verification.done_bytes;
  out.verify_bytes = from.verification.total_bytes;
  out.scrubbed_bytes = from.verification.scrubbed_bytes;
  out.scrub_passes = from.verification.scrub_passes;
  out.scrub_pass_ended_s = static_cast<uint64_t>(from.scrub_pass_ended_ns / seconds);
  out.has_hash = from.hash.has_value();
  if (from.hash) {
    out.hash_index = from.hash->index;
    out.hash_low = from.hash->low;
    out.hash_high = from.hash->high;
  }
  return out;
}

ShardCounts counts_of(const ShardOptions& options, const log::Log& log) {
  const log::Log::Counters& counters = log.counters();
  const log::Log::Capacity capacity = log.capacity();
  return {.shard = options.shard,
          .log_writes = counters.writes,
          .log_bytes = counters.written_bytes,
          .log_records = counters.records,
          .log_entries = counters.entries,
          .log_seals = counters.seals,
          .log_segments = counters.segments_made,
          .log_rewritten = counters.rewritten,
          .log_used_bytes = log.used_bytes(),
          .log_needed_bytes = capacity.needed_bytes,
          .log_max_bytes = capacity.max_bytes,
          .log_latched = capacity.obstacle == BOP_E_LATCHED};
}

}  // namespace

NodeStatus shard_status(const ShardOptions& options, const log::Log& log, const Replicas& replicas,
                        const PeerFrameBatcher& frames) {
  NodeStatus out;
  out.cluster = proto::to_hex(options.cluster);
  out.node = options.self;
  out.version = options.version;
  out.address = options.address;
  out.native = options.native;
  out.log_used_bytes = log.used_bytes();
  out.shards.push_back(counts_of(options, log));
  for (const GroupSpec& spec : options.groups) {
    group::Replica* replica = replicas.find(spec.id);
    if (replica == nullptr) continue;
    replica->refresh_hash();  // somebody asked: worth the machine's work
    const GroupStatus& group = out.groups.emplace_back(status_of(*replica, spec.machine));
    if (group.halted == BOP_E_LATCHED) {
      out.log_latched = true;
      out.log_error = group.reason;
    }
  }
  std::ranges::sort(out.groups, {}, &GroupStatus::id);
  for (const PeerSpec& peer : options.peers) {
    out.peers.push_back({.id = peer.id,
                         .address = peer.address,
                         .control_up = frames.up(peer.id, port::Channel::control),
                         .bulk_up = frames.up(peer.id, port::Channel::bulk)});
  }
  return out;
}

}  // namespace bop::node

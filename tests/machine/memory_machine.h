// A machine that keeps its state in memory alone: only a snapshot of it is durable. Commands are "KEY=VALUE" or "KEY",
// which deletes; a query is a key. `later` has snapshots and restores complete their calls by jobs of the bulk queue.
#pragma once

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/checksum.h"
#include "bop/machine.h"

namespace bop::machine::test {

struct MemoryTable;

}  // namespace bop::machine::test

struct bop_machine {
  struct Snapshot {
    std::map<std::string, std::string> state;
    std::string last;  // key of the last part
    bool begun = false;
    std::string label, bytes;  // of the current part
  };
  struct Job {
    bop_machine* machine;
    uint64_t token;
    uint64_t handle;  // 0: a restore
  };

  bop::machine::test::MemoryTable* table = nullptr;
  bop_machine_host host{};
  std::map<Job*, std::unique_ptr<Job>> jobs;  // in progress; a close ends them
  std::map<std::string, std::string> state;
  bop_position applied{};
  std::string answer;
  std::map<uint64_t, Snapshot> snapshots;
};

namespace bop::machine::test {

struct MemoryTable : bop_machine_table {
  size_t keys_per_part = 2;
  bool later = false;
  int32_t snapshot_status = BOP_OK;  // of the next part
  bop_machine* opened = nullptr;     // the newest

  MemoryTable();

 private:
  static bop_part next_part(bop_machine& machine, bop_machine::Snapshot& snapshot);
  static int32_t finish_later(bop_machine& machine, uint64_t token, uint64_t handle);
};

inline std::string text(bop_bytes bytes) { return std::string(as_text({bytes.data, bytes.size})); }

inline bop_bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline bop_part MemoryTable::next_part(bop_machine& machine, bop_machine::Snapshot& snapshot) {
  bop_part part{};
  part.size = sizeof part;
  auto at = snapshot.begun ? snapshot.state.upper_bound(snapshot.last) : snapshot.state.begin();
  snapshot.begun = true;
  if (at == snapshot.state.end()) {
    part.kind = BOP_PART_END;
    return part;
  }
  snapshot.bytes.clear();
  snapshot.label = at->first;
  for (size_t i = 0; i < machine.table->keys_per_part && at != snapshot.state.end(); ++i, ++at) {
    snapshot.bytes += at->first + "=" + at->second + "\n";
    snapshot.last = at->first;
  }
  part.kind = BOP_PART_BYTES;
  part.label = bytes_of(snapshot.label);
  part.bytes = bytes_of(snapshot.bytes);
  return part;
}

inline int32_t MemoryTable::finish_later(bop_machine& machine, uint64_t token, uint64_t handle) {
  auto made = std::make_unique<bop_machine::Job>(bop_machine::Job{&machine, token, handle});
  bop_machine::Job* const job = made.get();
  machine.jobs[job] = std::move(made);
  machine.host.offload(
      machine.host.context, BOP_WORK_BULK, [](void*) {},
      [](void* argument) {
        bop_machine::Job* const job = static_cast<bop_machine::Job*>(argument);
        bop_machine& machine = *job->machine;
        const std::unique_ptr<bop_machine::Job> own = std::move(machine.jobs[job]);
        machine.jobs.erase(job);
        if (job->handle == 0)
          return machine.host.complete(machine.host.context, job->token, BOP_OK, nullptr, 0);
        const auto found = machine.snapshots.find(job->handle);
        const bop_part part =
            found == machine.snapshots.end() ? bop_part{} : next_part(machine, found->second);
        const int32_t status = std::exchange(machine.table->snapshot_status, BOP_OK);
        machine.host.complete_part(machine.host.context, job->token, status, &part);
      },
      job);
  return BOP_PENDING;
}

inline MemoryTable::MemoryTable() : bop_machine_table{} {
  size = sizeof(bop_machine_table);
  abi = BOP_MACHINE_ABI;
  kind = "memory";
  version = version_min = 1;
  open = [](const bop_machine_table* self, const bop_machine_host* host, const bop_machine_options*,
            bop_machine** machine, char*, size_t) -> int32_t {
    auto* table = const_cast<MemoryTable*>(static_cast<const MemoryTable*>(self));
    *machine = table->opened = new bop_machine();
    (*machine)->table = table;
    (*machine)->host = *host;
    return BOP_OK;
  };
  apply = [](bop_machine* machine, const bop_entry* entries, size_t count, bop_reply*,
             uint64_t) -> int32_t {
    for (size_t i = 0; i < count; ++i) {
      const std::string command = text(entries[i].command);
      const size_t equals = command.find('=');
      if (equals == command.npos)
        machine->state.erase(command);
      else
        machine->state[command.substr(0, equals)] = command.substr(equals + 1);
      machine->applied = {entries[i].index, entries[i].term};
    }
    return BOP_OK;
  };
  query = [](bop_machine* machine, bop_bytes key, bop_reply* reply, uint64_t) -> int32_t {
    const auto found = machine->state.find(text(key));
    if (found == machine->state.end()) {
      reply->status = BOP_E_NOT_FOUND;
      return BOP_OK;
    }
    machine->answer = found->second;
    reply->body = bytes_of(machine->answer);
    return BOP_OK;
  };
  applied = [](bop_machine* machine) { return machine->applied; };
  state_hash = [](bop_machine* machine, bop_state_hash* hash) -> int32_t {
    Hasher128 hasher;
    for (const auto& [key, value] : machine->state) hasher.add(as_bytes(key + "=" + value + "\n"));
    *hash = {machine->applied.index, hasher.hash().low, hasher.hash().high};
    return BOP_OK;
  };
  close = [](bop_machine* machine) { delete machine; };
  snapshot_begin = [](bop_machine* machine, const bop_snapshot_options* options,
                      uint64_t) -> int32_t {
    machine->snapshots[options->handle].state = machine->state;
    machine->host.snapshot_point(machine->host.context, options->handle);
    return BOP_OK;
  };
  snapshot_next = [](bop_machine* machine, uint64_t handle, bop_part* part,
                     uint64_t token) -> int32_t {
    if (machine->table->later) return finish_later(*machine, token, handle);
    *part = next_part(*machine, machine->snapshots.at(handle));
    return std::exchange(machine->table->snapshot_status, BOP_OK);
  };
  snapshot_end = [](bop_machine* machine, uint64_t handle) { machine->snapshots.erase(handle); };
  restore_begin = [](bop_machine* machine, const bop_restore_options*, uint64_t token) -> int32_t {
    return machine->table->later ? finish_later(*machine, token, 0) : int32_t{BOP_OK};
  };
  restore_part = [](bop_machine* machine, const bop_part* part, uint64_t token) -> int32_t {
    const std::string lines = text(part->bytes);
    for (size_t at = 0; at < lines.size();) {
      const size_t equals = lines.find('=', at);
      const size_t line_end = lines.find('\n', at);
      if (equals == lines.npos || line_end == lines.npos) return BOP_E_DAMAGED;
      machine->state[lines.substr(at, equals - at)] =
          lines.substr(equals + 1, line_end - equals - 1);
      at = line_end + 1;
    }
    return machine->table->later ? finish_later(*machine, token, 0) : int32_t{BOP_OK};
  };
  restore_end = [](bop_machine* machine, bop_position position, uint64_t token) -> int32_t {
    machine->applied = position;
    return machine->table->later ? finish_later(*machine, token, 0) : int32_t{BOP_OK};
  };
}

}  // namespace bop::machine::test

// A node with a machine that keeps its state in memory alone, written against the public headers. Commands are "KEY=VALUE";
// a query is a key.
//   memory_node format --config FILE     creates the data directory
//   memory_node start --config FILE      serves until SIGTERM
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "bop/bop.h"
#include "bop/config.h"
#include "bop/machine.h"
#include "bop/node.h"

struct bop_machine {
  struct Snapshot {
    std::map<std::string, std::string> state;
    std::string last, label, bytes;
    bool begun = false;
  };
  bop_machine_host host;
  std::map<std::string, std::string> state;
  bop_position applied{};
  std::map<uint64_t, Snapshot> snapshots;
};

namespace {

constexpr size_t keys_a_part = 100;

std::string text_of(bop_bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

bop_bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void set(bop_machine* machine, const std::string& line) {
  const size_t equals = line.find('=');
  if (equals != std::string::npos) machine->state[line.substr(0, equals)] = line.substr(equals + 1);
}

int32_t open(const bop_machine_table*, const bop_machine_host* host, const bop_machine_options*,
             bop_machine** machine, char*, size_t) {
  *machine = new bop_machine{.host = *host, .state = {}, .snapshots = {}};
  return BOP_OK;
}

int32_t apply(bop_machine* machine, const bop_entry* entries, size_t count, bop_reply*, uint64_t) {
  for (size_t i = 0; i < count; ++i) {
    set(machine, text_of(entries[i].command));
    machine->applied = {entries[i].index, entries[i].term};
  }
  return BOP_OK;
}

int32_t query(bop_machine* machine, bop_bytes key, bop_reply* reply, uint64_t) {
  const auto found = machine->state.find(text_of(key));
  if (found == machine->state.end())
    reply->status = BOP_E_NOT_FOUND;
  else
    reply->body = bytes_of(found->second);
  return BOP_OK;
}

int32_t state_hash(bop_machine* machine, bop_state_hash* hash) {
  uint64_t sum = 14695981039346656037u;
  for (const auto& [key, value] : machine->state)
    for (const char c : key + "=" + value + "\n")
      sum = (sum ^ static_cast<uint8_t>(c)) * 1099511628211u;
  *hash = {machine->applied.index, sum, 0};
  return BOP_OK;
}

int32_t snapshot_begin(bop_machine* machine, const bop_snapshot_options* options, uint64_t) {
  machine->snapshots[options->handle].state = machine->state;
  machine->host.snapshot_point(machine->host.context, options->handle);
  return BOP_OK;
}

int32_t snapshot_next(bop_machine* machine, uint64_t handle, bop_part* part, uint64_t) {
  bop_machine::Snapshot& snapshot = machine->snapshots.at(handle);
  auto at = snapshot.begun ? snapshot.state.upper_bound(snapshot.last) : snapshot.state.begin();
  snapshot.begun = true;
  if (at == snapshot.state.end()) {
    part->kind = BOP_PART_END;
    return BOP_OK;
  }
  snapshot.label = at->first;
  snapshot.bytes.clear();
  for (size_t i = 0; i < keys_a_part && at != snapshot.state.end(); ++i, ++at) {
    snapshot.bytes += at->first + "=" + at->second + "\n";
    snapshot.last = at->first;
  }
  part->kind = BOP_PART_BYTES;
  part->label = bytes_of(snapshot.label);
  part->bytes = bytes_of(snapshot.bytes);
  return BOP_OK;
}

int32_t restore_part(bop_machine* machine, const bop_part* part, uint64_t) {
  const std::string lines = text_of(part->bytes);
  for (size_t at = 0; at < lines.size();) {
    const size_t end = lines.find('\n', at);
    set(machine, lines.substr(at, end - at));
    at = end + 1;
  }
  return BOP_OK;
}

bop_machine_table make_table() {
  bop_machine_table table{};
  table.size = sizeof table;
  table.abi = BOP_MACHINE_ABI;
  table.kind = "memory";
  table.version = table.version_min = 1;
  table.open = open;
  table.apply = apply;
  table.query = query;
  table.applied = [](bop_machine* machine) { return machine->applied; };
  table.state_hash = state_hash;
  table.snapshot_begin = snapshot_begin;
  table.snapshot_next = snapshot_next;
  table.snapshot_end = [](bop_machine* machine, uint64_t handle) {
    machine->snapshots.erase(handle);
  };
  table.restore_begin = [](bop_machine*, const bop_restore_options*, uint64_t) -> int32_t {
    return BOP_OK;
  };
  table.restore_part = restore_part;
  table.restore_end = [](bop_machine* machine, bop_position position, uint64_t) -> int32_t {
    machine->applied = position;
    return BOP_OK;
  };
  table.close = [](bop_machine* machine) { delete machine; };
  return table;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const bool formats = std::strcmp(arguments[1], "format") == 0;
  if (!formats && std::strcmp(arguments[1], "start") != 0) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // and of the threads that are started below
  char error[1024] = "";
  const bop_logging logging{sizeof logging, BOP_LOG_INFO, 0, nullptr};
  if (bop_logging_start(&logging, error, sizeof error) != BOP_OK) return 2;
  bop_config* config = nullptr;
  if (bop_config_create(&config) != BOP_OK) return 2;
  const bop_machine_table table = make_table();
  const bop_machine_table* const machines[] = {&table};
  bop_node_options options{};
  options.size = sizeof options;
  options.machines = machines;
  options.machine_count = 1;
  bop_node* node = nullptr;
  int32_t status = bop_config_load_file(config, arguments[3], error, sizeof error);
  if (status == BOP_OK && formats) status = bop_node_format(config, error, sizeof error);
  if (status == BOP_OK && !formats)
    status = bop_node_start(config, &options, &node, error, sizeof error);
  bop_config_destroy(config);
  if (status != BOP_OK) {
    std::fprintf(stderr, "memory_node: %s\n", error);
    return 1;
  }
  if (formats) return 0;
  int signal = 0;
  sigwait(&signals, &signal);
  bop_node_stop(node, 3000);
  bop_logging_stop();
  return 0;
}

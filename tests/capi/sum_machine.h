// A machine of a caller's own, as a program that embeds a node would write one: a sum. A command is a
// decimal number to add; commands and questions are answered with the sum, all of them later, by token.
#pragma once

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bop/machine.h"

struct SumMachine : bop_machine_table {
  // What the test sees of its machines, from any thread.
  mutable std::atomic<int> opened = 0, open_now = 0, pending = 0;
  std::atomic<bool> broken = false;
  // apply does not return, so that its shard's thread does not run; and whether one does not.
  std::atomic<bool> stuck = false;
  mutable std::atomic<bool> is_stuck = false;

  SumMachine();
};

struct bop_machine {
  // A call under way: what the worker makes of it is given to the host when it is done.
  struct Job {
    bop_machine* machine;
    uint64_t token;
    bool command;
    std::vector<std::string> numbers;
    std::vector<bop_position> positions;
    int32_t status = BOP_OK;
  };

  const SumMachine& table;
  const bop_machine_host& host;
  int64_t sum = 0;
  bop_position applied{};

  // The worker only looks whether it works: the sum belongs to the machine's thread.
  static void work(void* argument) {
    Job& job = *static_cast<Job*>(argument);
    if (job.machine->table.broken) job.status = BOP_E_IO;
  }
  static void done(void* argument) {
    const std::unique_ptr<Job> job(static_cast<Job*>(argument));
    job->machine->finish(*job);
  }

  int32_t begin(Job job) {
    ++table.pending;
    const bop_work_queue channel = job.command ? BOP_WORK_WRITES : BOP_WORK_READS;
    host.offload(host.context, channel, work, done, new Job(std::move(job)));
    return BOP_PENDING;
  }
  void finish(const Job& job) {
    const size_t count = job.command ? job.numbers.size() : 1;
    std::vector<std::string> bodies(count);
    std::vector<bop_reply> replies(count);
    for (size_t i = 0; i < count; ++i) {
      replies[i] = {sizeof(bop_reply), BOP_OK, {}};
      if (job.command && job.status == BOP_OK) {
        replies[i].status = add(job.numbers[i]);
        applied = job.positions[i];
      }
      bodies[i] = std::to_string(sum);
      replies[i].body = {reinterpret_cast<const uint8_t*>(bodies[i].data()), bodies[i].size()};
    }
    host.complete(host.context, job.token, job.status, replies.data(), count);
  }
  int32_t add(const std::string& text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return BOP_E_WRONG_TYPE;
    sum += number;
    return BOP_OK;
  }
};

inline SumMachine::SumMachine() : bop_machine_table{} {
  size = sizeof(bop_machine_table);
  abi = BOP_MACHINE_ABI;
  kind = "sum";
  version = version_min = 1;
  open = [](const bop_machine_table* self, const bop_machine_host* host, const bop_machine_options*,
            bop_machine** machine, char* error, size_t capacity) -> int32_t {
    const auto& table = *static_cast<const SumMachine*>(self);
    if (table.broken) {
      std::snprintf(error, capacity, "out of order");
      return BOP_E_MACHINE;
    }
    ++table.opened;
    ++table.open_now;
    *machine = new bop_machine{table, *host};
    return BOP_OK;
  };
  apply = [](bop_machine* machine, const bop_entry* entries, size_t count, bop_reply*,
             uint64_t token) -> int32_t {
    while (machine->table.stuck) {
      machine->table.is_stuck = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    bop_machine::Job job{machine, token, true, {}, {}};
    for (size_t i = 0; i < count; ++i) {
      const bop_bytes command = entries[i].command;
      job.numbers.emplace_back(reinterpret_cast<const char*>(command.data), command.size);
      job.positions.push_back({entries[i].index, entries[i].term});
    }
    return machine->begin(std::move(job));
  };
  query = [](bop_machine* machine, bop_bytes, bop_reply*, uint64_t token) -> int32_t {
    return machine->begin({machine, token, false, {}, {}});
  };
  sync = [](bop_machine*, uint64_t) -> int32_t { return BOP_OK; };
  applied = [](bop_machine* machine) { return machine->applied; };
  durable = [](bop_machine*) { return bop_position{}; };
  stable = [](bop_machine*, uint64_t) {};
  state_hash = [](bop_machine* machine, bop_state_hash* hash) -> int32_t {
    *hash = {machine->applied.index, static_cast<uint64_t>(machine->sum), 0};
    return BOP_OK;
  };
  close = [](bop_machine* machine) {
    --machine->table.open_now;
    delete machine;
  };
}

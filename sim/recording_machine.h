// A machine's table that forwards every call to another table and reports commands, replies and
// durable indexes to the checker.
#pragma once

#include <map>
#include <string>

#include "base/ids.h"
#include "bop/machine.h"
#include "sim/state_checker.h"

namespace bop::sim {

class RecordingMachine {
 public:
  // `groups` by name. All must outlive the machines opened.
  RecordingMachine(const bop_machine_table& behind, StateChecker& checker, NodeId node,
                   std::map<std::string, GroupId> groups);
  RecordingMachine(const RecordingMachine&) = delete;
  RecordingMachine& operator=(const RecordingMachine&) = delete;

  const bop_machine_table* table() const { return &table_.table; }

 private:
  struct Machine;
  // The table is its first member: what open gets as `self` leads back to the recording.
  struct Table {
    bop_machine_table table;
    RecordingMachine* recording;
  };

  static int32_t open(const bop_machine_table* self, const bop_machine_host* host,
                      const bop_machine_options* options, bop_machine** machine, char* error,
                      size_t error_capacity);
  static int32_t apply(bop_machine* machine, const bop_entry* entries, size_t count,
                       bop_reply* replies, uint64_t token);
  static int32_t query(bop_machine* machine, bop_bytes question, bop_reply* reply, uint64_t token);
  static int32_t sync(bop_machine* machine, uint64_t token);
  static bop_position applied(bop_machine* machine);
  static bop_position durable(bop_machine* machine);
  static void stable(bop_machine* machine, uint64_t index);
  static int32_t state_hash(bop_machine* machine, bop_state_hash* hash);
  static void integrity(bop_machine* machine, bop_machine_integrity* integrity);
  static int32_t scrub(bop_machine* machine, uint64_t max_bytes, uint64_t token);
  static void close(bop_machine* machine);
  static int32_t check(bop_machine* machine, bop_bytes command);
  static const char* obstacle(bop_machine* machine);
  static void expect_query(bop_machine* machine, bop_bytes query);

  // What the machine behind calls.
  static void host_offload(void* context, bop_work_queue queue, void (*work)(void*),
                           void (*done)(void*), void* argument);
  static void host_complete(void* context, uint64_t token, int32_t status, const bop_reply* replies,
                            size_t reply_count);
  static void host_log(void* context, int32_t level, const char* text);

  Table table_;
  const bop_machine_table& behind_;
  StateChecker& checker_;
  const NodeId node_;
  const std::map<std::string, GroupId> groups_;
};

}  // namespace bop::sim

#include "sim/recording_machine.h"

#include <memory>
#include <type_traits>
#include <vector>

#include "base/assert.h"

namespace bop::sim {

struct RecordingMachine::Machine {
  const bop_machine_table& behind;
  StateChecker& checker;
  NodeId node;
  GroupId group;
  bop_machine* machine;
  bop_machine_host outer;       // what bop gave
  bop_machine_host inner;       // what the machine got
  std::vector<Index> applying;  // of the apply that is pending
  uint64_t applying_token = 0;

  void replied(const bop_reply* replies, size_t count) {
    for (size_t i = 0; i < count && i < applying.size(); ++i) {
      checker.machine_replied(node, group, applying[i], replies[i]);
    }
    applying.clear();
  }

  static Machine& of(bop_machine* machine) { return *reinterpret_cast<Machine*>(machine); }
};

RecordingMachine::RecordingMachine(const bop_machine_table& behind, StateChecker& checker,
                                   NodeId node, std::map<std::string, GroupId> groups)
    : behind_(behind), checker_(checker), node_(node), groups_(std::move(groups)) {
  static_assert(std::is_standard_layout_v<Table>);
  table_.table = {};
  table_.table.size = sizeof table_.table;
  table_.table.abi = BOP_MACHINE_ABI;
  table_.table.kind = behind.kind;
  table_.table.version = behind.version;
  table_.table.version_min = behind.version_min;
  table_.table.open = open;
  table_.table.apply = apply;
  table_.table.query = query;
  table_.table.sync = sync;
  table_.table.applied = applied;
  table_.table.durable = durable;
  table_.table.stable = stable;
  table_.table.state_hash = state_hash;
  table_.table.integrity = integrity;
  table_.table.scrub = scrub;
  table_.table.close = close;
  table_.table.check = check;
  table_.table.obstacle = obstacle;
  table_.table.expect_query = expect_query;
  table_.recording = this;
}

int32_t RecordingMachine::open(const bop_machine_table* self, const bop_machine_host* host,
                               const bop_machine_options* options, bop_machine** machine,
                               char* error, size_t error_capacity) {
  RecordingMachine& recording = *reinterpret_cast<const Table*>(self)->recording;
  const auto group = recording.groups_.find(options->group);
  BOP_ASSERT(group != recording.groups_.end());
  auto recorded = std::make_unique<Machine>(Machine{recording.behind_,
                                                    recording.checker_,
                                                    recording.node_,
                                                    group->second,
                                                    nullptr,
                                                    *host,
                                                    *host,
                                                    {}});
  recorded->inner.context = recorded.get();
  recorded->inner.offload = host_offload;
  recorded->inner.complete = host_complete;
  recorded->inner.log = host_log;
  const int32_t status = recording.behind_.open(&recording.behind_, &recorded->inner, options,
                                                &recorded->machine, error, error_capacity);
  if (status != BOP_OK) return status;
  recording.checker_.machine_opened(recording.node_, group->second,
                                    recording.behind_.applied(recorded->machine).index);
  *machine = reinterpret_cast<bop_machine*>(recorded.release());
  return BOP_OK;
}

int32_t RecordingMachine::apply(bop_machine* machine, const bop_entry* entries, size_t count,
                                bop_reply* replies, uint64_t token) {
  Machine& recorded = Machine::of(machine);
  recorded.applying.clear();
  recorded.applying_token = token;
  for (size_t i = 0; i < count; ++i) {
    recorded.applying.push_back(entries[i].index);
    recorded.checker.machine_applies(recorded.node, recorded.group, entries[i]);
  }
  const int32_t status = recorded.behind.apply(recorded.machine, entries, count, replies, token);
  if (status == BOP_OK) recorded.replied(replies, count);
  return status;
}

void RecordingMachine::host_offload(void* context, bop_work_queue queue, void (*work)(void*),
                                    void (*done)(void*), void* argument) {
  const bop_machine_host& outer = static_cast<Machine*>(context)->outer;
  outer.offload(outer.context, queue, work, done, argument);
}

void RecordingMachine::host_complete(void* context, uint64_t token, int32_t status,
                                     const bop_reply* replies, size_t reply_count) {
  Machine& recorded = *static_cast<Machine*>(context);
  if (!recorded.applying.empty() && token == recorded.applying_token && status == BOP_OK) {
    recorded.replied(replies, reply_count);
  }
  recorded.outer.complete(recorded.outer.context, token, status, replies, reply_count);
}

void RecordingMachine::host_log(void* context, int32_t level, const char* text) {
  const bop_machine_host& outer = static_cast<Machine*>(context)->outer;
  outer.log(outer.context, level, text);
}

int32_t RecordingMachine::query(bop_machine* machine, bop_bytes question, bop_reply* reply,
                                uint64_t token) {
  return Machine::of(machine).behind.query(Machine::of(machine).machine, question, reply, token);
}

int32_t RecordingMachine::sync(bop_machine* machine, uint64_t token) {
  return Machine::of(machine).behind.sync(Machine::of(machine).machine, token);
}

bop_position RecordingMachine::applied(bop_machine* machine) {
  return Machine::of(machine).behind.applied(Machine::of(machine).machine);
}

bop_position RecordingMachine::durable(bop_machine* machine) {
  const Machine& recorded = Machine::of(machine);
  const bop_position position = recorded.behind.durable(recorded.machine);
  recorded.checker.machine_durable(recorded.node, recorded.group, position.index);
  return position;
}

void RecordingMachine::stable(bop_machine* machine, uint64_t index) {
  const Machine& recorded = Machine::of(machine);
  recorded.checker.machine_stable(recorded.node, recorded.group, index);
  recorded.behind.stable(recorded.machine, index);
}

int32_t RecordingMachine::state_hash(bop_machine* machine, bop_state_hash* hash) {
  Machine& recorded = Machine::of(machine);
  const int32_t status = recorded.behind.state_hash(recorded.machine, hash);
  if (status == BOP_OK) recorded.checker.machine_hashed(recorded.node, recorded.group, *hash);
  return status;
}

int32_t RecordingMachine::check(bop_machine* machine, bop_bytes command) {
  const Machine& recorded = Machine::of(machine);
  return recorded.behind.check == nullptr ? BOP_OK
                                          : recorded.behind.check(recorded.machine, command);
}

const char* RecordingMachine::obstacle(bop_machine* machine) {
  const Machine& recorded = Machine::of(machine);
  return recorded.behind.obstacle == nullptr ? nullptr : recorded.behind.obstacle(recorded.machine);
}

void RecordingMachine::expect_query(bop_machine* machine, bop_bytes query) {
  const Machine& recorded = Machine::of(machine);
  if (recorded.behind.expect_query != nullptr)
    recorded.behind.expect_query(recorded.machine, query);
}

void RecordingMachine::integrity(bop_machine* machine, bop_machine_integrity* integrity) {
  Machine::of(machine).behind.integrity(Machine::of(machine).machine, integrity);
}

int32_t RecordingMachine::scrub(bop_machine* machine, uint64_t max_bytes, uint64_t token) {
  return Machine::of(machine).behind.scrub(Machine::of(machine).machine, max_bytes, token);
}

void RecordingMachine::close(bop_machine* machine) {
  const std::unique_ptr<Machine> recorded(&Machine::of(machine));
  recorded->behind.close(recorded->machine);
}

}  // namespace bop::sim

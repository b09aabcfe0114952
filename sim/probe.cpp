#include "sim/probe.h"

#include <memory>
#include <type_traits>
#include <vector>

#include "base/assert.h"

namespace bop::sim {

struct Probe::Machine {
  const bop_machine_table& behind;
  Witness& witness;
  NodeId node;
  GroupId group;
  bop_machine* machine;
  bop_machine_host outer;       // what bop gave
  bop_machine_host inner;       // what the machine got
  std::vector<Index> applying;  // of the apply that is pending
  uint64_t applying_token = 0;

  void replied(const bop_reply* replies, size_t count) {
    for (size_t i = 0; i < count && i < applying.size(); ++i) {
      witness.machine_replied(node, group, applying[i], replies[i]);
    }
    applying.clear();
  }

  static Machine& of(bop_machine* machine) { return *reinterpret_cast<Machine*>(machine); }
};

Probe::Probe(const bop_machine_table& behind, Witness& witness, NodeId node,
             std::map<std::string, GroupId> groups)
    : behind_(behind), witness_(witness), node_(node), groups_(std::move(groups)) {
  static_assert(std::is_standard_layout_v<Table>);
  table_.table = {};
  table_.table.size = sizeof table_.table;
  table_.table.abi = BOP_MACHINE_ABI;
  table_.table.kind = behind.kind;
  table_.table.version = behind.version;
  table_.table.open = open;
  table_.table.apply = apply;
  table_.table.query = query;
  table_.table.sync = sync;
  table_.table.applied = applied;
  table_.table.durable = durable;
  table_.table.stable = stable;
  table_.table.state_hash = state_hash;
  table_.table.close = close;
  table_.probe = this;
}

int32_t Probe::open(const bop_machine_table* self, const bop_machine_host* host,
                    const bop_machine_options* options, bop_machine** machine, char* error,
                    size_t error_capacity) {
  Probe& probe = *reinterpret_cast<const Table*>(self)->probe;
  const auto group = probe.groups_.find(options->group);
  BOP_ASSERT(group != probe.groups_.end());
  auto probed = std::make_unique<Machine>(Machine{
      probe.behind_, probe.witness_, probe.node_, group->second, nullptr, *host, *host, {}});
  probed->inner.context = probed.get();
  probed->inner.offload = host_offload;
  probed->inner.complete = host_complete;
  probed->inner.log = host_log;
  const int32_t status = probe.behind_.open(&probe.behind_, &probed->inner, options,
                                            &probed->machine, error, error_capacity);
  if (status != BOP_OK) return status;
  probe.witness_.machine_opened(probe.node_, group->second,
                                probe.behind_.applied(probed->machine).index);
  *machine = reinterpret_cast<bop_machine*>(probed.release());
  return BOP_OK;
}

int32_t Probe::apply(bop_machine* machine, const bop_entry* entries, size_t count,
                     bop_reply* replies, uint64_t token) {
  Machine& probed = Machine::of(machine);
  probed.applying.clear();
  probed.applying_token = token;
  for (size_t i = 0; i < count; ++i) {
    probed.applying.push_back(entries[i].index);
    probed.witness.machine_applies(probed.node, probed.group, entries[i]);
  }
  const int32_t status = probed.behind.apply(probed.machine, entries, count, replies, token);
  if (status == BOP_OK) probed.replied(replies, count);
  return status;
}

void Probe::host_offload(void* context, bop_work_queue queue, void (*work)(void*),
                         void (*done)(void*), void* argument) {
  const bop_machine_host& outer = static_cast<Machine*>(context)->outer;
  outer.offload(outer.context, queue, work, done, argument);
}

void Probe::host_complete(void* context, uint64_t token, int32_t status, const bop_reply* replies,
                          size_t reply_count) {
  Machine& probed = *static_cast<Machine*>(context);
  if (!probed.applying.empty() && token == probed.applying_token && status == BOP_OK) {
    probed.replied(replies, reply_count);
  }
  probed.outer.complete(probed.outer.context, token, status, replies, reply_count);
}

void Probe::host_log(void* context, int32_t level, const char* text) {
  const bop_machine_host& outer = static_cast<Machine*>(context)->outer;
  outer.log(outer.context, level, text);
}

int32_t Probe::query(bop_machine* machine, bop_bytes question, bop_reply* reply, uint64_t token) {
  return Machine::of(machine).behind.query(Machine::of(machine).machine, question, reply, token);
}

int32_t Probe::sync(bop_machine* machine, uint64_t token) {
  return Machine::of(machine).behind.sync(Machine::of(machine).machine, token);
}

bop_position Probe::applied(bop_machine* machine) {
  return Machine::of(machine).behind.applied(Machine::of(machine).machine);
}

bop_position Probe::durable(bop_machine* machine) {
  const Machine& probed = Machine::of(machine);
  const bop_position position = probed.behind.durable(probed.machine);
  probed.witness.machine_durable(probed.node, probed.group, position.index);
  return position;
}

void Probe::stable(bop_machine* machine, uint64_t index) {
  Machine::of(machine).behind.stable(Machine::of(machine).machine, index);
}

int32_t Probe::state_hash(bop_machine* machine, bop_state_hash* hash) {
  Machine& probed = Machine::of(machine);
  const int32_t status = probed.behind.state_hash(probed.machine, hash);
  if (status == BOP_OK) probed.witness.machine_hashed(probed.node, probed.group, *hash);
  return status;
}

void Probe::close(bop_machine* machine) {
  const std::unique_ptr<Machine> probed(&Machine::of(machine));
  probed->behind.close(probed->machine);
}

}  // namespace bop::sim

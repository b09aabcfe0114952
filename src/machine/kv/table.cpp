#include "machine/kv/table.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "machine/kv/store_mdbx.h"
#include "machine/kv/store_memory.h"

namespace bop::machine::kv {

namespace {

constexpr uint64_t min_memory_bytes = 64 << 10;

bop_machine* as_c(Kv* kv) { return reinterpret_cast<bop_machine*>(kv); }

Status check_configuration(const char* text) {
  const std::string_view configuration = text == nullptr ? "" : text;
  if (configuration.empty() || configuration == "{}") return {};
  return fail(BOP_E_BAD_CONFIG, "kv has no configuration: leave it empty or write {}");
}

// Absent from the options of an older bop.
StoreIdentity identity_of(const bop_machine_options& options) {
  StoreIdentity identity;
  if (options.size < sizeof options) return identity;
  std::copy_n(options.cluster, identity.cluster.size(), identity.cluster.begin());
  identity.group = options.group_id;
  identity.instance = options.instance;
  return identity;
}

}  // namespace

Kv& kv_of(bop_machine* machine) { return *reinterpret_cast<Kv*>(machine); }

KvTable::KvTable(StoreFactory make_store, const Settings& settings)
    : table_{}, make_store_(std::move(make_store)), settings_(settings) {
  table_.owner = this;
  bop_machine_table& table = table_.table;
  table.size = sizeof table;
  table.abi = BOP_MACHINE_ABI;
  table.kind = "kv";
  table.version = BOP_KV_VERSION;
  table.version_min = BOP_KV_VERSION;
  table.open = open;
  table.apply = [](bop_machine* machine, const bop_entry* entries, size_t count, bop_reply* replies,
                   uint64_t token) {
    return kv_of(machine).apply({entries, count}, replies, token);
  };
  table.query = [](bop_machine* machine, bop_bytes question, bop_reply* reply, uint64_t token) {
    return kv_of(machine).query({question.data, question.size}, *reply, token);
  };
  table.expect_query = [](bop_machine* machine, bop_bytes question) {
    kv_of(machine).expect_query({question.data, question.size});
  };
  table.sync = [](bop_machine* machine, uint64_t token) { return kv_of(machine).sync(token); };
  table.applied = [](bop_machine* machine) { return kv_of(machine).applied(); };
  table.durable = [](bop_machine* machine) { return kv_of(machine).durable(); };
  table.stable = [](bop_machine* machine, uint64_t index) { kv_of(machine).stable(index); };
  table.state_hash = [](bop_machine* machine, bop_state_hash* hash) {
    return kv_of(machine).state_hash(*hash);
  };
  table.obstacle = [](bop_machine* machine) { return kv_of(machine).obstacle(); };
  table.check = [](bop_machine* machine, bop_bytes command) -> int32_t {
    return kv_of(machine).check({command.data, command.size});
  };
  table.integrity = [](bop_machine* machine, bop_machine_integrity* out) {
    kv_of(machine).integrity(*out);
  };
  table.scrub = [](bop_machine* machine, uint64_t max_bytes, uint64_t token) {
    return kv_of(machine).scrub(max_bytes, token);
  };
  table.snapshot_begin = [](bop_machine* machine, const bop_snapshot_options* snapshot,
                            uint64_t token) {
    return kv_of(machine).snapshot_begin(*snapshot, token);
  };
  table.snapshot_next = [](bop_machine* machine, uint64_t handle, bop_part* part, uint64_t token) {
    return kv_of(machine).snapshot_next(handle, *part, token);
  };
  table.snapshot_end = [](bop_machine* machine, uint64_t handle) {
    kv_of(machine).snapshot_end(handle);
  };
  table.restore_begin = [](bop_machine* machine, const bop_restore_options* restore,
                           uint64_t token) {
    return kv_of(machine).restore_begin(*restore, token);
  };
  table.restore_part = [](bop_machine* machine, const bop_part* part, uint64_t token) {
    return kv_of(machine).restore_part(*part, token);
  };
  table.restore_end = [](bop_machine* machine, bop_position position, uint64_t token) {
    return kv_of(machine).restore_end(position, token);
  };
  table.cancel = [](bop_machine* machine, uint64_t token) { kv_of(machine).cancel(token); };
  table.close = [](bop_machine* machine) { delete &kv_of(machine); };
}

int32_t KvTable::open(const bop_machine_table* self, const bop_machine_host* host,
                      const bop_machine_options* options, bop_machine** machine, char* error,
                      size_t error_capacity) {
  const KvTable* owner = reinterpret_cast<const Table*>(self)->owner;
  const Status status = owner->open(*host, *options, machine);
  if (status) return BOP_OK;
  std::snprintf(error, error_capacity, "%s", status.error().detail.c_str());
  return status.error().code;
}

Status KvTable::open(const bop_machine_host& host, const bop_machine_options& options,
                     bop_machine** machine) const {
  BOP_TRY(check_configuration(options.configuration));
  Settings settings = settings_;
  if (options.memory_bytes != 0) settings.memory_bytes = options.memory_bytes;
  if (settings.memory_bytes < min_memory_bytes)
    return fail(BOP_E_INVALID_ARGUMENT,
                "memory_bytes must be at least " + std::to_string(min_memory_bytes));
  BOP_TRY_ASSIGN(auto kv, Kv::open(host, settings, make_store_, identity_of(options)));
  *machine = as_c(kv.release());
  return {};
}

}  // namespace bop::machine::kv

const bop_machine_table* bop_kv_machine(void) {
  using namespace bop::machine::kv;
  static const KvTable table(
      [volatile_stores = make_volatile_stores()](const StoreOptions& options) {
        return options.directory.empty() ? volatile_stores(options) : open_mdbx_store(options);
      });
  return table.table();
}

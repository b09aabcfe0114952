// The table of kv for a store of the caller's choice: bop_kv_machine uses libmdbx, the simulator its own.
#pragma once

#include "bop/kv.h"
#include "machine/kv/kv.h"
#include "machine/kv/store.h"

namespace bop::machine::kv {

// Must outlive the machines that its table opened.
class KvTable {
 public:
  explicit KvTable(StoreFactory make_store, const Settings& settings = {});
  KvTable(const KvTable&) = delete;
  KvTable& operator=(const KvTable&) = delete;

  const bop_machine_table* table() const { return &table_.table; }

 private:
  // The table is the first member, so that open() finds `owner` by its argument `self`.
  struct Table {
    bop_machine_table table;
    KvTable* owner;
  };
  static int32_t open(const bop_machine_table* self, const bop_machine_host* host,
                      const bop_machine_options* options, bop_machine** machine, char* error,
                      size_t error_capacity);
  Status open(const bop_machine_host& host, const bop_machine_options& options,
              bop_machine** machine) const;

  Table table_;
  const StoreFactory make_store_;
  const Settings settings_;
};

// The Kv of a handle that such a table opened.
Kv& kv_of(bop_machine* machine);

}  // namespace bop::machine::kv

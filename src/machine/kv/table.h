// The table of kv, for a store of the caller's choice: what bop_kv_machine gives on libmdbx, the
// simulator gives on its own.
#pragma once

#include "bop/kv.h"
#include "machine/kv/kv.h"
#include "machine/kv/store.h"

namespace bop::machine::kv {

// Its table must outlive the machines opened with it.
class KvTable {
 public:
  explicit KvTable(StoreFactory make_store, const Settings& settings = {});
  KvTable(const KvTable&) = delete;
  KvTable& operator=(const KvTable&) = delete;

  const bop_machine_table* table() const { return &table_.table; }

 private:
  // The table is its first member: what open gets as `self` leads back to the rest.
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

// The machine behind a handle that such a table opened.
Kv& kv_of(bop_machine* machine);

}  // namespace bop::machine::kv

// The store on libmdbx: one file `kv.mdbx` in the machine's directory (docs/formats/kv.md).
//
// Mode: MDBX_SAFE_NOSYNC without any automatic sync, so that a commit writes to the page cache and
// only sync() waits for the device; libmdbx then keeps every page of the last synced state.
#pragma once

#include "machine/kv/store.h"

namespace bop::machine::kv {

// Opens the store of options.directory, or makes one. Blocking.
Result<std::unique_ptr<Store>> open_mdbx_store(const StoreOptions& options);

}  // namespace bop::machine::kv

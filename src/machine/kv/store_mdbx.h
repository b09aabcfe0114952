// The store on libmdbx: one file `kv.mdbx` in the machine's directory (docs/formats/kv.md).
//
// Mode: MDBX_SAFE_NOSYNC without automatic syncs, so that a commit writes to the page cache and only sync()
// waits for the device. In this mode libmdbx keeps every page of the last synced state.
#pragma once

#include "machine/kv/store.h"

namespace bop::machine::kv {

// Opens the store in options.directory, or creates one. Blocks.
Result<std::unique_ptr<Store>> open_mdbx_store(const StoreOptions& options);

}  // namespace bop::machine::kv

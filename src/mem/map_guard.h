// Turns an unreadable page of a mapped file into an error. The device cannot read it, or the file was truncated below
// it: whoever touches such a page gets SIGBUS, which ends the process by default.
//
// For a guarded map the signal's handler maps a page of zeros in its place and records the offset. The reader goes on
// with zeros, and must look at unreadable() before it uses what it read. Zeros are safe to read on, unlike a jump out
// of the reader, which may hold locks. What is not in a guarded map gets the handler that was installed before.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace bop::mem {

class MapGuard {
 public:
  // Guards all of this process's read-only map of `file` (a descriptor). Without a guard, because the system has no way
  // to find the map or there are already max_guards, a SIGBUS is what it was.
  explicit MapGuard(int file);
  ~MapGuard();
  MapGuard(const MapGuard&) = delete;
  MapGuard& operator=(const MapGuard&) = delete;

  static constexpr size_t max_guards = 4096;

  // The offset in the file of a page that could not be read since the guard was made. Any thread.
  std::optional<uint64_t> unreadable() const;
  // The map; empty: not found. Its end may lie past the end of the file.
  Bytes map() const { return map_; }

 private:
  Bytes map_;
  size_t slot_;  // max_guards: none
};

}  // namespace bop::mem

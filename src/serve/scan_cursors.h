// SCAN's cursors are integers to Redis's clients, positions between keys to us: this table stands
// between. It is bounded and forgets: the oldest when it is full, each after a while.
//
// One table a node, shared by its shards, because the connections of a client's pool may lie on
// several: the one place in serve with a lock, held for a few lookups and met by SCAN alone.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/time.h"

namespace bop::serve {

class ScanCursors {
 public:
  // `seed` sets where the numbers begin, so that a cursor of an earlier life is unknown, not misread.
  explicit ScanCursors(uint64_t seed, size_t capacity = 4096, Duration lifetime = 600 * seconds);

  // A new cursor, never 0, that stands after `key`.
  uint64_t add(Instant now, std::string key);
  // The key it stands after; using it makes it live on. Nothing when it is unknown or expired.
  std::optional<std::string> find(Instant now, uint64_t cursor);

 private:
  struct Cursor {
    uint64_t id = 0;
    Instant used_at = 0;
    std::string key;
  };
  void expire(Instant now);

  const size_t capacity_;
  const Duration lifetime_;
  std::mutex mutex_;
  uint64_t next_id_;
  std::list<Cursor> cursors_;  // the least recently used first
  std::unordered_map<uint64_t, std::list<Cursor>::iterator> by_id_;
};

}  // namespace bop::serve

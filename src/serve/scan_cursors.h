// SCAN's cursors are integers for clients and positions between keys in kv: this table maps them. It is bounded: it drops
// the least recently used cursor when it is full, and each one `lifetime` after its last use.
//
// A node has one table, shared by its shards, because the connections of a client's pool may be on several of them. It is
// the only place in serve with a lock, which is held for a few lookups and used by SCAN alone.
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
  // `seed` sets the first number, so that a cursor of an earlier process is unknown rather than misinterpreted.
  explicit ScanCursors(uint64_t seed, size_t capacity = 4096, Duration lifetime = 600 * seconds);

  // A new cursor, never 0, for the position after `key`.
  uint64_t add(Instant now, std::string key);
  // The key before its position, and renews its lifetime; nullopt if it is unknown or expired.
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

#include "serve/scan_cursors.h"

namespace bop::serve {

ScanCursors::ScanCursors(uint64_t seed, size_t capacity, Duration lifetime)
    : capacity_(capacity), lifetime_(lifetime), next_id_((seed & 0xffff'ffff) << 24 | 1) {}

uint64_t ScanCursors::add(Instant now, std::string key) {
  const std::lock_guard lock(mutex_);
  expire(now);
  if (cursors_.size() == capacity_) {
    by_id_.erase(cursors_.front().id);
    cursors_.pop_front();
  }
  const uint64_t id = next_id_++;
  cursors_.push_back({id, now, std::move(key)});
  by_id_[id] = std::prev(cursors_.end());
  return id;
}

std::optional<std::string> ScanCursors::find(Instant now, uint64_t cursor) {
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto found = by_id_.find(cursor);
  if (found == by_id_.end()) return std::nullopt;
  found->second->used_at = now;
  cursors_.splice(cursors_.end(), cursors_, found->second);
  return found->second->key;
}

void ScanCursors::expire(Instant now) {
  while (!cursors_.empty() && now - cursors_.front().used_at > lifetime_) {
    by_id_.erase(cursors_.front().id);
    cursors_.pop_front();
  }
}

}  // namespace bop::serve

// Ledger: the acknowledged writes of each key, to find lost ones.
//
// Every acknowledgement has the key's revision, which only increases. It is therefore enough to keep the write
// with the highest acknowledged revision of each key: at the end the key must exist with that revision and that
// write's value, or with a higher revision (of a write whose outcome is unknown).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kv.h"

class Ledger {
 public:
  static constexpr size_t key_bytes = 16;

  explicit Ledger(uint32_t keys) : last_(keys) {}

  uint32_t keys() const { return static_cast<uint32_t>(last_.size()); }
  static void write_key(uint32_t key, char* to) {
    to[0] = 'k';
    for (size_t i = key_bytes - 1; i > 0; --i, key /= 10) to[i] = static_cast<char>('0' + key % 10);
  }
  static std::string key_text(uint32_t key) {
    std::string text(key_bytes, ' ');
    write_key(key, text.data());
    return text;
  }
  // The value of a write begins with the write's number, little-endian, truncated to the size of the value.
  static void write_number(uint64_t number, char* value, size_t size) {
    for (size_t i = 0; i < sizeof number && i < size; ++i) {
      value[i] = static_cast<char>(number >> (8 * i));
    }
  }
  static std::string value_text(uint64_t number, size_t size) {
    std::string text(size, 'v');
    write_number(number, text.data(), size);
    return text;
  }

  void acknowledged(uint32_t key, uint64_t revision, uint64_t number) {
    ++acknowledged_;
    Last& last = last_[key];
    if (revision >= last.revision) last = {revision, number};
  }
  uint64_t acknowledged() const { return acknowledged_; }
  bool was_written(uint32_t key) const { return last_[key].revision != 0; }

  bool holds(uint32_t key, const kv::Item& item, size_t size) const {
    const Last& last = last_[key];
    if (last.revision == 0) return true;
    if (!item.present || item.revision < last.revision) return false;
    return item.revision > last.revision || item.value == value_text(last.number, size);
  }

 private:
  struct Last {
    uint64_t revision = 0;
    uint64_t number = 0;
  };
  std::vector<Last> last_;
  uint64_t acknowledged_ = 0;
};

// Bytes: little-endian loads and stores, a bounded reader and an appending writer.
//
// Every format of bop (wire, log, kv commands) is little-endian; only these functions depend on it.
// Reader never reads past its end: a read that would do so fails, and so does every later one. So
// a decoder reads all its fields and then checks ok() or complete() once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bop {

using Bytes = std::span<const uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

static_assert(std::endian::native == std::endian::little, "a big-endian port must swap bytes here");

template <class T>
  requires std::is_integral_v<T>
T load_le(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
  requires std::is_integral_v<T>
void store_le(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  template <class T>
    requires std::is_integral_v<T>
  T read() {
    if (!take(sizeof(T))) return T{};
    return load_le<T>(taken_);
  }
  uint8_t u8() { return read<uint8_t>(); }
  uint16_t u16() { return read<uint16_t>(); }
  uint32_t u32() { return read<uint32_t>(); }
  uint64_t u64() { return read<uint64_t>(); }
  int64_t i64() { return read<int64_t>(); }

  // The next `size` bytes, in place. When fewer are left: empty, and ok() turns false.
  Bytes bytes(size_t size) {
    if (!take(size)) return {};
    return {taken_, size};
  }
  Bytes rest() { return bytes(rest_.size()); }

  size_t remaining() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // Every read succeeded and no bytes are left.
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  bool take(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return false;
    }
    taken_ = rest_.data();
    rest_ = rest_.subspan(size);
    return true;
  }

  Bytes rest_;
  const uint8_t* taken_ = nullptr;
  bool ok_ = true;
};

// Appends to a vector that the caller owns and reuses.
class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& out) : out_(out) {}

  template <class T>
    requires std::is_integral_v<T>
  void put(T value) {
    const size_t at = out_.size();
    out_.resize(at + sizeof value);
    store_le(out_.data() + at, value);
  }
  void u8(uint8_t value) { put(value); }
  void u16(uint16_t value) { put(value); }
  void u32(uint32_t value) { put(value); }
  void u64(uint64_t value) { put(value); }
  void i64(int64_t value) { put(value); }
  void bytes(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

  size_t size() const { return out_.size(); }
  // Overwrites a field written before, such as a length that was not known then.
  template <class T>
    requires std::is_integral_v<T>
  void patch(size_t at, T value) {
    store_le(out_.data() + at, value);
  }

 private:
  std::vector<uint8_t>& out_;
};

}  // namespace bop

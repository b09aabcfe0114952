// Helpers for all functions of the C interface: error messages in the caller's buffer, structs of any version, and no
// exceptions across the interface.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace bop::capi {

// Copies the text, truncated to `capacity` - 1 bytes and terminated by NUL.
inline void write_text(std::string_view text, char* out, size_t capacity) {
  if (out == nullptr || capacity == 0) return;
  const size_t size = text.size() < capacity ? text.size() : capacity - 1;
  std::memcpy(out, text.data(), size);
  out[size] = '\0';
}

// Writes the message of the error and returns its code.
inline int32_t give(const Error& error, char* out, size_t capacity) {
  write_text(error.detail.empty() ? bop_error_text(error.code) : error.detail, out, capacity);
  return error.code;
}

inline int32_t give(const Status& status, char* out, size_t capacity) {
  return status ? static_cast<int32_t>(BOP_OK) : give(status.error(), out, capacity);
}

// Copies a struct of the caller, whose first field is its size in bytes. Fields that the caller's version does not
// have are zero.
template <class Struct>
Struct known(const Struct* given) {
  Struct out{};
  if (given == nullptr) return out;
  std::memcpy(&out, given, given->size < sizeof out ? given->size : sizeof out);
  out.size = sizeof out;
  return out;
}

// Copies `value` to a struct of the caller, but no byte beyond the size that the caller set.
template <class Struct>
void fill(Struct* out, Struct value) {
  const uint32_t size = out->size;
  value.size = size;
  std::memcpy(out, &value, size < sizeof value ? size : sizeof value);
}

// Runs `body` and turns exceptions of the standard library, above all std::bad_alloc, into a status and its message.
template <class Body>
int32_t guarded(char* error, size_t capacity, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    write_text(
        "memory could not be allocated; see the limits of the process (ulimit -v) and its cgroup",
        error, capacity);
    return BOP_E_OVERLOADED;
  } catch (
      const std::runtime_error& thrown) {  // thrown by Boost for errors of the operating system
    write_text(thrown.what(), error, capacity);
    return BOP_E_IO;
  } catch (...) {
    write_text(bop_error_text(BOP_E_INTERNAL), error, capacity);
    return BOP_E_INTERNAL;
  }
}

template <class Body>
int32_t guarded(Body body) noexcept {
  return guarded(nullptr, 0, std::move(body));
}

}  // namespace bop::capi

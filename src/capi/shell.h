// What every function of the C shell needs: errors into callers' buffers, structs by their size, and
// no exception out.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>

#include "base/result.h"

namespace bop::capi {

// Cut to fit, with its NUL.
inline void write_text(std::string_view text, char* out, size_t capacity) {
  if (out == nullptr || capacity == 0) return;
  const size_t size = text.size() < capacity ? text.size() : capacity - 1;
  std::memcpy(out, text.data(), size);
  out[size] = '\0';
}

inline int32_t give(const Error& error, char* out, size_t capacity) {
  write_text(error.detail.empty() ? bop_error_text(error.code) : error.detail, out, capacity);
  return error.code;
}

inline int32_t give(const Status& status, char* out, size_t capacity) {
  return status ? static_cast<int32_t>(BOP_OK) : give(status.error(), out, capacity);
}

// A caller's struct, whose first field is its size, as this version knows it: fields that the
// caller's version did not have are zero.
template <class Struct>
Struct known(const Struct* given) {
  Struct out{};
  if (given == nullptr) return out;
  std::memcpy(&out, given, given->size < sizeof out ? given->size : sizeof out);
  out.size = sizeof out;
  return out;
}

// The other way: no byte past the size that the caller set.
template <class Struct>
void fill(Struct* out, Struct value) {
  const uint32_t size = out->size;
  value.size = size;
  std::memcpy(out, &value, size < sizeof value ? size : sizeof value);
}

// Runs `body`; what the standard library throws (memory exhausted, most of all) becomes a status.
template <class Body>
int32_t guarded(Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return BOP_E_OVERLOADED;
  } catch (const std::runtime_error&) {  // Boost throws it for the system's errors
    return BOP_E_IO;
  } catch (...) {
    return BOP_E_INTERNAL;
  }
}

}  // namespace bop::capi

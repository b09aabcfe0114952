// A manifest of which every field has a value of its own, and states to make snapshots of.
#pragma once

#include <string>
#include <vector>

#include "snapshot/manifest.h"

namespace bop::snapshot::test {

inline Part part(std::string label, std::string_view bytes) {
  return {std::move(label), bytes.size(), hash128(as_bytes(bytes))};
}

inline Manifest example() {
  Manifest out;
  for (uint8_t i = 0; i < 16; ++i) out.cluster[i] = static_cast<uint8_t>(0xa0 + i);
  out.group = 7;
  out.index = 1000;
  out.term = 3;
  out.time_ns = 1'700'000'000'000'000'000;
  out.kind = "kv";
  out.version = 2;
  out.configuration_index = 900;
  out.configuration = {2, 0, 1};
  out.parts = {part("a", "first"), part("b", "second")};
  return out;
}

}  // namespace bop::snapshot::test

// Identifiers that every module uses.
#pragma once

#include <cstdint>

namespace bop {

using NodeId = uint64_t;   // 0: none
using GroupId = uint64_t;  // 0: none
using Term = uint64_t;     // 0: before the first election
using Index = uint64_t;    // of a log entry; the first is 1

}  // namespace bop

// The seeded bugs (base/seeded_bugs.h) of the modules that this program is linked with: of bop-sim-seeded
// all that there are, of every other program none.
#pragma once

#include <span>
#include <string_view>

#include "base/seeded_bugs.h"

namespace bop::sim {

struct ModuleBug {
  std::string_view module;
  SeededBug bug;
};

// Empty: this program carries none.
std::span<const ModuleBug> module_bugs();
// False: there is no such bug. "none" chooses none.
bool choose_seeded_bug(std::string_view name);

}  // namespace bop::sim

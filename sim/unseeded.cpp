#include "sim/seeded.h"

namespace bop::sim {

std::span<const ModuleBug> module_bugs() { return {}; }

bool choose_seeded_bug(std::string_view name) { return name == "none"; }

}  // namespace bop::sim

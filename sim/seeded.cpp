#include "sim/seeded.h"

#include <vector>

#include "group/seeded_bugs.h"
#include "log/seeded_bugs.h"
#include "machine/kv/seeded_bugs.h"
#include "raft/seeded_bugs.h"

namespace bop::sim {

std::span<const ModuleBug> module_bugs() {
  static const std::vector<ModuleBug> all = [] {
    std::vector<ModuleBug> bugs;
    for (const SeededBug& bug : raft::seeded_bugs) bugs.push_back({"raft", bug});
    for (const SeededBug& bug : log::seeded_bugs) bugs.push_back({"log", bug});
    for (const SeededBug& bug : group::seeded_bugs) bugs.push_back({"group", bug});
    for (const SeededBug& bug : machine::kv::seeded_bugs) bugs.push_back({"machine/kv", bug});
    return bugs;
  }();
  return all;
}

bool choose_seeded_bug(std::string_view name) {
  raft::choose_bug("none");
  log::choose_bug("none");
  group::choose_bug("none");
  machine::kv::choose_bug("none");
  return raft::choose_bug(name) || log::choose_bug(name) || group::choose_bug(name) ||
         machine::kv::choose_bug(name);
}

}  // namespace bop::sim

// Linked with the variant of group that can carry bugs (group/seeded_bugs.h): passes when the given bug shows, of those
// that the simulator cannot see. Argument: the bug.
#include <cstdio>
#include <string>

#include "group/checkpointer.h"
#include "group/seeded_bugs.h"

namespace bop::group {
namespace {

std::string recover_with_two_checkpoints() {
  const std::vector<log::Checkpoint> kept{{{1, 10}, {}}, {{2, 20}, {}}};
  const log::Checkpoint* found = checkpoint_for(kept, 25);
  return found == &kept[1] ? "" : "a replica recovers from the older checkpoint";
}

}  // namespace
}  // namespace bop::group

int main(int argc, char** argv) {
  using namespace bop::group;
  if (argc != 2 || !choose_bug(argv[1])) return 2;
  const std::string seen = recover_with_two_checkpoints();
  std::printf("%s\n", seen.empty() ? "not seen" : ("seen: " + seen).c_str());
  return seen.empty() ? 1 : 0;
}

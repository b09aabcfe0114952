// Linked with the variant of snapshot that can carry bugs (snapshot/seeded_bugs.h): passes when crashes, or a part with
// other bytes than its digest's, show the given bug. Argument: the bug.
#include <cstdio>

#include "crashes.h"
#include "snapshot/seeded_bugs.h"

namespace bop::snapshot::test {
namespace {

std::string receive_other_bytes() {
  sim::Disk disk(1);
  auto opened = Snapshots::open(disk, directory);
  const Part expected = part("x", "what was sent");
  const bool taken = add_part(*opened, "x", "what arrived!", &expected).has_value();
  return taken ? "a part with another digest was taken" : "";
}

}  // namespace
}  // namespace bop::snapshot::test

int main(int argc, char** argv) {
  using namespace bop::snapshot;
  if (argc != 2 || !choose_bug(argv[1])) return 2;
  std::string seen = test::crash_everywhere(20);
  if (seen.empty()) seen = test::receive_other_bytes();
  std::printf("%s\n", seen.empty() ? "not seen" : ("seen: " + seen).c_str());
  return seen.empty() ? 1 : 0;
}

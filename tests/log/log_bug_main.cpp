// Linked with the variant of log that can carry bugs (log/seeded_bugs.h): passes when the given bug shows, of those that
// the simulator cannot see. Argument: the bug.
#include <cstdio>
#include <string>

#include "log/checkpoints.h"
#include "log/seeded_bugs.h"

namespace bop::log {
namespace {

// The process ends after the first of two parts.
std::string cut_off_checkpoint() {
  Checkpoints checkpoints;
  const std::vector<uint8_t> part(100, 7);
  RecordHeader header;
  header.kind = RecordKind::checkpoint;
  header.first = 11;
  header.previous_term = 3;
  header.count = encode({.number = 0, .of = 2});
  checkpoints.add(4096, header, part);
  checkpoints.drop_partial();
  return checkpoints.complete().empty() ? "" : "half a checkpoint counts";
}

}  // namespace
}  // namespace bop::log

int main(int argc, char** argv) {
  using namespace bop::log;
  if (argc != 2 || !choose_bug(argv[1])) return 2;
  const std::string seen = cut_off_checkpoint();
  std::printf("%s\n", seen.empty() ? "not seen" : ("seen: " + seen).c_str());
  return seen.empty() ? 1 : 0;
}

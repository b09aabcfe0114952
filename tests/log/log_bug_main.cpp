// Linked with the variant of log that can carry bugs (log/seeded_bugs.h): passes when the given bug shows, of those that
// the simulator cannot see. Argument: the bug.
#include <cstdio>
#include <string>

#include <optional>
#include <vector>

#include "log/checkpoints.h"
#include "log/seeded_bugs.h"
#include "rig.h"

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

// Of the entries that a read finds, the last ones are replaced before it has read them.
std::string replaced_read() {
  testing::Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10, 3000);
  rig.write(1, 1, 11, 10, 3000);
  std::optional<Result<std::vector<raft::Entry>>> read;
  rig.log->read(1, 1, 1 << 20, [&](auto entries) { read = std::move(entries); });
  rig.write(1, 2, 15, 1);
  rig.run();
  return read && *read ? "a read mixes entries with those that replaced them" : "";
}

}  // namespace
}  // namespace bop::log

int main(int argc, char** argv) {
  using namespace bop::log;
  if (argc != 2 || !choose_bug(argv[1])) return 2;
  std::string seen = cut_off_checkpoint();
  if (seen.empty()) seen = replaced_read();
  std::printf("%s\n", seen.empty() ? "not seen" : ("seen: " + seen).c_str());
  return seen.empty() ? 1 : 0;
}

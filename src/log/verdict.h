// The table of verdicts (docs/formats/log.md): what recovery makes of a stretch of the log in which
// no whole frame stands. The one place that decides it; tests/log/verdict_test.cpp has it row by row.
#pragma once

#include <cstdint>

namespace bop::log {

enum class Verdict : uint8_t {
  end = 0,      // nothing was ever written here: the log ends
  nothing = 1,  // nothing was written here: the frames around it follow each other
  tear = 2,     // the last write did not complete, nothing of it was acknowledged: cut
  suspect = 3,  // bytes that no write of ours leaves: acknowledged frames may have stood here
  damage = 4,   // acknowledged frames stood here
};

const char* name_of(Verdict verdict);

// What is known of a stretch between a whole frame, or the beginning of the log, and the next whole
// frame, or the end of the files.
struct Stretch {
  bool frame_follows = false;   // a later whole frame stands behind it
  bool numbers_follow = false;  // ... and its number is the next one: no frame is missing
  bool below_durable = false;   // it begins below a durable_through that a valid block names
  bool bad = false;             // a block in it is unsound or unreadable
  // The write that would have come first in it provably did not complete, so nothing in it was
  // acknowledged: writes are acknowledged in order.
  bool first_write_incomplete = false;
  bool touched = false;  // a block in it is of the last whole frame's epoch or a later one
};

Verdict judge(const Stretch& stretch);

}  // namespace bop::log

// The table of verdicts (docs/formats/log.md): what recovery concludes about a stretch of the log without a
// whole frame. Only judge() decides it; tests/log/verdict_test.cpp tests it row by row.
#pragma once

#include <cstdint>

namespace bop::log {

enum class Verdict : uint8_t {
  end = 0,      // nothing was ever written here: the log ends
  nothing = 1,  // no frame is missing here: the frames around it have consecutive numbers
  tear = 2,     // the last write did not complete, so nothing of it was acknowledged: it is cut off
  suspect = 3,  // no write of bop leaves such bytes: acknowledged frames may have been here
  damage = 4,   // acknowledged frames were here
};

const char* name_of(Verdict verdict);

// What is known about a stretch from a whole frame, or the beginning of the log, to the next whole frame,
// or the end of the files.
struct Stretch {
  bool frame_follows = false;   // a whole frame follows it ...
  bool numbers_follow = false;  // ... and has the next number, so no frame is missing
  bool below_durable = false;   // it begins below the durable_through of a valid block
  bool bad = false;             // it has a block that is unsound or unreadable
  // The first write in it provably did not complete. Since writes are acknowledged in order, nothing in it
  // was acknowledged.
  bool first_write_incomplete = false;
  bool touched = false;  // it has a block of the last whole frame's epoch or a later one
};

Verdict judge(const Stretch& stretch);

}  // namespace bop::log

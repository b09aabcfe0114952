#include "log/verdict.h"

#include "log/seeded_bugs.h"

namespace bop::log {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::end: return "end";
    case Verdict::nothing: return "nothing";
    case Verdict::tear: return "tear";
    case Verdict::suspect: return "suspect";
    case Verdict::damage: return "damage";
  }
  return "?";
}

// The numbers are those of the rows in docs/formats/log.md.
Verdict judge(const Stretch& stretch) {
  if (seeded(Bug::damage_is_a_tear) && !stretch.frame_follows) return Verdict::tear;
  if (stretch.frame_follows && stretch.numbers_follow) return Verdict::nothing;  // 1
  if (stretch.frame_follows) return Verdict::damage;                             // 2
  if (stretch.below_durable) return Verdict::damage;                             // 3
  if (stretch.bad && !stretch.first_write_incomplete) return Verdict::suspect;   // 4
  if (stretch.touched) return Verdict::tear;                                     // 5
  return Verdict::end;                                                           // 6
}

}  // namespace bop::log

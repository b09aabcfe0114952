// Has the machine make its state hash ready once nothing was applied for a while, so that who compares
// replicas at rest finds their hashes.
#pragma once

#include <functional>
#include <memory>

#include "base/ids.h"
#include "machine/driver.h"
#include "port/clock.h"
#include "port/timer.h"

namespace bop::group {

class HashRefresher {
 public:
  HashRefresher(const port::Clock& clock, port::Timers& timers);

  void begin(machine::Driver& driver) { driver_ = &driver; }
  // Entries up to `applied` are applied.
  void on_applied(Index applied);
  // Nothing is asked of the machine any more.
  void stop();

 private:
  void arm();
  void look();

  const port::Clock& clock_;
  std::unique_ptr<port::Timer> timer_;
  machine::Driver* driver_ = nullptr;
  bool armed_ = false;
  Index applied_ = 0;
  Index seen_ = 0;  // applied_ when the timer fired last: if it is still, the replica is at rest
  unsigned questions_ = 0;  // asked since then
};

}  // namespace bop::group

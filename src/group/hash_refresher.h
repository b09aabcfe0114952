// Keeps the last known state hash of a replica's machine, and asks for a new one once nothing was applied
// for a while: replicas at rest then show hashes of equal indexes.
//
// A question costs a machine work (kv reads the stored versions of what it changed), so status and the
// health reports, which are made twice a second, read latest() and ask nothing.
#pragma once

#include <functional>
#include <memory>
#include <optional>

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
  // Asks the machine now, whatever its load.
  void ask();
  std::optional<bop_state_hash> latest() const { return latest_; }
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
  std::optional<bop_state_hash> latest_;
};

}  // namespace bop::group

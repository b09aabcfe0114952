// Keeps the latest known state hash of a replica's machine, and requests a new one when nothing was applied
// for a while: idle replicas then show hashes of equal indexes.
//
// A request costs the machine work (kv reads the stored versions of the keys it changed), so status and the
// health reports, which are made twice a second, only read latest().
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
  // Requests a hash now, whatever the machine's load.
  void ask();
  std::optional<bop_state_hash> latest() const { return latest_; }
  // The machine is not asked any more.
  void stop();

 private:
  void arm();
  void look();

  const port::Clock& clock_;
  std::unique_ptr<port::Timer> timer_;
  machine::Driver* driver_ = nullptr;
  bool armed_ = false;
  Index applied_ = 0;
  Index seen_ =
      0;  // applied_ when the timer fired last; if it has not changed, the replica is idle
  unsigned questions_ = 0;  // how often the machine was asked since then
  std::optional<bop_state_hash> latest_;
};

}  // namespace bop::group

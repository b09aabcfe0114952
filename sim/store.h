// The machines' storage on one simulated node: media that outlive processes, one a directory, behind
// the real machine "kv".
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "bop/machine.h"
#include "machine/kv/kv.h"

namespace bop::sim {

class Stores {
 public:
  explicit Stores(const machine::kv::Settings& settings);
  Stores(const Stores&) = delete;
  Stores& operator=(const Stores&) = delete;
  ~Stores();

  const bop_machine_table& table() const;
  // The nth step of a flush or sync from now on fails, of whatever machine; 0: none does.
  void fail(uint64_t nth);
  // One did in this life of the process.
  bool failed() const;
  // After so many further changes of flushes there is no space for more, until give_space().
  void fill_after(uint64_t changes);
  void give_space();
  // A bit of a record of one machine flips (medium.h).
  void rot(Random& random);
  // One machine loses a write of its next flush.
  void lose_write(Random& random);
  // The node's process ended; every machine is closed.
  void end(bool power_lost);

  // How often each fault really happened.
  struct Counters {
    uint64_t failed_steps = 0, refused_full = 0, flipped_bits = 0, lost_writes = 0;
    uint64_t detected = 0;  // reads that were damaged
  };
  Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bop::sim

// The machines' storage on one simulated node: images that outlive processes, one a directory, behind
// the real machine "kv".
#pragma once

#include <map>
#include <memory>
#include <string>

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
  // The node's process ended; every machine is closed.
  void end(bool power_lost);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bop::sim

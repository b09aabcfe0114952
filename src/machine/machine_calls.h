// Calls of a machine's table, and the rule of bop/machine.h that the machine broke meanwhile. Only for this module's
// .cpp files.
#pragma once

#include <string>

#include "base/assert.h"
#include "bop/machine.h"

namespace bop::machine {

struct MachineCalls {
  bop_machine_table table{};
  bop_machine* machine = nullptr;
  bool in_machine = false;  // a function of the table is on the stack
  std::string violation;    // the rule that the call on the stack broke; empty: none

  template <class Function, class... Args>
  auto call(Function function, Args... arguments) {
    BOP_ASSERT(!in_machine);
    struct Entered {
      bool& flag;
      explicit Entered(bool& flag) : flag(flag) { flag = true; }
      ~Entered() { flag = false; }
    } entered(in_machine);
    return function(machine, arguments...);
  }
};

}  // namespace bop::machine

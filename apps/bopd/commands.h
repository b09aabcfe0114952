// The commands of bopd.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "configuration.h"
#include "exit.h"

struct DevArguments {
  uint32_t nodes = 1;
  std::string data;  // directory; empty: a temporary one, removed at the end
  uint16_t base_port = 7100;
  std::string ready_file;         // empty: none
  std::vector<std::string> sets;  // KEY=VALUE
};

// die_with: pid of the parent with which this process dies; 0: none.
Exit start(const Sources& sources, int die_with);
Exit format(const Sources& sources);
Exit check_config(const Sources& sources);
Exit show_config(const Sources& sources, bool origin);
Exit dev(const DevArguments& arguments);

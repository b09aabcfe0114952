// What stands behind the opaque handles that more than one file of the shell sees.
#pragma once

#include <string>
#include <vector>

#include "capi/config.h"

struct bop_config {
  bop::capi::Config config;
  std::vector<std::string> texts;  // one a key: what items point to, until something changes
};

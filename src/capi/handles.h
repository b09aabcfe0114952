// The structs behind the opaque handles that several files of capi use.
#pragma once

#include <string>
#include <vector>

#include "capi/config.h"

struct bop_config {
  bop::capi::Config config;
  std::vector<std::string>
      texts;  // by key: values as TOML, to which bop_config_item points; empty: not made yet
};

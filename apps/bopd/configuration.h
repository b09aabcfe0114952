// Loads the configuration from a file, the environment and flags.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bop/config.h"

struct ConfigDeleter {
  void operator()(bop_config* config) const { bop_config_destroy(config); }
};
using Config = std::unique_ptr<bop_config, ConfigDeleter>;

// The options of the command line for the configuration.
struct Sources {
  std::string file;               // empty: none
  std::vector<std::string> sets;  // KEY=VALUE
  bool insecure = false;
};

// The configuration, or the error if status is not BOP_OK.
struct Loaded {
  int32_t status = BOP_OK;
  std::string error;
  Config config;
};
Loaded load(const Sources& sources);

// The value of a key; text without quotes.
std::string text_of(const bop_config* config, const char* key);
// Removes all BOP_ variables of keys from the environment, so that child processes use only their file.
void forget_environment();
// Sets a key. The error message; empty: success.
std::string set(bop_config* config, const std::string& key, const std::string& value);

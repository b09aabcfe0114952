// A configuration from a file, the environment and flags.
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

// What the command line says about configuration.
struct Sources {
  std::string file;
  std::vector<std::string> sets;  // KEY=VALUE
  bool insecure = false;
};

// BOP_OK and the configuration, or what is wrong.
struct Loaded {
  int32_t status = BOP_OK;
  std::string error;
  Config config;
};
Loaded load(const Sources& sources);

// The value of a key, without quotes.
std::string text_of(const bop_config* config, const char* key);
// Takes every key out of the process's environment: for children that are to go by their file.
void forget_environment();
// An error's words, empty when it is set.
std::string set(bop_config* config, const std::string& key, const std::string& value);

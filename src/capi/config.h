// Config: keys, their values from four sources, and what they add up to. bop/config.h in C++.
//
//   config_keys.cpp   what keys there are and where each goes: the one table, of which
//                     docs/CONFIGURATION.md is made
//   config_toml.cpp   TOML in and out: the only file that knows the parser
//   config.cpp        layers and precedence
//   config_check.cpp  what no single key can say; makes Settings
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "capi/settings.h"

namespace bop::capi {

enum class Kind : uint8_t {
  text,
  path,        // relative ones in a file are relative to the file
  choice,      // one of Key::choices
  address,     // HOST:PORT or empty
  cluster_id,  // 32 hexadecimal digits or empty
  integer,     // Key::low..Key::high
  boolean,
  hosts,  // a list of host names
  peers,
  groups,
};

using Value = std::variant<std::string, int64_t, bool, std::vector<std::string>, std::vector<Peer>,
                           std::vector<GroupSpec>>;

struct Key {
  const char* name;  // "log.max_bytes"
  Kind kind;
  const char* fallback;  // the default as TOML writes it
  const char* help;      // one line
  // Puts a value of this kind where the module reads it. nullptr: config_check.cpp makes more of the value,
  // or a program reads it by the key's name.
  void (*store)(Settings& settings, const Value& value);
  int64_t low = 0, high = 0;
  const char* choices = "";  // "auto|uring|pool"
};

// In the order of the documentation: keys without a table first, then table by table.
std::span<const Key> config_keys();
const Key* find_key(std::string_view name);
std::string environment_name(const Key& key);  // "BOP_LOG_MAX_BYTES"

// ---- TOML (config_toml.cpp) ----

struct Assignment {
  size_t key;  // index in config_keys()
  Value value;
  std::string source;  // "bopd.toml:12"
};

constexpr size_t max_config_bytes = 1 << 20;

// All assignments of a document, or BAD_CONFIG at the first line that has something wrong.
Result<std::vector<Assignment>> read_toml(std::string_view text, const std::string& name,
                                          const std::string& folder);
// One value as the environment and flags give it: text as it is for kinds of text, else TOML.
Result<Value> read_value(const Key& key, std::string_view text, const std::string& source);
std::string to_toml(const Value& value);

// ---- configuration ----

enum class Origin : uint8_t { fallback = 0, file = 1, environment = 2, flag = 3 };

class Config {
 public:
  Config();

  // Each replaces the earlier values of the same source, and changes nothing when it fails.
  Status load_file(const std::string& path);
  Status load_text(std::string_view text, const std::string& name, const std::string& folder = {});
  Status load_environment();
  Status set(std::string_view key, std::string_view value);

  const Value& value(size_t key) const;
  Origin origin(size_t key) const;
  const std::string& source(size_t key) const;
  // The name of the document that was loaded; empty: none was.
  const std::string& document() const { return document_; }

  // What is not a default, as a document.
  std::string write() const;

  // Checks the whole and gives it typed.
  Result<Settings> settings() const;

 private:
  struct Held {
    Value value;
    std::string source;
  };
  using Layer = std::vector<std::optional<Held>>;  // one a key

  const Held& held(size_t key) const;

  std::array<Layer, 4> layers_;  // by Origin
  std::string document_;
};

}  // namespace bop::capi

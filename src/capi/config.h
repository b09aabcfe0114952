// Config: configuration keys and their values from four sources. The C++ side of bop/config.h.
//
//   config_keys.cpp   the one table of keys; docs/CONFIGURATION.md is generated from it
//   config_toml.cpp   reading and writing TOML; the only file that includes the parser
//   config.cpp        sources and their precedence
//   config_check.cpp  rules that concern several keys; makes Settings
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
  path,        // in a file, relative paths are relative to the file's directory
  choice,      // one of Key::choices
  address,     // HOST:PORT or empty
  cluster_id,  // 32 hexadecimal digits or empty
  integer,     // Key::low..Key::high
  boolean,
  hosts,   // a list of host names
  peers,   // a list of tables, see Peer
  groups,  // a list of tables, see GroupSpec
};

using Value = std::variant<std::string, int64_t, bool, std::vector<std::string>, std::vector<Peer>,
                           std::vector<GroupSpec>>;

struct Key {
  const char* name;  // "log.max_bytes"
  Kind kind;
  const char* fallback;  // the default, as TOML
  const char* help;  // meaning, unit, effect, when to change it: a cell of the table in the docs
  // Stores a value of this kind in the settings. nullptr: config_check.cpp converts the value, or a program reads it
  // by the name of the key.
  void (*store)(Settings& settings, const Value& value);
  int64_t low = 0, high = 0;  // range of an integer, inclusive
  const char* choices = "";   // of a choice: "auto|uring|pool"
};

// In the order of the documentation: first the keys without a TOML table, then table by table.
std::span<const Key> config_keys();
const Key* find_key(std::string_view name);
// Whether a running node takes over a changed value (Runtime::reload, and programs for logging.*).
bool is_reloadable(const Key& key);
std::string environment_name(const Key& key);  // "BOP_LOG_MAX_BYTES"

// ---- TOML (config_toml.cpp) ----

struct Assignment {
  size_t key;  // index in config_keys()
  Value value;
  std::string source;  // where it was read: "bopd.toml:12"
};

constexpr size_t max_config_bytes = 1 << 20;

// All assignments of a document. BAD_CONFIG, with the first line that is wrong. `name` is for messages; relative paths
// are relative to `folder`.
Result<std::vector<Assignment>> read_toml(std::string_view text, const std::string& name,
                                          const std::string& folder);
// A value from the environment or a flag: strings without quotes, other kinds as TOML.
Result<Value> read_value(const Key& key, std::string_view text, const std::string& source);
std::string to_toml(const Value& value);

// ---- configuration ----

enum class Origin : uint8_t { fallback = 0, file = 1, environment = 2, flag = 3 };

class Config {
 public:
  Config();

  // Each load replaces all values of its source. A call that fails changes nothing.
  Status load_file(const std::string& path);
  Status load_text(std::string_view text, const std::string& name, const std::string& folder = {});
  Status load_environment();
  Status set(std::string_view key, std::string_view value);

  // `key`: index in config_keys().
  const Value& value(size_t key) const;
  Origin origin(size_t key) const;
  const std::string& source(size_t key) const;  // "bopd.toml:12", "BOP_SHARDS", "flag" or "default"
  // The name of the loaded document; empty: none was loaded.
  const std::string& document() const { return document_; }

  // All values that are not defaults, as a TOML document.
  std::string write() const;

  // Validates all values together. BAD_CONFIG, with source and key.
  Result<Settings> settings() const;

 private:
  struct Held {
    Value value;
    std::string source;
  };
  using Layer = std::vector<std::optional<Held>>;  // by key; nullopt: the source does not set it

  const Held& held(size_t key) const;

  std::array<Layer, 4> layers_;  // by Origin
  std::string document_;
};

}  // namespace bop::capi

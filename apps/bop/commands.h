// All commands except bench. Each prints its result and returns the exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "session.h"

struct PutArguments {
  std::string key;
  std::optional<std::string> value;  // none or "-": standard input
  bool if_absent = false, if_present = false;
  std::optional<uint64_t> if_revision;
};
struct RangeArguments {
  std::string first, end;
  std::string prefix;
  uint64_t limit = 1000;
  bool keys_only = false;
};

struct RawArguments {
  std::optional<std::string> payload;  // none or "-": standard input; "@FILE": a file
  bool hex = false;                    // hexadecimal digits in and out
};
enum class RawKind { command, question };

Exit put(const Globals& globals, const PutArguments& arguments);
Exit get(const Globals& globals, const std::string& key);
Exit remove(const Globals& globals, const std::vector<std::string>& keys);
Exit range(const Globals& globals, const RangeArguments& arguments);
Exit increment(const Globals& globals, const std::string& key, int64_t by);
Exit compare_and_set(const Globals& globals, const std::string& key, const std::string& expected,
                     const std::string& value);
Exit raw(const Globals& globals, const RawArguments& arguments, RawKind kind);
Exit status(const Globals& globals, bool all);
enum class SnapshotVerb { take, list, verify };
Exit snapshot(const Globals& globals, SnapshotVerb verb);
Exit inspect_log(const Globals& globals, const std::string& directory);

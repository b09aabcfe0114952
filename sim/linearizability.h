// Is a history of client operations on a key-value store linearizable (Herlihy and Wing, 1990)?
//
// Pure: its only input is what clients saw. The simulator and the tests on real processes share it;
// bop-check reads a history from a file (sim/history.h).
//
// A history is checked key by key, which is enough (locality, Herlihy and Wing §3.1). For a key the
// checker goes through invocations and returns in time and keeps every configuration the store may be
// in: its record, and which of the operations under way have already taken effect. An operation
// takes effect no earlier than a return demands it ("just in time", Lowe 2017), so effects that nobody
// observes cost nothing. No configuration left: there is no linearization, and the return that left none is named.
//
// An operation whose outcome is unknown may take effect at any time after its invocation, or never.
// One that certainly did not execute does not belong in a history: if it took effect anyway, the
// results of others contradict it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/time.h"

namespace bop::sim {

struct Operation {
  enum class Kind : uint8_t { get, put, remove, add, append };
  enum class Condition : uint8_t { none, absent, present, value, revision };
  enum class Outcome : uint8_t { ok, condition_failed, wrong_type, overflow, unknown };

  // The record as a reply shows it: for a get as it is, for the others as it was before.
  struct Seen {
    bool present = false;
    std::optional<std::string> value;  // absent: unknown
    uint64_t revision = 0;             // 0: unknown
    friend bool operator==(const Seen&, const Seen&) = default;
  };

  uint64_t client = 0;
  std::string key;
  Kind kind = Kind::get;
  std::string value;  // put: the new one; append: what is appended
  int64_t delta = 0;  // add
  Condition condition = Condition::none;
  std::string expected;            // of Condition::value
  uint64_t expected_revision = 0;  // of Condition::revision; 0: absent
  Instant invoked = 0;
  Instant returned = never;  // `never` when the outcome is unknown
  Outcome outcome = Outcome::unknown;

  // From the reply; each may be missing.
  std::optional<Seen> seen;
  std::optional<int64_t> result;  // add: the new number; append: the new length
  uint64_t revision = 0;          // of a write that took effect: the record's new revision
  friend bool operator==(const Operation&, const Operation&) = default;
};

// "client 3: put a=7 if absent -> ok [12 ns, 15 ns]"
std::string describe(const Operation& operation);

struct CheckLimits {
  size_t max_configurations = 200'000;  // of one key at one time; beyond, the verdict is undecided
};

enum class Verdict : uint8_t { linearizable, violated, undecided };

struct CheckResult {
  Verdict verdict = Verdict::linearizable;
  std::string key;       // where it is not linearizable or could not be decided
  size_t operation = 0;  // index into the history: whose return fits no linearization
  std::string why;       // for people, several lines
  size_t keys = 0;
  size_t peak_configurations = 0;
};

// Of a whole history, in any order; every key is absent at its beginning. The first violation found,
// in the order of keys; undecided only when no key is violated.
CheckResult check_history(std::span<const Operation> history, const CheckLimits& limits = {});

}  // namespace bop::sim

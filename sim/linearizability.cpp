#include "sim/linearizability.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

#include "base/assert.h"

namespace bop::sim {

namespace {

using Kind = Operation::Kind;
using Condition = Operation::Condition;
using Outcome = Operation::Outcome;

// ---- the model: one record ----

struct Record {
  bool present = false;
  std::string value;
  uint64_t revision = 0;  // 0 of a present one: nobody was told
  friend auto operator<=>(const Record&, const Record&) = default;
};

const Record absent{};

bool revisions_agree(uint64_t a, uint64_t b) { return a == 0 || b == 0 || a == b; }

// A number as Redis keeps it: decimal, no leading zeros, no plus, no minus zero.
std::optional<int64_t> as_number(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  if (std::to_string(number) != text) return {};
  return number;
}

// Whether what an answer told fits the record; a record whose revision nobody knew then has it.
bool meets(Record& record, const std::optional<Operation::Seen>& seen) {
  if (!seen) return true;
  if (seen->present != record.present) return false;
  if (!record.present) return true;
  if (seen->value && *seen->value != record.value) return false;
  if (!revisions_agree(seen->revision, record.revision)) return false;
  if (record.revision == 0) record.revision = seen->revision;
  return true;
}

// Of a record whose revision nobody knew, both are possible.
struct Holds {
  bool can_be_true;
  bool can_be_false;
};

Holds holds(const Operation& operation, const Record& record) {
  const auto certain = [](bool value) { return Holds{value, !value}; };
  switch (operation.condition) {
    case Condition::none: return certain(true);
    case Condition::absent: return certain(!record.present);
    case Condition::present: return certain(record.present);
    case Condition::value: return certain(record.present && record.value == operation.expected);
    case Condition::revision:
      if (operation.expected_revision == 0) return certain(!record.present);
      if (!record.present) return certain(false);
      if (record.revision == 0) return {true, true};
      return certain(record.revision == operation.expected_revision);
  }
  return certain(false);
}

// What the operation makes of a record when it executes.
struct Effect {
  Outcome outcome;
  Record after;
  std::optional<int64_t> result;
};

Effect execute_add(const Operation& operation, const Record& record) {
  const auto number = record.present ? as_number(record.value) : std::optional<int64_t>(0);
  if (!number) return {Outcome::wrong_type, record, {}};
  int64_t sum;
  if (__builtin_add_overflow(*number, operation.delta, &sum))
    return {Outcome::overflow, record, {}};
  return {Outcome::ok, {true, std::to_string(sum), operation.revision}, sum};
}

Effect execute(const Operation& operation, const Record& record) {
  switch (operation.kind) {
    case Kind::get: return {Outcome::ok, record, {}};
    case Kind::put: return {Outcome::ok, {true, operation.value, operation.revision}, {}};
    case Kind::remove: return {Outcome::ok, absent, {}};
    case Kind::add: return execute_add(operation, record);
    case Kind::append: {
      const std::string value = (record.present ? record.value : "") + operation.value;
      const auto length = static_cast<int64_t>(value.size());
      return {Outcome::ok, {true, value, operation.revision}, length};
    }
  }
  return {Outcome::unknown, record, {}};
}

// The record after the operation took effect on `record` and was answered as it was; nothing when
// that cannot be. One whose outcome is unknown is taken as executed with success: anything else is
// the same as never.
std::optional<Record> apply(const Operation& operation, const Record& record) {
  Record before = record;
  const bool failed = operation.outcome == Outcome::condition_failed;
  const Holds condition = holds(operation, before);
  if (failed ? !condition.can_be_false : !condition.can_be_true) return {};
  if (operation.condition == Condition::revision && !failed && before.present) {
    before.revision = operation.expected_revision;
  }
  if (!meets(before, operation.seen)) return {};
  if (failed) return before;

  Effect effect = execute(operation, before);
  const Outcome wanted = operation.outcome == Outcome::unknown ? Outcome::ok : operation.outcome;
  if (effect.outcome != wanted) return {};
  if (operation.result && effect.result != operation.result) return {};
  return std::move(effect.after);
}

// It leaves every record as it is, whenever it takes effect.
bool only_reads(const Operation& operation) {
  if (operation.outcome == Outcome::unknown) return false;
  if (operation.outcome != Outcome::ok || operation.kind == Kind::get) return true;
  return operation.kind == Kind::remove && operation.seen && !operation.seen->present;
}

// ---- the search: one key ----

constexpr size_t max_open = 256;  // operations under way, and those of unknown outcome

class Slots {
 public:
  bool has(size_t slot) const { return (words_[slot / 64] >> (slot % 64)) & 1; }
  void add(size_t slot) { words_[slot / 64] |= uint64_t{1} << (slot % 64); }
  void remove(size_t slot) { words_[slot / 64] &= ~(uint64_t{1} << (slot % 64)); }
  Slots without(const Slots& others) const {
    Slots result = *this;
    for (size_t i = 0; i < words_.size(); ++i) result.words_[i] &= ~others.words_[i];
    return result;
  }
  bool within(const Slots& others) const { return without(others) == Slots{}; }
  friend auto operator<=>(const Slots&, const Slots&) = default;

 private:
  std::array<uint64_t, max_open / 64> words_{};
};

struct Configuration {
  uint32_t record = 0;  // number of it
  Slots done;           // of the open operations, those that took effect
};

// Every record met gets a number, so that configurations are small.
class Records {
 public:
  uint32_t number_of(Record record) {
    const auto [at, added] = numbers_.try_emplace(std::move(record), list_.size());
    if (added) list_.push_back(&at->first);
    return at->second;
  }
  const Record& at(uint32_t number) const { return *list_[number]; }

 private:
  std::map<Record, uint32_t> numbers_;
  std::vector<const Record*> list_;
};

// Configurations without those that add nothing: doubles, and those that differ from another only by
// more operations of unknown outcome used up (whatever can still follow them can follow the other).
class Frontier {
 public:
  explicit Frontier(const Slots& unknown) : unknown_(unknown) {}

  // False: it adds nothing.
  bool add(const Configuration& candidate) {
    auto& group = groups_[{candidate.record, candidate.done.without(unknown_)}];
    const auto needless = [&](const Slots& kept) { return kept.within(candidate.done); };
    if (std::any_of(group.begin(), group.end(), needless)) return false;
    size_ -= std::erase_if(group, [&](const Slots& kept) { return candidate.done.within(kept); });
    group.push_back(candidate.done);
    ++size_;
    return true;
  }
  size_t size() const { return size_; }
  std::vector<Configuration> take() const {
    std::vector<Configuration> all;
    for (const auto& [key, group] : groups_) {
      for (const Slots& done : group) all.push_back({key.first, done});
    }
    return all;
  }

 private:
  const Slots unknown_;
  std::map<std::pair<uint32_t, Slots>, std::vector<Slots>> groups_;
  size_t size_ = 0;
};

class KeySearch {
 public:
  KeySearch(std::span<const Operation> history, const CheckLimits& limits)
      : history_(history), limits_(limits) {
    configurations_.push_back({records_.number_of(absent), {}});
  }

  CheckResult run(const std::vector<size_t>& operations);

 private:
  struct Event {
    Instant when;
    bool returns;  // at one instant invocations come first: those two operations overlap
    size_t operation;
    friend auto operator<=>(const Event&, const Event&) = default;
  };
  struct Open {
    size_t operation;
    size_t slot;
  };

  static std::vector<Event> events_of(std::span<const Operation> history,
                                      const std::vector<size_t>& operations);
  bool invoke(size_t operation);
  bool end(size_t operation);
  std::optional<uint32_t> next(const Configuration& from, size_t operation);
  // Reads whose answer is the record as it is take effect now: it can only ease what follows.
  void take_reads(Configuration& configuration);
  // Calls `reached` with each configuration that one effect more makes of `from`.
  template <class Reached>
  void spread(const Configuration& from, Reached reached);
  std::string story(size_t operation, const std::vector<Configuration>& before) const;
  CheckResult give_up(size_t operation, std::string why) const;

  std::span<const Operation> history_;
  const CheckLimits limits_;
  Records records_;
  std::vector<Configuration> configurations_;
  std::vector<Open> open_;
  std::vector<size_t> free_slots_;
  size_t used_slots_ = 0;
  Slots unknown_;  // slots of operations of unknown outcome
  size_t peak_ = 1;
};

std::vector<KeySearch::Event> KeySearch::events_of(std::span<const Operation> history,
                                                   const std::vector<size_t>& operations) {
  std::vector<Event> events;
  for (const size_t i : operations) {
    const Operation& operation = history[i];
    const bool unknown = operation.outcome == Outcome::unknown;
    if (unknown && operation.kind == Kind::get) continue;  // demands nothing, changes nothing
    events.push_back({operation.invoked, false, i});
    if (!unknown) events.push_back({operation.returned, true, i});
  }
  std::sort(events.begin(), events.end());
  return events;
}

CheckResult KeySearch::run(const std::vector<size_t>& operations) {
  for (const Event& event : events_of(history_, operations)) {
    if (!event.returns) {
      if (!invoke(event.operation))
        return give_up(event.operation, "too many operations under way");
      continue;
    }
    const std::vector<Configuration> before = configurations_;
    if (!end(event.operation)) return give_up(event.operation, "too many configurations");
    if (configurations_.empty()) {
      CheckResult result = give_up(event.operation, story(event.operation, before));
      result.verdict = Verdict::violated;
      return result;
    }
  }
  CheckResult result;
  result.peak_configurations = peak_;
  return result;
}

CheckResult KeySearch::give_up(size_t operation, std::string why) const {
  CheckResult result;
  result.verdict = Verdict::undecided;
  result.key = history_[operation].key;
  result.operation = operation;
  result.why = std::move(why);
  result.peak_configurations = peak_;
  return result;
}

bool KeySearch::invoke(size_t operation) {
  size_t slot;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else if (used_slots_ < max_open) {
    slot = used_slots_++;
  } else {
    return false;
  }
  open_.push_back({operation, slot});
  if (history_[operation].outcome == Outcome::unknown) unknown_.add(slot);
  if (only_reads(history_[operation])) {
    Frontier frontier(unknown_);
    for (Configuration& configuration : configurations_) {
      take_reads(configuration);
      frontier.add(configuration);
    }
    configurations_ = frontier.take();
  }
  return true;
}

std::optional<uint32_t> KeySearch::next(const Configuration& from, size_t operation) {
  auto after = apply(history_[operation], records_.at(from.record));
  if (!after) return {};
  return records_.number_of(std::move(*after));
}

void KeySearch::take_reads(Configuration& configuration) {
  for (const auto& [operation, slot] : open_) {
    if (configuration.done.has(slot) || !only_reads(history_[operation])) continue;
    if (next(configuration, operation) == configuration.record) configuration.done.add(slot);
  }
}

bool KeySearch::end(size_t operation) {
  const auto open = std::find_if(open_.begin(), open_.end(),
                                 [&](const Open& o) { return o.operation == operation; });
  BOP_ASSERT(open != open_.end());
  const size_t slot = open->slot;

  Frontier done(unknown_);
  Frontier met(unknown_);
  std::vector<Configuration> work;  // met, and not followed yet; grows at its end
  const auto reached = [&](Configuration configuration) {
    if (configuration.done.has(slot)) {
      configuration.done.remove(slot);
      done.add(configuration);
    } else if (met.add(configuration)) {
      work.push_back(configuration);
    }
  };
  for (const Configuration& configuration : configurations_) reached(configuration);
  for (size_t i = 0; i < work.size(); ++i) {
    const Configuration from = work[i];
    spread(from, reached);
    if (work.size() + done.size() > limits_.max_configurations) return false;
  }
  peak_ = std::max(peak_, work.size() + done.size());
  open_.erase(open);
  free_slots_.push_back(slot);
  configurations_ = done.take();
  return true;
}

template <class Reached>
void KeySearch::spread(const Configuration& from, Reached reached) {
  for (const Open& open : open_) {
    if (from.done.has(open.slot)) continue;
    const auto record = next(from, open.operation);
    if (!record) continue;
    // An unknown outcome that changes nothing is the same as none.
    if (*record == from.record && unknown_.has(open.slot)) continue;
    Configuration to{*record, from.done};
    to.done.add(open.slot);
    take_reads(to);
    reached(to);
  }
}

std::string describe(const Record& record) {
  if (!record.present) return "absent";
  std::string text = "'" + record.value + "'";
  if (record.revision != 0) text += " at revision " + std::to_string(record.revision);
  return text;
}

std::string KeySearch::story(size_t operation, const std::vector<Configuration>& before) const {
  constexpr size_t shown = 8;
  std::string text = "no order of effects explains: " + describe(history_[operation]);
  text += "\n  the record may have been:";
  std::vector<uint32_t> records;
  for (const Configuration& configuration : before) records.push_back(configuration.record);
  std::sort(records.begin(), records.end());
  records.erase(std::unique(records.begin(), records.end()), records.end());
  for (size_t i = 0; i < records.size() && i < shown; ++i) {
    text += "\n    " + describe(records_.at(records[i]));
  }
  if (records.size() > shown)
    text += "\n    and " + std::to_string(records.size() - shown) + " more";
  text += "\n  under way, or of unknown outcome:";
  size_t listed = 0;
  for (const Open& open : open_) {
    if (open.operation == operation || listed++ >= shown) continue;
    text += "\n    " + describe(history_[open.operation]);
  }
  if (listed == 0) text += " nothing";
  if (listed > shown) text += "\n    and " + std::to_string(listed - shown) + " more";
  return text;
}

// ---- words ----

const char* word(Kind kind) {
  switch (kind) {
    case Kind::get: return "get";
    case Kind::put: return "put";
    case Kind::remove: return "remove";
    case Kind::add: return "add";
    case Kind::append: return "append";
  }
  return "?";
}

const char* word(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok: return "ok";
    case Outcome::condition_failed: return "condition failed";
    case Outcome::wrong_type: return "wrong type";
    case Outcome::overflow: return "overflow";
    case Outcome::unknown: return "unknown";
  }
  return "?";
}

std::string condition_text(const Operation& operation) {
  switch (operation.condition) {
    case Condition::none: return "";
    case Condition::absent: return " if absent";
    case Condition::present: return " if present";
    case Condition::value: return " if '" + operation.expected + "'";
    case Condition::revision:
      return " if at revision " + std::to_string(operation.expected_revision);
  }
  return " if ?";
}

}  // namespace

std::string describe(const Operation& operation) {
  std::string text = "client " + std::to_string(operation.client) + ": ";
  text += std::string(word(operation.kind)) + " " + operation.key;
  if (operation.kind == Kind::put || operation.kind == Kind::append) {
    text += " '" + operation.value + "'";
  }
  if (operation.kind == Kind::add) text += " " + std::to_string(operation.delta);
  text += condition_text(operation);
  text += std::string(" -> ") + word(operation.outcome);
  if (operation.seen) {
    const Operation::Seen& seen = *operation.seen;
    text += seen.present ? ", saw " : ", saw nothing";
    if (seen.present) text += seen.value ? "'" + *seen.value + "'" : "a record";
    if (seen.revision != 0) text += " at revision " + std::to_string(seen.revision);
  }
  if (operation.result) text += ", result " + std::to_string(*operation.result);
  if (operation.revision != 0) text += ", revision " + std::to_string(operation.revision);
  text += " [" + std::to_string(operation.invoked) + " ns, ";
  return text +
         (operation.returned == never ? "never" : std::to_string(operation.returned) + " ns") + "]";
}

CheckResult check_history(std::span<const Operation> history, const CheckLimits& limits) {
  std::map<std::string_view, std::vector<size_t>> keys;
  for (size_t i = 0; i < history.size(); ++i) keys[history[i].key].push_back(i);
  CheckResult whole;
  size_t peak = 0;
  for (const auto& [key, operations] : keys) {
    CheckResult one = KeySearch(history, limits).run(operations);
    peak = std::max(peak, one.peak_configurations);
    if (one.verdict == Verdict::linearizable) continue;
    if (whole.verdict == Verdict::linearizable || one.verdict == Verdict::violated) {
      whole = std::move(one);
    }
    if (whole.verdict == Verdict::violated) break;
  }
  whole.keys = keys.size();
  whole.peak_configurations = peak;
  return whole;
}

}  // namespace bop::sim

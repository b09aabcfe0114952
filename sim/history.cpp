#include "sim/history.h"

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace bop::sim {

namespace {

using Json = nlohmann::ordered_json;
using Kind = Operation::Kind;
using Condition = Operation::Condition;
using Outcome = Operation::Outcome;

template <class T>
using Word = std::pair<const char*, T>;

constexpr std::array kinds{Word<Kind>{"get", Kind::get}, Word<Kind>{"put", Kind::put},
                           Word<Kind>{"remove", Kind::remove}, Word<Kind>{"add", Kind::add},
                           Word<Kind>{"append", Kind::append}};
constexpr std::array conditions{
    Word<Condition>{"absent", Condition::absent}, Word<Condition>{"present", Condition::present},
    Word<Condition>{"value", Condition::value}, Word<Condition>{"revision", Condition::revision}};
constexpr std::array outcomes{
    Word<Outcome>{"ok", Outcome::ok}, Word<Outcome>{"condition_failed", Outcome::condition_failed},
    Word<Outcome>{"wrong_type", Outcome::wrong_type}, Word<Outcome>{"overflow", Outcome::overflow},
    Word<Outcome>{"unknown", Outcome::unknown}};

template <class Words, class T>
const char* word_of(const Words& words, T value) {
  for (const auto& [word, meaning] : words) {
    if (meaning == value) return word;
  }
  return "?";
}

// ---- bytes as text ----

std::string to_text(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

// Of valid UTF-8; nothing when a character is above U+00FF.
bool to_bytes(std::string_view text, std::string& bytes) {
  bytes.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < 0x80) {
      bytes += text[i];
    } else if (byte <= 0xc3 && i + 1 < text.size()) {
      bytes += static_cast<char>((byte & 0x03) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3f));
    } else {
      return false;
    }
  }
  return true;
}

// ---- one line ----

// Takes fields from an object and remembers the first that is wrong, and which were asked for.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {
    if (!object.is_object()) wrong_ = "not an object";
  }

  bool has(const char* name) {
    known_.insert(name);
    return object_.is_object() && object_.contains(name);
  }
  std::string text(const char* name) {
    std::string bytes;
    if (!need(name)) return bytes;
    const Json& value = object_[name];
    if (!value.is_string() || !to_bytes(value.get_ref<const std::string&>(), bytes)) {
      complain(name, "is not a string of characters up to U+00FF");
    }
    return bytes;
  }
  int64_t number(const char* name) {
    if (!need(name)) return 0;
    if (!object_[name].is_number_integer()) {
      complain(name, "is not a whole number");
      return 0;
    }
    return object_[name].get<int64_t>();
  }
  uint64_t unsigned_number(const char* name) {
    if (!need(name)) return 0;
    if (!object_[name].is_number_unsigned()) {
      complain(name, "is not a whole number of 0 or more");
      return 0;
    }
    return object_[name].get<uint64_t>();
  }
  bool flag(const char* name) {
    if (!need(name)) return false;
    if (!object_[name].is_boolean()) {
      complain(name, "is not true or false");
      return false;
    }
    return object_[name].get<bool>();
  }
  template <class Words>
  auto word(const char* name, const Words& words) {
    const std::string given = text(name);
    for (const auto& [word, meaning] : words) {
      if (given == word) return meaning;
    }
    complain(name, "is not a word it can have");
    return words.front().second;
  }
  const Json* object(const char* name) { return has(name) ? &object_[name] : nullptr; }

  void complain(const std::string& name, const std::string& what) {
    if (wrong_.empty()) wrong_ = "field '" + name + "' " + what;
  }
  // Empty: all was well, and nothing else is in the object.
  std::string wrong() {
    if (!wrong_.empty()) return wrong_;
    for (const auto& [name, value] : object_.items()) {
      if (!known_.contains(name)) complain(name, "is not known");
    }
    return wrong_;
  }

 private:
  bool need(const char* name) {
    if (has(name)) return true;
    complain(name, "is missing");
    return false;
  }

  const Json& object_;
  std::set<std::string> known_;
  std::string wrong_;
};

std::string read_seen(const Json& object, Operation::Seen& seen) {
  Fields fields(object);
  seen.present = fields.flag("present");
  if (fields.has("value")) seen.value = fields.text("value");
  if (fields.has("revision")) seen.revision = fields.unsigned_number("revision");
  return fields.wrong();
}

void read_condition(Fields& fields, Operation& operation) {
  if (!fields.has("if")) return;
  if (operation.kind == Kind::get) return fields.complain("if", "stands in a get");
  operation.condition = fields.word("if", conditions);
  if (operation.condition == Condition::value) operation.expected = fields.text("expected");
  if (operation.condition == Condition::revision) {
    operation.expected_revision = fields.unsigned_number("expected_revision");
  }
}

void read_answer(Fields& fields, Operation& operation) {
  operation.outcome = fields.word("outcome", outcomes);
  if (operation.outcome == Outcome::unknown) return;
  operation.returned = fields.number("returned_ns");
  if (operation.returned < operation.invoked) {
    fields.complain("returned_ns", "is before invoked_ns");
  }
  if (const Json* object = fields.object("seen")) {
    operation.seen = Operation::Seen{};
    const std::string wrong = read_seen(*object, *operation.seen);
    if (!wrong.empty()) fields.complain("seen", "is wrong: " + wrong);
  }
  if (fields.has("result")) operation.result = fields.number("result");
  if (fields.has("revision")) operation.revision = fields.unsigned_number("revision");
}

std::string read_operation(const Json& object, Operation& operation) {
  Fields fields(object);
  operation.client = fields.unsigned_number("client");
  operation.key = fields.text("key");
  operation.kind = fields.word("op", kinds);
  if (operation.kind == Kind::put || operation.kind == Kind::append) {
    operation.value = fields.text("value");
  }
  if (operation.kind == Kind::add) operation.delta = fields.number("delta");
  operation.invoked = fields.number("invoked_ns");
  read_condition(fields, operation);
  read_answer(fields, operation);
  return fields.wrong();
}

}  // namespace

std::string to_json_line(const Operation& operation) {
  Json line;
  line["client"] = operation.client;
  line["key"] = to_text(operation.key);
  line["op"] = word_of(kinds, operation.kind);
  if (operation.kind == Kind::put || operation.kind == Kind::append) {
    line["value"] = to_text(operation.value);
  }
  if (operation.kind == Kind::add) line["delta"] = operation.delta;
  if (operation.condition != Condition::none) {
    line["if"] = word_of(conditions, operation.condition);
  }
  if (operation.condition == Condition::value) line["expected"] = to_text(operation.expected);
  if (operation.condition == Condition::revision) {
    line["expected_revision"] = operation.expected_revision;
  }
  line["outcome"] = word_of(outcomes, operation.outcome);
  line["invoked_ns"] = operation.invoked;
  if (operation.outcome == Outcome::unknown) return line.dump();
  line["returned_ns"] = operation.returned;
  if (operation.seen) {
    Json& seen = line["seen"];
    seen["present"] = operation.seen->present;
    if (operation.seen->value) seen["value"] = to_text(*operation.seen->value);
    if (operation.seen->revision != 0) seen["revision"] = operation.seen->revision;
  }
  if (operation.result) line["result"] = *operation.result;
  if (operation.revision != 0) line["revision"] = operation.revision;
  return line.dump();
}

Result<std::vector<Operation>> parse_history(std::string_view text) {
  std::vector<Operation> history;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Json object = Json::parse(line, nullptr, false);
    Operation operation;
    const std::string wrong =
        object.is_discarded() ? "not JSON" : read_operation(object, operation);
    if (!wrong.empty()) {
      return fail(BOP_E_PROTOCOL, "line " + std::to_string(number) + ": " + wrong);
    }
    history.push_back(std::move(operation));
  }
  return history;
}

}  // namespace bop::sim

#include "commands.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "input.h"
#include "kv.h"
#include "output.h"

namespace {

Exit malformed(const Globals& globals) {
  return report(globals, BOP_E_PROTOCOL, "malformed answer: it is not of the machine kv");
}

// One byte more than the largest value, so that a longer input is refused rather than truncated.
constexpr size_t most_bytes = size_t{BOP_KV_VALUE_MAX} + 1;

std::optional<Exit> refuse_key(const Globals& globals, const std::string& key) {
  if (!key.empty() && key.size() <= BOP_KV_KEY_MAX) return std::nullopt;
  return report(globals, key.empty() ? BOP_E_INVALID_ARGUMENT : BOP_E_TOO_LARGE,
                "a key must have 1 to 1024 bytes");
}

std::optional<Exit> refuse_value(const Globals& globals, const std::string& value) {
  if (value.size() <= BOP_KV_VALUE_MAX) return std::nullopt;
  return report(globals, BOP_E_TOO_LARGE, "a value must have at most 1 MiB");
}

void print_revision(const Globals& globals, const std::string& key, uint64_t revision) {
  if (globals.json) {
    nlohmann::json object{{"revision", revision}};
    set_bytes(object, "key", key);
    print_json(object);
  } else {
    std::printf("revision %llu\n", static_cast<unsigned long long>(revision));
  }
}

// Reports a condition that was false, with the current value.
Exit report_condition(const Globals& globals, const Answer& answer) {
  const std::optional<kv::Items> found = kv::read_items(answer.body);
  if (!found || found->items.empty()) return report(globals, answer.status, answer.detail);
  const kv::Item& item = found->items[0];
  if (!item.present) return report(globals, answer.status, "the key does not exist");
  return report(globals, answer.status,
                "the value is \"" + printable(item.value, 200) + "\" at revision " +
                    std::to_string(item.revision));
}

Exit report_command(const Globals& globals, const Answer& answer) {
  return answer.status == BOP_E_CONDITION_FAILED ? report_condition(globals, answer)
                                                 : report(globals, answer.status, answer.detail);
}

}  // namespace

Exit put(const Globals& globals, const PutArguments& arguments) {
  const bool piped = !arguments.value || *arguments.value == "-";
  const std::expected<std::string, Exit> value =
      piped ? read_standard_input(globals, most_bytes) : *arguments.value;
  if (!value) return value.error();
  if (const auto refused = refuse_key(globals, arguments.key)) return *refused;
  if (const auto refused = refuse_value(globals, *value)) return *refused;
  kv::Operation operation;
  operation.key = arguments.key;
  operation.value = *value;
  if (arguments.if_absent) operation.flags |= BOP_KV_IF_ABSENT;
  if (arguments.if_present) operation.flags |= BOP_KV_IF_PRESENT;
  if (arguments.if_revision) {
    operation.flags |= BOP_KV_IF_REVISION;
    operation.revision = *arguments.if_revision;
  }
  Session session(globals);
  const Answer answer = session.propose_kv(kv::command({operation}));
  if (answer.status != BOP_OK) return report_command(globals, answer);
  const auto done = kv::read_items(answer.body);
  if (!done) return malformed(globals);
  print_revision(globals, arguments.key, done->position);
  return ok;
}

Exit get(const Globals& globals, const std::string& key) {
  if (const auto refused = refuse_key(globals, key)) return *refused;
  Session session(globals);
  const Answer answer = session.query_kv(kv::get({key}));
  if (answer.status != BOP_OK) return report(globals, answer.status, answer.detail);
  const auto found = kv::read_items(answer.body);
  if (!found || found->items.size() != 1) return malformed(globals);
  const kv::Item& item = found->items[0];
  if (!item.present) return report(globals, BOP_E_NOT_FOUND, "the key does not exist");
  if (!globals.json) {
    print_raw(item.value);
    return ok;
  }
  nlohmann::json object{{"revision", item.revision}};
  set_bytes(object, "key", key);
  set_bytes(object, "value", item.value);
  print_json(object);
  return ok;
}

Exit remove(const Globals& globals, const std::vector<std::string>& keys) {
  std::vector<kv::Operation> operations;
  for (const std::string& key : keys) {
    if (const auto refused = refuse_key(globals, key)) return *refused;
    kv::Operation operation;
    operation.op = BOP_KV_DELETE;
    operation.flags = BOP_KV_WANT_EXISTED;
    operation.key = key;
    operations.push_back(operation);
  }
  if (operations.size() > BOP_KV_OPERATIONS_MAX) {
    return report(globals, BOP_E_TOO_LARGE, "at most 1024 keys can be deleted at once");
  }
  Session session(globals);
  const Answer answer = session.propose_kv(kv::command(operations));
  if (answer.status != BOP_OK) return report_command(globals, answer);
  const auto done = kv::read_items(answer.body);
  if (!done) return malformed(globals);
  size_t deleted = 0;
  for (const kv::Item& item : done->items) deleted += item.present ? 1 : 0;
  if (globals.json) {
    print_json({{"deleted", deleted}, {"revision", done->position}});
  } else {
    std::printf("deleted %zu\n", deleted);
  }
  return deleted > 0 ? ok : condition;
}

namespace {

void add_record(const RangeArguments& arguments, const kv::Record& record, nlohmann::json& list,
                Table& table) {
  nlohmann::json object{{"revision", record.item.revision}};
  set_bytes(object, "key", record.key);
  std::vector<std::string> row{printable(record.key, 200), std::to_string(record.item.revision)};
  if (!arguments.keys_only) {
    set_bytes(object, "value", record.item.value);
    row.push_back(printable(record.item.value, 200));
  }
  list.push_back(std::move(object));
  table.add(std::move(row));
}

}  // namespace

Exit range(const Globals& globals, const RangeArguments& arguments) {
  for (const std::string& bound : {arguments.prefix, arguments.first, arguments.end}) {
    if (bound.size() > BOP_KV_KEY_MAX) {
      return report(globals, BOP_E_TOO_LARGE, "a prefix or bound must have at most 1024 bytes");
    }
  }
  const bool by_prefix = !arguments.prefix.empty();
  std::string first = by_prefix ? arguments.prefix : arguments.first;
  const uint16_t keys_only = arguments.keys_only ? BOP_KV_KEYS_ONLY : 0;
  nlohmann::json list = nlohmann::json::array();
  std::vector<std::string> header{"KEY", "REVISION"};
  if (!arguments.keys_only) header.push_back("VALUE");
  Table table(std::move(header));

  Session session(globals);
  bool more = true;
  bool onward =
      false;  // on the second page and later ones, which begin after the last key of the previous one
  while (more && list.size() < arguments.limit) {
    kv::Range question;
    question.limit =
        static_cast<uint32_t>(std::min<uint64_t>(arguments.limit - list.size(), BOP_KV_RANGE_MAX));
    question.first = first;
    question.end = arguments.end;
    question.flags = keys_only;
    if (onward) question.flags |= BOP_KV_AFTER;
    // A prefix is a bound only on the first page; on later ones it is checked key by key.
    if (by_prefix && !onward) question.flags |= BOP_KV_PREFIX;
    const Answer answer = session.query_kv(kv::range(question));
    if (answer.status != BOP_OK) return report(globals, answer.status, answer.detail);
    const auto page = kv::read_records(answer.body);
    if (!page) return malformed(globals);
    more = page->more && !page->records.empty();
    for (const kv::Record& record : page->records) {
      if (!record.key.starts_with(arguments.prefix)) {
        more = false;
        break;
      }
      add_record(arguments, record, list, table);
    }
    if (!page->records.empty()) first = page->records.back().key;
    onward = true;
  }
  if (globals.json) {
    print_json({{"records", list}, {"more", more}});
  } else {
    table.print();
    if (more) std::fprintf(stderr, "bop: more keys exist; raise --limit to list them\n");
  }
  return ok;
}

Exit increment(const Globals& globals, const std::string& key, int64_t by) {
  if (const auto refused = refuse_key(globals, key)) return *refused;
  kv::Operation operation;
  operation.op = BOP_KV_ADD;
  operation.key = key;
  operation.delta = by;
  Session session(globals);
  const Answer answer = session.propose_kv(kv::command({operation}));
  if (answer.status != BOP_OK) return report_command(globals, answer);
  const auto done = kv::read_items(answer.body);
  if (!done || done->items.size() != 1) return malformed(globals);
  const std::string value(done->items[0].value);
  if (globals.json) {
    nlohmann::json object{{"revision", done->position}, {"value", std::stoll(value)}};
    set_bytes(object, "key", key);
    print_json(object);
  } else {
    std::puts(value.c_str());
  }
  return ok;
}

Exit compare_and_set(const Globals& globals, const std::string& key, const std::string& expected,
                     const std::string& value) {
  if (const auto refused = refuse_key(globals, key)) return *refused;
  if (const auto refused = refuse_value(globals, value)) return *refused;
  if (const auto refused = refuse_value(globals, expected)) return *refused;
  kv::Operation operation;
  operation.flags = BOP_KV_IF_VALUE;
  operation.key = key;
  operation.value = value;
  operation.expected = expected;
  Session session(globals);
  const Answer answer = session.propose_kv(kv::command({operation}));
  if (answer.status != BOP_OK) return report_command(globals, answer);
  const auto done = kv::read_items(answer.body);
  if (!done) return malformed(globals);
  print_revision(globals, key, done->position);
  return ok;
}

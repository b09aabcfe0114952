// The commands of RespConnection that read and change data.
#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/assert.h"
#include "serve/glob.h"
#include "serve/resp_connection.h"

namespace bop::serve {

namespace {

using Kind = PendingReply::Kind;
using proto::KvOperation;

constexpr std::string_view syntax_error = "ERR syntax error";
constexpr std::string_view no_integer = "ERR value is not an integer or out of range";
constexpr uint32_t usual_scan_count = 10;

struct SetOptions {
  bool if_absent = false;
  bool if_present = false;
  bool previous = false;
  bool keep_ttl = false;
  std::string_view unit;  // of an expiry: EX, PX, EXAT or PXAT; empty: there is none
  std::string_view time;  // the last one given in that unit
};

// The unit of an expiry in lower case; empty for any other word.
std::string_view expiry_unit(std::string_view word) {
  for (const std::string_view unit : {"ex", "px", "exat", "pxat"})
    if (same_word(word, unit)) return unit;
  return {};
}

// In Redis's order, so that syntax errors come first. False: a syntax error.
bool read_set_options(std::span<const Bytes> words, SetOptions& options) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = as_text(words[i]);
    const bool has_next = i + 1 < words.size();
    if (same_word(word, "nx") && !options.if_present) {
      options.if_absent = true;
    } else if (same_word(word, "xx") && !options.if_absent) {
      options.if_present = true;
    } else if (same_word(word, "get")) {
      options.previous = true;
    } else if (same_word(word, "keepttl") && options.unit.empty()) {
      options.keep_ttl = true;
    } else if (const auto unit = expiry_unit(word);
               !unit.empty() && has_next && !options.keep_ttl &&
               (options.unit.empty() || options.unit == unit)) {
      options.unit = unit;
      options.time = as_text(words[++i]);
    } else {
      return false;
    }
  }
  return true;
}

struct ScanOptions {
  uint64_t cursor = 0;
  uint32_t count = usual_scan_count;
  std::string_view pattern;  // empty: all
  bool other_type = false;   // only keys of a type that kv does not have
};

// nullptr, or the error.
const char* read_scan_options(std::span<const Bytes> words, ScanOptions& options) {
  for (size_t i = 0; i < words.size(); i += 2) {
    if (i + 1 == words.size()) return syntax_error.data();
    const std::string_view word = as_text(words[i]);
    const std::string_view value = as_text(words[i + 1]);
    if (same_word(word, "count")) {
      int64_t count = 0;
      if (!proto::parse_redis_integer(value, count)) return no_integer.data();
      if (count < 1) return syntax_error.data();
      options.count = static_cast<uint32_t>(std::min<int64_t>(count, BOP_KV_RANGE_MAX));
    } else if (same_word(word, "match")) {
      options.pattern = value == "*" ? std::string_view() : value;
    } else if (same_word(word, "type")) {
      options.other_type = !same_word(value, "string");
    } else {
      return syntax_error.data();
    }
  }
  return nullptr;
}

// As strtoull, which Redis uses: an empty cursor is 0, a sign is accepted.
bool read_cursor(std::string_view text, uint64_t& cursor) {
  cursor = 0;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.empty()) return false;
  }
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    if (cursor > (std::numeric_limits<uint64_t>::max() - static_cast<uint64_t>(c - '0')) / 10) {
      return false;
    }
    cursor = cursor * 10 + static_cast<uint64_t>(c - '0');
  }
  if (negative) cursor = 0 - cursor;
  return true;
}

}  // namespace

void RespConnection::run_data(Verb verb, Arguments arguments) {
  switch (verb) {
    case Verb::get: return get_keys(arguments.subspan(1), Kind::value, 0);
    case Verb::set: return set(arguments);
    case Verb::mget: return get_keys(arguments.subspan(1), Kind::values, 0);
    case Verb::mset: return mset(arguments);
    case Verb::incr: return add(arguments[1], 1);
    case Verb::decr: return add(arguments[1], -1);
    case Verb::incrby: return add_by(arguments, false);
    case Verb::decrby: return add_by(arguments, true);
    case Verb::append: return append_value(arguments);
    case Verb::strlen: return get_keys(arguments.subspan(1), Kind::length, 0);
    case Verb::exists: return get_keys(arguments.subspan(1), Kind::present, BOP_KV_KEYS_ONLY);
    case Verb::type: return get_keys(arguments.subspan(1), Kind::type, BOP_KV_KEYS_ONLY);
    case Verb::del: return del(arguments);
    case Verb::setnx: return set_always(arguments, Kind::did, BOP_KV_IF_ABSENT);
    case Verb::getset: return set_always(arguments, Kind::previous, BOP_KV_RETURN_PREVIOUS);
    case Verb::getdel: {
      if (!check_keys(arguments.subspan(1))) return;
      KvOperation operation;
      operation.op = BOP_KV_DELETE;
      operation.flags = BOP_KV_RETURN_PREVIOUS;
      operation.key = arguments[1];
      return propose({.kind = Kind::previous}, {&operation, 1});
    }
    case Verb::dbsize:
      return query({.kind = Kind::count}, proto::encode_kv_count(connections_.arena()));
    case Verb::scan: return scan(arguments);
    default: BOP_ASSERT(false);
  }
}

bool RespConnection::check_keys(Arguments keys) {
  if (keys.size() > BOP_KV_OPERATIONS_MAX) {
    error(fmt::format("ERR {} keys in one command; the limit is {}", keys.size(),
                      BOP_KV_OPERATIONS_MAX));
    return false;
  }
  for (const Bytes key : keys) {
    if (const auto status = proto::check_kv_key(key); !status) {
      error("ERR " + status.error().detail);
      return false;
    }
  }
  return true;
}

bool RespConnection::check_value(Bytes value) {
  const auto status = proto::check_kv_value(value);
  if (!status) error("ERR " + status.error().detail);
  return status.has_value();
}

void RespConnection::get_keys(Arguments keys, Kind kind, uint16_t flags) {
  if (!check_keys(keys)) return;
  read_keys(keys, kind, proto::encode_kv_get(connections_.arena(), keys, flags));
}

// Redis's errors for an invalid time have precedence.
void RespConnection::refuse_expiry(std::string_view unit, std::string_view time) {
  int64_t number = 0;
  if (!proto::parse_redis_integer(time, number)) return error(no_integer);
  const bool in_seconds = unit.front() == 'e';
  if (number <= 0 || (in_seconds && number > std::numeric_limits<int64_t>::max() / 1000)) {
    return error("ERR invalid expire time in 'set' command");
  }
  error("ERR expiry is not supported: the options of SET are NX, XX, GET and KEEPTTL");
}

void RespConnection::set(Arguments arguments) {
  SetOptions options;
  if (!read_set_options(arguments.subspan(3), options)) return error(syntax_error);
  if (!options.unit.empty()) return refuse_expiry(options.unit, options.time);
  uint8_t flags = 0;
  if (options.if_absent) flags |= BOP_KV_IF_ABSENT;
  if (options.if_present) flags |= BOP_KV_IF_PRESENT;
  if (options.previous) flags |= BOP_KV_RETURN_PREVIOUS;
  const Kind kind = options.previous                          ? Kind::previous
                    : options.if_absent || options.if_present ? Kind::ok_or_null
                                                              : Kind::ok;
  set_always(arguments.first(3), kind, flags);
}

void RespConnection::set_always(Arguments arguments, Kind kind, uint8_t flags) {
  if (!check_keys(arguments.subspan(1, 1)) || !check_value(arguments[2])) return;
  KvOperation operation;
  operation.flags = flags;
  operation.key = arguments[1];
  operation.value = arguments[2];
  propose({.kind = kind}, {&operation, 1});
}

void RespConnection::mset(Arguments arguments) {
  const size_t pairs = (arguments.size() - 1) / 2;
  if (arguments.size() % 2 == 0) return error(wrong_arity("mset"));
  auto& operations = connections_.operations();
  operations.clear();
  for (size_t i = 0; i < pairs && i <= BOP_KV_OPERATIONS_MAX; ++i) {
    KvOperation& operation = operations.emplace_back();
    operation.key = arguments[1 + 2 * i];
    operation.value = arguments[2 + 2 * i];
  }
  propose_all({.kind = Kind::ok}, pairs);
}

void RespConnection::del(Arguments arguments) {
  auto& operations = connections_.operations();
  operations.clear();
  for (const Bytes key : arguments.subspan(1)) {
    if (operations.size() > BOP_KV_OPERATIONS_MAX) break;
    KvOperation& operation = operations.emplace_back();
    operation.op = BOP_KV_DELETE;
    operation.flags = BOP_KV_WANT_EXISTED;
    operation.key = key;
  }
  propose_all({.kind = Kind::present}, arguments.size() - 1);
}

// Checks and proposes connections_.operations(). `wanted` is their number if there were no limit.
void RespConnection::propose_all(PendingReply reply, size_t wanted) {
  const auto& operations = connections_.operations();
  if (wanted > BOP_KV_OPERATIONS_MAX) {
    return error(
        fmt::format("ERR {} keys in one command; the limit is {}", wanted, BOP_KV_OPERATIONS_MAX));
  }
  for (const KvOperation& operation : operations) {
    if (!check_keys({&operation.key, 1}) || !check_value(operation.value)) return;
  }
  propose(std::move(reply), operations);
}

void RespConnection::add(Bytes key, int64_t delta) {
  if (!check_keys({&key, 1})) return;
  KvOperation operation;
  operation.op = BOP_KV_ADD;
  operation.key = key;
  operation.delta = delta;
  propose({.kind = Kind::new_integer}, {&operation, 1});
}

void RespConnection::add_by(Arguments arguments, bool negative) {
  int64_t delta = 0;
  if (!proto::parse_redis_integer(as_text(arguments[2]), delta)) return error(no_integer);
  if (negative && delta == std::numeric_limits<int64_t>::min()) {
    return error("ERR decrement would overflow");
  }
  add(arguments[1], negative ? -delta : delta);
}

void RespConnection::append_value(Arguments arguments) {
  if (!check_keys(arguments.subspan(1, 1)) || !check_value(arguments[2])) return;
  KvOperation operation;
  operation.op = BOP_KV_APPEND;
  operation.key = arguments[1];
  operation.value = arguments[2];
  propose({.kind = Kind::new_length}, {&operation, 1});
}

void RespConnection::scan(Arguments arguments) {
  ScanOptions options;
  if (!read_cursor(as_text(arguments[1]), options.cursor)) return error("ERR invalid cursor");
  if (const char* wrong = read_scan_options(arguments.subspan(2), options)) return error(wrong);
  std::string first = glob_prefix(options.pattern);
  const std::string end = proto::kv_prefix_end(first);
  proto::KvRange range;
  range.flags = BOP_KV_KEYS_ONLY;
  range.limit = options.count;
  range.end = as_bytes(end);
  if (options.cursor != 0) {
    const Instant now = connections_.service().now();
    auto found = connections_.shared().cursors.find(now, options.cursor);
    if (!found) {
      return error(fmt::format("BADCURSOR cursor {} is unknown or expired, start again with 0",
                               options.cursor));
    }
    if (*found >= first) {
      first = std::move(*found);
      range.flags |= BOP_KV_AFTER;
    }
  }
  // No key can match: the pattern is longer than any key, no key has the type, or the range is done.
  const bool past_end = !end.empty() && first >= end;
  if (options.other_type || past_end || first.size() > BOP_KV_KEY_MAX ||
      end.size() > BOP_KV_KEY_MAX) {
    return reply([](proto::RespWriter& out) {
      out.array(2);
      out.bulk("0");
      out.array(0);
    });
  }
  range.first = as_bytes(first);
  mem::Buffer pattern;
  if (!options.pattern.empty()) pattern = mem::Buffer::copy(as_bytes(options.pattern));
  query({.kind = Kind::scan, .note = std::move(pattern)},
        proto::encode_kv_range(connections_.arena(), range));
}

}  // namespace bop::serve

#include "serve/resp_replies.h"

#include <fmt/format.h>

#include "proto/kv.h"
#include "serve/glob.h"

namespace bop::serve {

namespace {

using proto::KvItem;
using proto::KvItems;
using proto::RespWriter;
using Kind = PendingReply::Kind;

constexpr std::string_view no_integer = "ERR value is not an integer or out of range";

std::string_view error_code(bop_status status) {
  switch (status) {
    case BOP_E_UNAVAILABLE:
    case BOP_E_TIMEOUT:
    case BOP_E_NOT_LEADER:
    case BOP_E_STOPPED: return "CLUSTERDOWN";
    case BOP_E_OUTCOME_UNKNOWN: return "UNKNOWNOUTCOME";
    case BOP_E_OVERLOADED: return "OVERLOADED";
    case BOP_E_LOG_FULL: return "LOGFULL";
    case BOP_E_DISK_FULL: return "DISKFULL";
    case BOP_E_LATCHED: return "LATCHED";
    case BOP_E_SUSPECT: return "SUSPECT";
    case BOP_E_DAMAGED: return "DAMAGED";
    case BOP_E_NO_GROUP: return "NOGROUP";
    case BOP_E_MACHINE: return "MACHINE";
    default: return "ERR";
  }
}

void write_malformed(RespWriter& out) {
  out.error(resp_error(BOP_E_INTERNAL, "the machine's reply is malformed"));
}

void write_value(RespWriter& out, const KvItem& item) {
  if (item.present) {
    out.bulk(item.value);
  } else {
    out.null();
  }
}

void write_items(RespWriter& out, Bytes body) {
  // Checked first: what was written cannot be withdrawn.
  KvItem item;
  KvItems check(body);
  while (check.next(item)) {
  }
  if (!check.ok()) return write_malformed(out);
  KvItems items(body);
  out.array(items.count());
  while (items.next(item)) write_value(out, item);
}

void write_present(RespWriter& out, Bytes body) {
  KvItems items(body);
  KvItem item;
  int64_t present = 0;
  while (items.next(item)) present += item.present ? 1 : 0;
  if (!items.ok()) return write_malformed(out);
  out.integer(present);
}

void write_new_integer(RespWriter& out, const KvItem& item) {
  int64_t value = 0;
  if (!proto::parse_redis_integer(as_text(item.value), value)) return write_malformed(out);
  out.integer(value);
}

void write_new_length(RespWriter& out, const KvItem& item) {
  if (item.value.size() != sizeof(uint64_t)) return write_malformed(out);
  out.integer(static_cast<int64_t>(load_le<uint64_t>(item.value.data())));
}

void write_first_item(RespWriter& out, Kind kind, Bytes body) {
  KvItems items(body);
  KvItem item;
  if (!items.next(item)) return write_malformed(out);
  switch (kind) {
    case Kind::new_integer: return write_new_integer(out, item);
    case Kind::new_length: return write_new_length(out, item);
    case Kind::length: return out.integer(static_cast<int64_t>(item.value.size()));
    case Kind::type: return out.simple(item.present ? "string" : "none");
    default: return write_value(out, item);
  }
}

void write_scan(RespWriter& out, const PendingReply& pending, Bytes body, ScanCursors& cursors,
                Instant now) {
  const std::string_view pattern = as_text(pending.note.bytes());
  const auto matches = [&](Bytes key) {
    return pattern.empty() || glob_matches(pattern, as_text(key));
  };
  proto::KvRecords check(body);
  Bytes key;
  KvItem item;
  size_t found = 0;
  while (check.next(key, item)) found += matches(key) ? 1 : 0;
  if (!check.ok()) return write_malformed(out);
  const uint64_t cursor =
      check.more() && check.count() > 0 ? cursors.add(now, std::string(as_text(key))) : 0;
  out.array(2);
  out.bulk(std::to_string(cursor));
  out.array(found);
  proto::KvRecords records(body);
  while (records.next(key, item)) {
    if (matches(key)) out.bulk(key);
  }
}

void write_failure(RespWriter& out, Kind kind, const port::Outcome& outcome) {
  if (kind == Kind::new_integer && outcome.status == BOP_E_WRONG_TYPE) return out.error(no_integer);
  if (kind == Kind::new_integer && outcome.status == BOP_E_OVERFLOW) {
    return out.error("ERR increment or decrement would overflow");
  }
  if (kind == Kind::new_length && outcome.status == BOP_E_TOO_LARGE) {
    return out.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  out.error(resp_error(outcome.status, outcome.detail));
}

// Writes the reply to a command whose condition did not hold. False: for this kind it is an error.
bool write_condition_failed(RespWriter& out, Kind kind, Bytes body) {
  switch (kind) {
    case Kind::ok_or_null: out.null(); return true;
    case Kind::did: out.integer(0); return true;
    case Kind::previous: write_first_item(out, kind, body); return true;
    default: return false;
  }
}

}  // namespace

std::string resp_error(bop_status status, std::string_view detail) {
  return fmt::format("{} {}", error_code(status),
                     detail.empty() ? std::string_view(bop_error_text(status)) : detail);
}

std::string wrong_arity(std::string_view command) {
  return fmt::format("ERR wrong number of arguments for '{}' command", command);
}

void write_reply(RespWriter& out, const PendingReply& pending, const port::Outcome& outcome,
                 ScanCursors& cursors, Instant now) {
  const Kind kind = pending.kind;
  if (outcome.status == BOP_E_CONDITION_FAILED && write_condition_failed(out, kind, outcome.body)) {
    return;
  }
  if (outcome.status != BOP_OK) return write_failure(out, kind, outcome);
  switch (kind) {
    case Kind::ok:
    case Kind::ok_or_null: return out.simple("OK");
    case Kind::did: return out.integer(1);
    case Kind::present: return write_present(out, outcome.body);
    case Kind::values: return write_items(out, outcome.body);
    case Kind::scan: return write_scan(out, pending, outcome.body, cursors, now);
    case Kind::count: {
      const auto count = proto::decode_kv_count(outcome.body);
      if (!count) return write_malformed(out);
      return out.integer(static_cast<int64_t>(*count));
    }
    case Kind::previous:
    case Kind::new_integer:
    case Kind::new_length:
    case Kind::value:
    case Kind::length:
    case Kind::type: return write_first_item(out, kind, outcome.body);
    case Kind::ready:
    case Kind::info: return write_malformed(out);
  }
}

}  // namespace bop::serve

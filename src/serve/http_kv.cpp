// Keys and values over HTTP.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "proto/kv.h"
#include "serve/http_api.h"
#include "serve/http_requests.h"

namespace bop::serve {

namespace {

constexpr uint64_t default_limit = 100;  // of a range
// A range is cut after this many bytes of JSON. Control characters become six bytes each, with which 4 MiB of records
// would exceed limits.output_bytes and cost the client its connection.
constexpr size_t max_range_json_bytes = 8u << 20;
// Attempts of a change whose record is changed by others between the read and the write.
constexpr uint32_t max_attempts = 16;

ApiResponse malformed_reply(bool changes) {
  port::Outcome outcome;
  outcome.status = BOP_E_INTERNAL;
  outcome.detail = "the machine's reply is malformed";
  return failure(outcome, changes);
}

ApiResponse not_found() { return problem(404, BOP_E_NOT_FOUND, "the key does not exist"); }

std::optional<proto::KvItem> first_item(Bytes body) {
  proto::KvItems items(body);
  proto::KvItem item;
  return items.next(item) ? std::optional(item) : std::nullopt;
}

// The parameters of a range.
struct RangeParameters {
  std::optional<Bytes> prefix, start, end, after;
  bool keys_only = false;

  Status read(const Target& target);
};

Status RangeParameters::read(const Target& target) {
  for (const auto& [name, value] : target.query) {
    if (name == "prefix") {
      prefix = as_bytes(value);
    } else if (name == "start") {
      start = as_bytes(value);
    } else if (name == "end") {
      end = as_bytes(value);
    } else if (name == "after") {
      after = as_bytes(value);
    } else if (name == "keys_only" && (value == "true" || value == "false")) {
      keys_only = value == "true";
    } else if (name == "keys_only") {
      return fail(BOP_E_INVALID_ARGUMENT, "keys_only must be true or false");
    } else if (name != "limit" && name != "timeout_ms") {
      return std::unexpected(unknown_parameter(name));
    }
  }
  if (prefix && (start || end)) {
    return fail(BOP_E_INVALID_ARGUMENT, "prefix excludes start and end");
  }
  for (const auto& bound : {prefix, start, end, after}) {
    if (bound && bound->size() > BOP_KV_KEY_MAX) {
      return fail(BOP_E_TOO_LARGE, fmt::format("a bound of {} bytes: a key has at most {}",
                                               bound->size(), BOP_KV_KEY_MAX));
    }
  }
  return {};
}

}  // namespace

// ---- requests in ----

Result<GroupId> HttpApi::kv_group() const {
  return connections_.service().find_group_running("kv", connections_.options().group);
}

Status HttpApi::begin_key(const Call& call) {
  BOP_TRY(check_only_timeout(call.target));
  OpenRequest opened;
  BOP_TRY_ASSIGN(opened.key, percent_decode(call.variable));
  BOP_TRY(proto::check_kv_key(as_bytes(opened.key)));
  BOP_TRY_ASSIGN(opened.conditions,
                 HttpConditions::parse(call.request.if_match, call.request.if_none_match));
  const bool put = call.request.method == "PUT";
  if (!put && call.request.method != "DELETE") return begin_get(call, std::move(opened));
  opened.kind = put ? Kind::put : Kind::remove;
  if (put) {
    BOP_TRY(proto::check_kv_value(call.request.body.bytes()));
    opened.value = call.request.body;
  }
  return begin_change(call, std::move(opened));
}

Status HttpApi::begin_get(const Call& call, OpenRequest opened) {
  BOP_TRY_ASSIGN(const GroupId group, kv_group());
  const Bytes key = as_bytes(opened.key);
  // Before `opened` is moved, and the key with it.
  mem::Buffer payload = proto::encode_kv_get(connections_.arena(), {&key, 1});
  return submit(call, group, std::move(payload), std::move(opened));
}

proto::KvOperation HttpApi::operation_of(const OpenRequest& change) {
  const bool put = change.kind == Kind::put;
  proto::KvOperation operation;
  operation.op = put ? BOP_KV_PUT : BOP_KV_DELETE;
  operation.flags = put ? 0 : BOP_KV_WANT_EXISTED;
  operation.key = as_bytes(change.key);
  operation.value = change.value.bytes();
  return operation;
}

Status HttpApi::begin_change(const Call& call, OpenRequest opened) {
  BOP_TRY_ASSIGN(const GroupId group, kv_group());
  proto::KvOperation operation = operation_of(opened);
  opened.reads_first = opened.reading = !opened.conditions.add_to(operation);
  mem::Buffer payload =
      opened.reading
          ? proto::encode_kv_get(connections_.arena(), {&operation.key, 1}, BOP_KV_KEYS_ONLY)
          : proto::encode_kv_command(connections_.arena(), {&operation, 1});
  return submit(call, group, std::move(payload), std::move(opened));
}

Status HttpApi::begin_range(const Call& call) {
  RangeParameters parameters;
  BOP_TRY(parameters.read(call.target));
  BOP_TRY_ASSIGN(const auto limit, read_number(call.target, "limit", 1, BOP_KV_RANGE_MAX));
  BOP_TRY_ASSIGN(const GroupId group, kv_group());
  const auto& [prefix, start, end, after, keys_only] = parameters;
  proto::KvRange range;
  range.limit = static_cast<uint32_t>(limit.value_or(default_limit));
  range.flags = keys_only ? BOP_KV_KEYS_ONLY : 0;
  const std::string after_prefix = prefix ? proto::kv_prefix_end(as_text(*prefix)) : std::string();
  range.first = prefix.value_or(start.value_or(Bytes()));
  range.end = prefix ? as_bytes(after_prefix) : end.value_or(Bytes());
  if (after && std::ranges::lexicographical_compare(range.first, *after)) {
    range.first = *after;
    range.flags |= BOP_KV_AFTER;
  }
  return submit(call, group, proto::encode_kv_range(connections_.arena(), range),
                {.kind = Kind::range, .keys_only = keys_only});
}

// ---- outcomes back ----

// True: the next step of a change that reads first was submitted.
bool HttpApi::continue_change(uint32_t number, const port::Outcome& outcome) {
  OpenRequest& change = open_[number];
  const bool was_read = change.reading && outcome.status == BOP_OK;
  const bool was_overtaken = !change.reading && outcome.status == BOP_E_CONDITION_FAILED;
  if (!change.reads_first || !(was_read || was_overtaken)) return false;
  const auto item = first_item(outcome.body);
  if (!item || !change.conditions.match_holds(*item) || !change.conditions.none_match_holds(*item))
    return false;
  if (change.attempts == max_attempts) return false;
  ++change.attempts;
  change.reading = false;
  proto::KvOperation operation = operation_of(change);
  operation.flags |= BOP_KV_IF_REVISION;  // 0: absent
  operation.revision = item->revision;
  // Not from within the completion of another request of the same group.
  connections_.shared().post.post(
      [this, alive = alive_, number,
       payload = proto::encode_kv_command(connections_.arena(), {&operation, 1})] {
        if (*alive) send(number, true, payload);
      });
  return true;
}

ApiResponse HttpApi::change_response(const OpenRequest& request, const port::Outcome& outcome) {
  const bool condition_failed = outcome.status == BOP_E_CONDITION_FAILED;
  if (outcome.status != BOP_OK && !condition_failed) return failure(outcome, !request.reading);
  proto::KvItems items(outcome.body);
  proto::KvItem item;
  if (!items.next(item)) return malformed_reply(!request.reading);
  if (condition_failed && request.reads_first && request.conditions.match_holds(item) &&
      request.conditions.none_match_holds(item)) {
    return problem(503, BOP_E_OVERLOADED, "other clients changed this record at every attempt");
  }
  if (condition_failed || request.reading) return precondition_failed(item);
  if (request.kind == Kind::remove) return item.present ? ApiResponse{.status = 204} : not_found();
  JsonWriter json;
  json.begin_object().field("revision", items.position()).end_object();
  ApiResponse response = json_response(200, json.take());
  add_revision(response, items.position());
  return response;
}

ApiResponse HttpApi::get_response(const OpenRequest& request, const port::Outcome& outcome) {
  if (outcome.status != BOP_OK) return failure(outcome, false);
  const auto item = first_item(outcome.body);
  if (!item) return malformed_reply(false);
  if (!request.conditions.match_holds(*item)) return precondition_failed(*item);
  if (!item->present) return not_found();
  const bool unchanged = !request.conditions.none_match_holds(*item);
  ApiResponse response = unchanged ? ApiResponse{.status = 304} : bytes_response(item->value);
  add_revision(response, item->revision);
  return response;
}

ApiResponse HttpApi::range_response(const OpenRequest& request, const port::Outcome& outcome) {
  if (outcome.status != BOP_OK) return failure(outcome, false);
  proto::KvRecords records(outcome.body);
  JsonWriter json;
  json.begin_object();
  json.field("index", records.applied());
  json.name("records").begin_array();
  Bytes key;
  proto::KvItem item;
  bool cut = false;
  while (records.next(key, item)) {
    cut = json.size() >= max_range_json_bytes;
    if (cut) break;
    json.begin_object();
    json.name("key").bytes(key);
    json.field("revision", item.revision);
    if (!request.keys_only) json.name("value").bytes(item.value);
    json.end_object();
  }
  json.end_array().field("more", cut || records.more()).end_object();
  if (!records.ok()) return malformed_reply(false);
  return json_response(200, json.take());
}

}  // namespace bop::serve

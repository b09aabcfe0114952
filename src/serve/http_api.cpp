#include "serve/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "proto/kv.h"
#include "serve/json.h"
#include "serve/openapi.h"
#include "serve/status_json.h"

namespace bop::serve {

namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view bytes_type = "application/octet-stream";
constexpr std::string_view prometheus_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view key_path = "/v1/kv/";
constexpr uint64_t usual_limit = 100;
constexpr uint64_t most_timeout_ms = 600'000;

ApiResponse json_response(unsigned status, const std::string& text) {
  return {.status = status, .content_type = json_type, .body = mem::Buffer::copy(as_bytes(text))};
}

ApiResponse text_response(unsigned status, std::string_view text) {
  return {.status = status, .content_type = text_type, .body = mem::Buffer::copy(as_bytes(text))};
}

void add_revision(ApiResponse& response, uint64_t revision) {
  response.headers.emplace_back("ETag", fmt::format("\"{}\"", revision));
  response.headers.emplace_back("X-Bop-Revision", std::to_string(revision));
}

// What became of a request, where a client could not tell.
std::string_view outcome_of(bop_status status, bool changes) {
  switch (status) {
    case BOP_E_OUTCOME_UNKNOWN: return "unknown";
    case BOP_E_MACHINE:
    case BOP_E_INTERNAL: return changes ? "unknown" : "not_executed";
    default: return "not_executed";
  }
}

unsigned http_status(bop_status status) {
  switch (status) {
    case BOP_E_OUTCOME_UNKNOWN: return 504;
    case BOP_E_CONDITION_FAILED: return 412;
    case BOP_E_INVALID_ARGUMENT:
    case BOP_E_PROTOCOL:
    case BOP_E_WRONG_TYPE:
    case BOP_E_OVERFLOW: return 400;
    case BOP_E_TOO_LARGE: return 413;
    case BOP_E_NOT_FOUND:
    case BOP_E_NO_GROUP: return 404;
    case BOP_E_UNSUPPORTED: return 405;
    case BOP_E_MACHINE:
    case BOP_E_INTERNAL: return 500;
    default: return 503;
  }
}

void write_error(JsonWriter& json, bop_status code, std::string_view detail) {
  json.name("error").begin_object();
  json.field("code", bop_error_name(code));
  json.field("text", detail.empty() ? std::string_view(bop_error_text(code)) : detail);
  json.end_object();
}

ApiResponse failure(const port::Outcome& answer, bool changes) {
  const unsigned status = http_status(answer.status);
  JsonWriter json;
  json.begin_object();
  if (status >= 500) json.field("outcome", outcome_of(answer.status, changes));
  write_error(json, answer.status, answer.detail);
  json.name("leader");
  answer.leader == 0 ? json.null() : json.value(answer.leader);
  json.end_object();
  ApiResponse response = json_response(status, json.take());
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

ApiResponse malformed_answer(bool changes) {
  port::Outcome answer;
  answer.status = BOP_E_INTERNAL;
  answer.detail = "the machine's answer is not of its form";
  return failure(answer, changes);
}

ApiResponse precondition_failed(const proto::KvItem& item) {
  JsonWriter json;
  json.begin_object();
  write_error(json, BOP_E_CONDITION_FAILED, {});
  json.field("revision", item.revision);
  json.end_object();
  ApiResponse response = json_response(412, json.take());
  if (item.present) add_revision(response, item.revision);
  return response;
}

ApiResponse not_found() { return HttpApi::problem(404, BOP_E_NOT_FOUND, "there is no such key"); }

// A revision as ETag and X-Bop-Revision give it: digits, in quotes or not.
std::optional<uint64_t> parse_tag(std::string_view tag) {
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') {
    tag = tag.substr(1, tag.size() - 2);
  }
  return parse_number(tag);
}

Error bad_tag(std::string_view field) {
  return {BOP_E_INVALID_ARGUMENT,
          fmt::format("{} must be * or one revision as ETag gives it", field)};
}

// The conditions of a change. Redis's words for them are NX and XX.
Status read_conditions(const ApiRequest& request, proto::KvOperation& operation) {
  if (!request.if_none_match.empty()) {
    if (request.if_none_match != "*") {
      return fail(BOP_E_INVALID_ARGUMENT, "If-None-Match of a change must be *");
    }
    operation.flags |= BOP_KV_IF_ABSENT;
  }
  if (request.if_match == "*") {
    operation.flags |= BOP_KV_IF_PRESENT;
  } else if (!request.if_match.empty()) {
    const auto revision = parse_tag(request.if_match);
    if (!revision) return std::unexpected(bad_tag("If-Match"));
    operation.flags |= BOP_KV_IF_REVISION;
    operation.revision = *revision;
  }
  return {};
}

// The HTTP server leaves the body out of the answer to HEAD.
bool only_reads(std::string_view method) { return method == "GET" || method == "HEAD"; }

Error unknown_parameter(const std::string& name) {
  return {BOP_E_INVALID_ARGUMENT, fmt::format("the parameter '{}' is unknown", name)};
}

Result<std::optional<uint64_t>> read_number(const Target& target, const std::string& name,
                                            uint64_t least, uint64_t most) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return std::nullopt;
  const auto number = parse_number(found->second);
  if (!number || *number < least || *number > most) {
    return fail(BOP_E_INVALID_ARGUMENT,
                fmt::format("{} must be a number from {} to {}", name, least, most));
  }
  return number;
}

}  // namespace

HttpApi::HttpApi(ClientConnections& connections) : connections_(connections) {}

HttpApi::~HttpApi() { *alive_ = false; }

ApiResponse HttpApi::problem(unsigned status, bop_status code, std::string_view detail) {
  const bool again = status == 503;
  JsonWriter json;
  json.begin_object();
  if (again) json.field("outcome", "not_executed");
  write_error(json, code, detail);
  json.end_object();
  ApiResponse response = json_response(status, json.take());
  if (again) response.headers.emplace_back("Retry-After", "1");
  return response;
}

// ---- requests in ----

void HttpApi::serve(const ApiRequest& request, std::unique_ptr<ApiReply> reply) {
  connections_.http().commands.add();
  auto begun = parse_target(request.target);
  Status status;
  if (!begun) {
    status = std::unexpected(begun.error());
  } else {
    status = begin(request, *begun, reply);
  }
  if (status) return;
  connections_.http().errors.add();
  const auto& [code, detail] = status.error();
  const bool method = code == BOP_E_UNSUPPORTED;  // then the detail is those that are allowed
  ApiResponse response =
      problem(http_status(code), code, method ? "the methods here are " + detail : detail);
  if (method) response.headers.emplace_back("Allow", detail);
  reply->answer(std::move(response));
}

// Takes `reply` when it succeeds.
Status HttpApi::begin(const ApiRequest& request, const Target& target,
                      std::unique_ptr<ApiReply>& reply) {
  if (target.path.starts_with(key_path)) {
    return begin_key(request, target, target.path.substr(key_path.size()), reply);
  }
  const bool known = target.path == "/v1/kv" || target.path == "/v1/status" ||
                     target.path == "/v1/openapi.json" || target.path == "/metrics" ||
                     target.path == "/livez" || target.path == "/readyz";
  if (!known) return fail(BOP_E_NOT_FOUND, "there is nothing at this path");
  if (!only_reads(request.method)) return fail(BOP_E_UNSUPPORTED, "GET, HEAD");
  if (target.path == "/v1/kv") {
    return begin_range(target, reply);
  }
  if (target.path == "/v1/status") {
    status(std::move(reply));
  } else if (target.path == "/metrics") {
    metrics(std::move(reply));
  } else if (target.path == "/v1/openapi.json") {
    reply->answer({.content_type = json_type, .body = mem::Buffer::copy(as_bytes(openapi_text()))});
  } else if (target.path == "/livez") {
    reply->answer(text_response(200, "ok\n"));
  } else {
    const bool ready = connections_.service().ready();
    reply->answer(text_response(ready ? 200 : 503, ready ? "ok\n" : "not ready\n"));
  }
  return {};
}

Status HttpApi::begin_key(const ApiRequest& request, const Target& target,
                          std::string_view encoded_key, std::unique_ptr<ApiReply>& reply) {
  const bool change = request.method == "PUT" || request.method == "DELETE";
  if (!change && !only_reads(request.method)) {
    return fail(BOP_E_UNSUPPORTED, "GET, HEAD, PUT, DELETE");
  }
  for (const auto& [name, value] : target.query) {
    if (name != "timeout_ms") return std::unexpected(unknown_parameter(name));
  }
  BOP_TRY_ASSIGN(const std::string key, percent_decode(encoded_key));
  BOP_TRY(proto::check_kv_key(as_bytes(key)));
  if (!change) return begin_get(request, target, as_bytes(key), reply);
  return begin_change(request, target, as_bytes(key), reply);
}

Status HttpApi::begin_get(const ApiRequest& request, const Target& target, Bytes key,
                          std::unique_ptr<ApiReply>& reply) {
  UnderWay under_way;
  under_way.must_exist = request.if_match == "*";
  if (!request.if_match.empty() && !under_way.must_exist) {
    const auto revision = parse_tag(request.if_match);
    if (!revision) return std::unexpected(bad_tag("If-Match"));
    under_way.if_match = *revision;
  }
  if (!request.if_none_match.empty()) {
    const auto revision = parse_tag(request.if_none_match);
    if (!revision) return std::unexpected(bad_tag("If-None-Match"));
    under_way.if_none_match = *revision;
  }
  return submit(target, false, proto::encode_kv_get(connections_.arena(), {&key, 1}),
                std::move(under_way), reply);
}

Status HttpApi::begin_change(const ApiRequest& request, const Target& target, Bytes key,
                             std::unique_ptr<ApiReply>& reply) {
  const bool put = request.method == "PUT";
  proto::KvOperation operation;
  operation.op = put ? BOP_KV_PUT : BOP_KV_DELETE;
  operation.flags = put ? 0 : BOP_KV_WANT_EXISTED;
  operation.key = key;
  if (put) {
    operation.value = request.body.bytes();
    BOP_TRY(proto::check_kv_value(operation.value));
  }
  BOP_TRY(read_conditions(request, operation));
  return submit(target, true, proto::encode_kv_command(connections_.arena(), {&operation, 1}),
                {.kind = put ? Kind::put : Kind::remove}, reply);
}

Status HttpApi::begin_range(const Target& target, std::unique_ptr<ApiReply>& reply) {
  proto::KvRange range;
  std::optional<Bytes> prefix, start, end, after;
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
      if (value == "true") range.flags |= BOP_KV_KEYS_ONLY;
    } else if (name == "keys_only") {
      return fail(BOP_E_INVALID_ARGUMENT, "keys_only must be true or false");
    } else if (name != "limit" && name != "timeout_ms") {
      return std::unexpected(unknown_parameter(name));
    }
  }
  if (prefix && (start || end)) {
    return fail(BOP_E_INVALID_ARGUMENT, "prefix goes with neither start nor end");
  }
  for (const auto& bound : {prefix, start, end, after}) {
    if (bound && bound->size() > BOP_KV_KEY_MAX) {
      return fail(
          BOP_E_TOO_LARGE,
          fmt::format("a bound is longer than a key, which has at most {} bytes", BOP_KV_KEY_MAX));
    }
  }
  BOP_TRY_ASSIGN(const auto limit, read_number(target, "limit", 1, BOP_KV_RANGE_MAX));
  range.limit = static_cast<uint32_t>(limit.value_or(usual_limit));
  const std::string after_prefix = prefix ? proto::kv_prefix_end(as_text(*prefix)) : std::string();
  range.first = prefix.value_or(start.value_or(Bytes()));
  range.end = prefix ? as_bytes(after_prefix) : end.value_or(Bytes());
  if (after && std::ranges::lexicographical_compare(range.first, *after)) {
    range.first = *after;
    range.flags |= BOP_KV_AFTER;
  }
  return submit(target, false, proto::encode_kv_range(connections_.arena(), range),
                {.kind = Kind::range}, reply);
}

Status HttpApi::submit(const Target& target, bool proposal, mem::Buffer payload, UnderWay under_way,
                       std::unique_ptr<ApiReply>& reply) {
  node::Service& service = connections_.service();
  BOP_TRY_ASSIGN(const auto timeout_ms, read_number(target, "timeout_ms", 1, most_timeout_ms));
  BOP_TRY_ASSIGN(const GroupId group, service.find_group(connections_.options().group));
  if (free_places_.empty()) {
    if (places_.size() >= connections_.options().max_http_requests) {
      return fail(BOP_E_OVERLOADED, "too many HTTP requests are under way");
    }
    free_places_.push_back(static_cast<uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const uint32_t place = free_places_.back();
  free_places_.pop_back();
  under_way.started = service.now();
  under_way.reply = std::move(reply);
  const Duration limit = timeout_ms ? static_cast<Duration>(*timeout_ms) * milliseconds
                                    : connections_.options().deadline;
  node::Request request{.group = group,
                        .payload = std::move(payload),
                        .deadline = under_way.started + limit,
                        .completion = this,
                        .token = place};
  places_[place] = std::move(under_way);
  if (proposal) {
    service.propose(std::move(request));
  } else {
    service.query(std::move(request));
  }
  return {};
}

// ---- answers back ----

void HttpApi::complete(uint64_t token, const port::Outcome& answer) {
  const UnderWay request = std::move(places_[token]);
  places_[token] = {};
  free_places_.push_back(static_cast<uint32_t>(token));
  const bool changes = request.kind == Kind::put || request.kind == Kind::remove;
  auto& metrics = connections_.http();
  (changes ? metrics.propose_ns : metrics.query_ns)
      .record(static_cast<uint64_t>(connections_.service().now() - request.started));
  if (answer.status != BOP_OK && answer.status != BOP_E_CONDITION_FAILED) metrics.errors.add();
  request.reply->answer(respond(request, answer));
}

namespace {

ApiResponse respond_change(Bytes body, bool condition_failed, bool put) {
  proto::KvItems items(body);
  proto::KvItem item;
  if (!items.next(item)) return malformed_answer(true);
  if (condition_failed) return precondition_failed(item);
  if (!put) return item.present ? ApiResponse{.status = 204} : not_found();
  JsonWriter json;
  json.begin_object().field("revision", items.position()).end_object();
  ApiResponse response = json_response(200, json.take());
  add_revision(response, items.position());
  return response;
}

ApiResponse respond_range(Bytes body) {
  proto::KvRecords records(body);
  JsonWriter json;
  json.begin_object();
  json.field("index", records.applied()).field("more", records.more());
  json.name("records").begin_array();
  Bytes key;
  proto::KvItem item;
  while (records.next(key, item)) {
    json.begin_object();
    json.name("key").bytes(key);
    json.field("revision", item.revision);
    json.name("value").bytes(item.value);
    json.end_object();
  }
  json.end_array().end_object();
  if (!records.ok()) return malformed_answer(false);
  return json_response(200, json.take());
}

}  // namespace

ApiResponse HttpApi::respond(const UnderWay& request, const port::Outcome& answer) {
  const bool changes = request.kind == Kind::put || request.kind == Kind::remove;
  const bool condition_failed = changes && answer.status == BOP_E_CONDITION_FAILED;
  if (answer.status != BOP_OK && !condition_failed) return failure(answer, changes);
  if (changes) return respond_change(answer.body, condition_failed, request.kind == Kind::put);
  if (request.kind == Kind::range) return respond_range(answer.body);

  proto::KvItems items(answer.body);
  proto::KvItem item;
  if (!items.next(item)) return malformed_answer(false);
  const bool mismatch =
      request.must_exist
          ? !item.present
          : request.if_match != 0 && (!item.present || item.revision != request.if_match);
  if (mismatch) return precondition_failed(item);
  if (!item.present) return not_found();
  const bool unchanged = request.if_none_match == item.revision;
  ApiResponse response;
  response.status = unchanged ? 304 : 200;
  add_revision(response, item.revision);
  if (unchanged) return response;
  response.content_type = bytes_type;
  response.body = mem::Buffer::copy(item.value);
  return response;
}

// ---- the node ----

void HttpApi::status(std::unique_ptr<ApiReply> reply) {
  // std::function wants to be copied; the reply has one owner all the same.
  auto shared = std::make_shared<std::unique_ptr<ApiReply>>(std::move(reply));
  connections_.service().status([shared](const node::NodeStatus& status) {
    (*shared)->answer(json_response(200, status_json(status)));
  });
}

void HttpApi::metrics(std::unique_ptr<ApiReply> reply) {
  auto shared = std::make_shared<std::unique_ptr<ApiReply>>(std::move(reply));
  connections_.service().status([this, alive = alive_, shared](const node::NodeStatus& status) {
    if (!*alive) return;
    follow_status(status);
    (*shared)->answer({.content_type = prometheus_type,
                       .body = mem::Buffer::copy(as_bytes(connections_.shared().registry.text()))});
  });
}

// What the node knows of itself is taken over when somebody asks, not all the time.
void HttpApi::follow_status(const node::NodeStatus& status) {
  metrics::Registry& registry = connections_.shared().registry;
  const auto set = [&](const char* name, const char* help, metrics::Labels labels, uint64_t value) {
    registry.gauge(name, help, std::move(labels)).set(static_cast<int64_t>(value));
  };
  for (const node::GroupStatus& group : status.groups) {
    const metrics::Labels labels{{"group", group.name}};
    set("bop_group_term", "Current term", labels, group.term);
    set("bop_group_is_leader", "1 when this node leads the group", labels, group.role == "leader");
    set("bop_group_has_leader", "1 when a leader is known", labels, group.leader != 0);
    set("bop_group_commit_index", "Last committed entry", labels, group.commit);
    set("bop_group_applied_index", "Last entry the machine applied", labels, group.applied);
    set("bop_group_last_index", "Last entry of the log", labels, group.last);
    set("bop_group_durable_index", "Last entry durable here", labels, group.durable);
    set("bop_group_suspect", "1 when the replica may have lost data", labels,
        group.halted == BOP_E_SUSPECT);
    set("bop_group_halted", "1 when the replica takes no part, for whatever reason", labels,
        group.halted != BOP_OK);
  }
  for (const node::ShardCounts& shard : status.shards) {
    const auto follow = [&](const char* name, const char* help, uint64_t count) {
      registry.counter(name, help, {{"shard", std::to_string(shard.shard)}}).follow(count);
    };
    follow("bop_shard_turns_total", "Turns of the shard's loop that stepped a group", shard.turns);
    follow("bop_log_writes_total", "Frames written to the log", shard.log_writes);
    follow("bop_log_written_bytes_total", "Bytes written to the log", shard.log_bytes);
    follow("bop_log_records_total", "Records written to the log", shard.log_records);
    follow("bop_log_entries_total", "Entries written to the log", shard.log_entries);
    follow("bop_log_seals_total", "Sealing frames of an idle log", shard.log_seals);
    follow("bop_log_segments_total", "Segments made or used again", shard.log_segments);
    follow("bop_log_rewritten_total", "Cold groups rewritten", shard.log_rewritten);
  }
  set("bop_log_used_bytes", "Bytes of the log's segments in use", {}, status.log_used_bytes);
  set("bop_log_latched", "1 when a failed write closed the log", {}, status.log_latched);
  for (const node::PeerStatus& peer : status.peers) {
    const metrics::Labels labels{{"peer", std::to_string(peer.id)}};
    set("bop_peer_up", "1 when both connections to the peer are up", labels,
        peer.control_up && peer.bulk_up);
  }
}

}  // namespace bop::serve

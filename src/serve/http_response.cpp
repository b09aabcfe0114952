#include "serve/http_response.h"

#include <fmt/format.h>

namespace bop::serve {

namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view bytes_type = "application/octet-stream";

void write_error(JsonWriter& json, bop_status code, std::string_view detail) {
  json.name("error").begin_object();
  json.field("code", bop_error_name(code));
  json.field("text", detail.empty() ? std::string_view(bop_error_text(code)) : detail);
  json.end_object();
}

void add_retry(ApiResponse& response) {
  if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
}

}  // namespace

ApiResponse json_response(unsigned status, std::string_view text) {
  return {.status = status, .content_type = json_type, .body = mem::Buffer::copy(as_bytes(text))};
}

ApiResponse text_response(unsigned status, std::string_view text) {
  return {.status = status, .content_type = text_type, .body = mem::Buffer::copy(as_bytes(text))};
}

ApiResponse bytes_response(Bytes bytes) {
  return {.content_type = bytes_type, .body = mem::Buffer::copy(bytes)};
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
    case BOP_E_UNSUPPORTED: return 409;
    case BOP_E_MACHINE:
    case BOP_E_INTERNAL: return 500;
    default: break;
  }
  const bool known = bop_error_name(status) != std::string_view("BOP_E_?");
  return known ? 503 : 422;
}

std::string_view outcome_of(const port::Outcome& outcome, bool changes) {
  switch (outcome.status) {
    case BOP_E_OUTCOME_UNKNOWN: return "unknown";
    case BOP_E_MACHINE:
    case BOP_E_INTERNAL: return changes ? "unknown" : "not_executed";
    default: break;
  }
  // A machine's own status, such as a condition that does not hold, is that of an executed command.
  const bool by_machine = outcome.status == BOP_OK || http_status(outcome.status) < 500;
  return by_machine && (outcome.index != 0 || !changes) ? "executed" : "not_executed";
}

void write_failure(JsonWriter& json, const port::Outcome& outcome, bool changes) {
  if (http_status(outcome.status) >= 500) json.field("outcome", outcome_of(outcome, changes));
  write_error(json, outcome.status, outcome.detail);
  json.name("leader");
  outcome.leader == 0 ? json.null() : json.value(outcome.leader);
}

ApiResponse failure(const port::Outcome& outcome, bool changes) {
  JsonWriter json;
  json.begin_object();
  write_failure(json, outcome, changes);
  json.end_object();
  ApiResponse response = json_response(http_status(outcome.status), json.take());
  add_retry(response);
  return response;
}

ApiResponse problem(unsigned status, bop_status code, std::string_view detail) {
  JsonWriter json;
  json.begin_object();
  if (status == 503) json.field("outcome", "not_executed");
  write_error(json, code, detail);
  json.end_object();
  ApiResponse response = json_response(status, json.take());
  add_retry(response);
  return response;
}

void add_revision(ApiResponse& response, uint64_t revision) {
  response.headers.emplace_back("ETag", fmt::format("\"{}\"", revision));
  response.headers.emplace_back("X-Bop-Revision", std::to_string(revision));
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

}  // namespace bop::serve

// Responses of the HTTP API.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "bop/error.h"
#include "mem/buffer.h"
#include "port/requests.h"
#include "proto/kv.h"
#include "serve/json.h"

namespace bop::serve {

struct ApiResponse {
  unsigned status = 200;
  std::string_view content_type = {};  // static; empty: none
  std::vector<std::pair<std::string, std::string>> headers = {};
  mem::Buffer body = {};
};

ApiResponse json_response(unsigned status, std::string_view text);
ApiResponse text_response(unsigned status, std::string_view text);
// With the content type application/octet-stream.
ApiResponse bytes_response(Bytes bytes);

// The HTTP status for an error; 422 for a status of a machine's own.
unsigned http_status(bop_status status);
// Whether a request with this outcome was "executed", "not_executed", or that this is "unknown".
std::string_view outcome_of(const port::Outcome& outcome, bool changes);

// {"error": {"code": ..., "text": ...}} for a request that was refused before it was submitted. A 503 has "outcome":
// "not_executed" and the field Retry-After.
ApiResponse problem(unsigned status, bop_status code, std::string_view detail);
// The same for a request that was submitted, with the leader, and from status 500 on with the outcome.
ApiResponse failure(const port::Outcome& outcome, bool changes);
// Writes the members of `failure`'s object.
void write_failure(JsonWriter& json, const port::Outcome& outcome, bool changes);

// ETag and X-Bop-Revision.
void add_revision(ApiResponse& response, uint64_t revision);
// 412 with the record's revision, 0 if the record does not exist.
ApiResponse precondition_failed(const proto::KvItem& item);

}  // namespace bop::serve

// What the HTTP API answers with.
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
// The bytes as they are.
ApiResponse bytes_response(Bytes bytes);

// The HTTP status for an error; of one that a machine made up, 422.
unsigned http_status(bop_status status);
// "executed", "not_executed" or "unknown": what became of a request that was answered so.
std::string_view outcome_of(const port::Outcome& answer, bool changes);

// {"error": {"code": ..., "text": ...}} for what was refused before it was submitted. With 503 it says
// "outcome": "not_executed", and when to try again.
ApiResponse problem(unsigned status, bop_status code, std::string_view detail);
// The same for what was submitted, with the outcome from 500 on, and the leader.
ApiResponse failure(const port::Outcome& answer, bool changes);
// Writes the members of `failure`'s object.
void write_failure(JsonWriter& json, const port::Outcome& answer, bool changes);

// ETag and X-Bop-Revision.
void add_revision(ApiResponse& response, uint64_t revision);
// 412 with the revision that the record has, 0 when there is none.
ApiResponse precondition_failed(const proto::KvItem& item);

}  // namespace bop::serve

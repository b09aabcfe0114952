// Raw commands and queries for any machine: the body of the request is the command or query, the body of the response is
// the machine's reply.
#include "bop/error.h"
#include "serve/http_api.h"
#include "serve/http_requests.h"

namespace bop::serve {

Status HttpApi::begin_raw(const Call& call, Kind kind) {
  BOP_TRY(check_only_timeout(call.target));
  BOP_TRY_ASSIGN(const std::string name, percent_decode(call.variable));
  BOP_TRY_ASSIGN(const GroupId group, connections_.service().find_group(name));
  return submit(call, group, call.request.body, {.kind = kind});
}

ApiResponse HttpApi::raw_response(const OpenRequest& request, const port::Outcome& outcome) {
  const bool proposal = request.kind == Kind::propose;
  ApiResponse response;
  if (outcome.status == BOP_OK) {
    response = bytes_response(outcome.body);
  } else {
    // With the status and the bytes of the machine, which may be its own.
    JsonWriter json;
    json.begin_object();
    write_failure(json, outcome, proposal);
    json.name("status").value(static_cast<int64_t>(outcome.status));
    if (!outcome.body.empty()) json.name("reply").bytes(outcome.body);
    json.end_object();
    response = json_response(http_status(outcome.status), json.take());
    if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
  }
  if (!proposal) return response;
  response.headers.emplace_back("X-Bop-Outcome", outcome_of(outcome, true));
  if (outcome.index != 0) {
    response.headers.emplace_back("X-Bop-Index", std::to_string(outcome.index));
  }
  return response;
}

}  // namespace bop::serve

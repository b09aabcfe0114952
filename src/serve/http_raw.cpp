// Raw commands and queries for any machine: the request's body is what the machine is given, and the
// response's what it replies.
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

ApiResponse HttpApi::respond_raw(const UnderWay& request, const port::Outcome& answer) {
  const bool proposal = request.kind == Kind::propose;
  ApiResponse response;
  if (answer.status == BOP_OK) {
    response = bytes_response(answer.body);
  } else {
    // A machine may reply with a status of its own and with bytes: both are shown.
    JsonWriter json;
    json.begin_object();
    write_failure(json, answer, proposal);
    json.name("status").value(static_cast<int64_t>(answer.status));
    if (!answer.body.empty()) json.name("reply").bytes(answer.body);
    json.end_object();
    response = json_response(http_status(answer.status), json.take());
    if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
  }
  if (!proposal) return response;
  response.headers.emplace_back("X-Bop-Outcome", outcome_of(answer, true));
  if (answer.index != 0) {
    response.headers.emplace_back("X-Bop-Index", std::to_string(answer.index));
  }
  return response;
}

}  // namespace bop::serve

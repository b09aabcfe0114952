#include "serve/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "net/http_syntax.h"
#include "serve/http_requests.h"
#include "serve/node_metrics.h"
#include "serve/openapi.h"
#include "serve/status_json.h"

namespace bop::serve {

namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::string_view prometheus_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view all_methods = "GET, HEAD, PUT, DELETE, POST, OPTIONS";
constexpr uint64_t max_timeout_ms = 600'000;

// The value of the route's variable in `path`, empty for a route without one; nullopt if the path does not match.
std::optional<std::string_view> match(std::string_view route, std::string_view path) {
  const size_t variable = route.find('{');
  if (variable == route.npos) {
    return path == route ? std::optional(std::string_view()) : std::nullopt;
  }
  const std::string_view before = route.substr(0, variable);
  const std::string_view after = route.substr(route.find('}') + 1);
  if (!path.starts_with(before)) return std::nullopt;
  path.remove_prefix(before.size());
  if (!path.ends_with(after)) return std::nullopt;
  return path.substr(0, path.size() - after.size());
}

// Methods are case-sensitive, unlike the elements of most lists (RFC 9110 section 9.1).
bool has_method(std::string_view methods, std::string_view method) {
  while (const auto allowed = net::next_http_element(methods)) {
    if (*allowed == method) return true;
  }
  return false;
}

bool changes_nothing(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

ApiResponse method_not_allowed(std::string_view methods) {
  ApiResponse response =
      problem(405, BOP_E_UNSUPPORTED, fmt::format("this path allows the methods {}", methods));
  response.headers.emplace_back("Allow", methods);
  return response;
}

}  // namespace

HttpApi::HttpApi(ClientConnections& connections) : connections_(connections) {}

HttpApi::~HttpApi() { *alive_ = false; }

// ---- requests in ----

const std::vector<HttpApi::Route>& HttpApi::table() {
  constexpr std::string_view read = "GET, HEAD, OPTIONS";
  static const std::vector<Route> routes{
      {{"/", read}, &HttpApi::begin_root},
      {{"/v1/kv/{key}", "GET, HEAD, PUT, DELETE, OPTIONS", BOP_KV_VALUE_MAX}, &HttpApi::begin_key},
      {{"/v1/kv", read}, &HttpApi::begin_range},
      {{"/v1/groups/{group}/propose", "POST, OPTIONS"}, &HttpApi::begin_propose},
      {{"/v1/groups/{group}/query", "POST, OPTIONS"}, &HttpApi::begin_query},
      {{"/v1/status", read}, &HttpApi::begin_status},
      {{"/v1/openapi.json", read}, &HttpApi::begin_openapi},
      {{"/metrics", read}, &HttpApi::begin_metrics},
      {{"/livez", read}, &HttpApi::begin_livez},
      {{"/readyz", read}, &HttpApi::begin_readyz},
  };
  return routes;
}

uint64_t HttpApi::max_body_bytes(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  for (const Route& route : table())
    if (match(route.path, path)) return route.max_body_bytes;
  return max_request_bytes;
}

std::vector<ApiRoute> HttpApi::routes() { return {table().begin(), table().end()}; }

void HttpApi::refuse(ApiReply& reply, ApiResponse response) {
  connections_.http().errors.add();
  reply.respond(std::move(response));
}

void HttpApi::serve(const ApiRequest& request, std::unique_ptr<ApiReply> reply) {
  connections_.http().commands.add();
  // RFC 9110 section 9.1: 501 for methods that no resource implements, 405 for those that this one does not. Before the
  // host, which for CONNECT is not this server.
  if (!has_method(all_methods, request.method)) {
    refuse(*reply,
           problem(501, BOP_E_UNSUPPORTED, fmt::format("{} is not implemented", request.method)));
    return;
  }
  if (!check_sender(request, *reply)) return;
  const Status begun = begin(request, reply);
  if (begun) return;
  const auto& [code, detail] = begun.error();
  refuse(*reply, problem(http_status(code), code, detail));
}

// Whether the request is for this server and was not sent by a page of another site. False: it was refused.
bool HttpApi::check_sender(const ApiRequest& request, ApiReply& reply) {
  const HttpHosts& hosts = connections_.options().http_hosts;
  if (!hosts.allows(request.host)) {
    refuse(reply, problem(421, BOP_E_INVALID_ARGUMENT,
                          fmt::format(
                              "the host {} is not a name of this server, which are: {}; http.hosts "
                              "configures more",
                              request.host, hosts.known())));
    return false;
  }
  const bool foreign =
      !request.origin.empty() && !HttpHosts::is_same_origin(request.origin, request.host);
  if (foreign && !changes_nothing(request.method)) {
    refuse(reply,
           problem(403, BOP_E_INVALID_ARGUMENT,
                   fmt::format("pages of {} must not change data of this server: the Origin of "
                               "such a request must equal its Host",
                               request.origin)));
    return false;
  }
  return true;
}

// RFC 9110 section 9.3.7. False: the method is not OPTIONS.
bool HttpApi::respond_to_options(const ApiRequest& request, const Route* route, ApiReply& reply) {
  if (request.method != "OPTIONS") return false;
  ApiResponse response{.status = 204};
  response.headers.emplace_back("Allow", route == nullptr ? all_methods : route->methods);
  reply.respond(std::move(response));
  return true;
}

// Takes over `reply`, or responds with it, when it succeeds.
Status HttpApi::begin(const ApiRequest& request, std::unique_ptr<ApiReply>& reply) {
  if (request.target == "*" && respond_to_options(request, nullptr, *reply)) return {};
  BOP_TRY_ASSIGN(const Target target, parse_target(request.target));
  for (const Route& route : table()) {
    const auto variable = match(route.path, target.path);
    if (!variable) continue;
    if (respond_to_options(request, &route, *reply)) return {};
    if (!has_method(route.methods, request.method)) {
      refuse(*reply, method_not_allowed(route.methods));
      return {};
    }
    return (this->*route.begin)({request, target, *variable, reply});
  }
  return fail(BOP_E_NOT_FOUND,
              "no resource has this path; the API is described at /v1/openapi.json");
}

Status HttpApi::submit(const Call& call, GroupId group, mem::Buffer payload, OpenRequest opened) {
  node::Service& service = connections_.service();
  BOP_TRY_ASSIGN(const auto timeout_ms, read_number(call.target, "timeout_ms", 1, max_timeout_ms));
  if (free_.empty()) {
    if (open_.size() >= connections_.options().max_http_requests) {
      return fail(BOP_E_OVERLOADED, "too many HTTP requests are in flight");
    }
    free_.push_back(static_cast<uint32_t>(open_.size()));
    open_.emplace_back();
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  const Duration limit = timeout_ms ? static_cast<Duration>(*timeout_ms) * milliseconds
                                    : connections_.options().deadline;
  opened.group = group;
  opened.started = service.now();
  opened.deadline = opened.started + limit;
  opened.reply = std::move(call.reply);
  const bool proposal = changes(opened.kind) && !opened.reading;
  open_[number] = std::move(opened);
  send(number, proposal, std::move(payload));
  return {};
}

void HttpApi::send(uint32_t number, bool proposal, mem::Buffer payload) {
  node::Request request{.group = open_[number].group,
                        .payload = std::move(payload),
                        .deadline = open_[number].deadline,
                        .completion = this,
                        .token = number};
  if (proposal) {
    connections_.service().propose(std::move(request));
  } else {
    connections_.service().query(std::move(request));
  }
}

// ---- outcomes back ----

void HttpApi::complete(uint64_t token, const port::Outcome& outcome) {
  const auto number = static_cast<uint32_t>(token);
  if (continue_change(number, outcome)) return;
  const OpenRequest request = std::exchange(open_[number], {});
  free_.push_back(number);
  auto& metrics = connections_.http();
  (changes(request.kind) ? metrics.propose_ns : metrics.query_ns)
      .record(static_cast<uint64_t>(connections_.service().now() - request.started));
  if (outcome.status != BOP_OK && outcome.status != BOP_E_CONDITION_FAILED) metrics.errors.add();
  request.reply->respond(response_of(request, outcome));
}

ApiResponse HttpApi::response_of(const OpenRequest& request, const port::Outcome& outcome) {
  switch (request.kind) {
    case Kind::get: return get_response(request, outcome);
    case Kind::put:
    case Kind::remove: return change_response(request, outcome);
    case Kind::range: return range_response(request, outcome);
    case Kind::propose:
    case Kind::query: return raw_response(request, outcome);
  }
  return {};
}

// ---- the node ----

Status HttpApi::begin_root(const Call& call) {
  call.reply->respond(text_response(
      200, fmt::format("bop {}, a node of replicated state machines; its HTTP API is described at "
                       "/v1/openapi.json\n",
                       connections_.options().version)));
  return {};
}

Status HttpApi::begin_openapi(const Call& call) {
  call.reply->respond(
      {.content_type = json_type, .body = mem::Buffer::copy(as_bytes(openapi_text()))});
  return {};
}

Status HttpApi::begin_livez(const Call& call) {
  call.reply->respond(text_response(200, "ok\n"));
  return {};
}

Status HttpApi::begin_readyz(const Call& call) {
  readiness(std::move(call.reply));
  return {};
}

Status HttpApi::begin_status(const Call& call) {
  status(std::move(call.reply));
  return {};
}

Status HttpApi::begin_metrics(const Call& call) {
  metrics(std::move(call.reply));
  return {};
}

void HttpApi::status(std::unique_ptr<ApiReply> reply) {
  // std::function must be copyable, which a unique_ptr is not.
  auto shared = std::make_shared<std::unique_ptr<ApiReply>>(std::move(reply));
  connections_.service().status([shared](const node::NodeStatus& status) {
    (*shared)->respond(json_response(200, status_json(status)));
  });
}

void HttpApi::metrics(std::unique_ptr<ApiReply> reply) {
  auto shared = std::make_shared<std::unique_ptr<ApiReply>>(std::move(reply));
  connections_.service().status([this, alive = alive_, shared](const node::NodeStatus& status) {
    if (!*alive) return;
    metrics::Registry& registry = connections_.shared().registry;
    follow_status(registry, status);
    const std::string text = registry.text() + process_metrics_text(io::read_process_stats());
    (*shared)->respond(
        {.content_type = prometheus_type, .body = mem::Buffer::copy(as_bytes(text))});
  });
}

void HttpApi::readiness(std::unique_ptr<ApiReply> reply) {
  auto shared = std::make_shared<std::unique_ptr<ApiReply>>(std::move(reply));
  connections_.service().status([shared](const node::NodeStatus& status) {
    const std::vector<std::string> reasons = node::not_ready_reasons(status);
    std::string text = reasons.empty() ? "ok\n" : "not ready\n";
    for (const std::string& reason : reasons) text += reason + "\n";
    for (const node::ActiveCondition& active : status.conditions)
      if (!node::blocks(active.condition))
        text += fmt::format("warning: {}: {}\n", node::name_of(active.condition), active.detail);
    (*shared)->respond(text_response(reasons.empty() ? 200 : 503, text));
  });
}

}  // namespace bop::serve

// The HTTP API: one response for each request, now or later. docs/formats/http.md is its documentation,
// GET /v1/openapi.json its description for programs. It uses no sockets: net's HTTP server calls it through http_front.h.
//
//   http_api.cpp         routes, requests to the node's Service and their outcomes, pages about the node
//   http_kv.cpp          keys and values
//   http_raw.cpp         raw commands and queries for any machine
//   http_response.h      responses and errors
//   http_conditions.h    If-Match, If-None-Match
//   http_hosts.h         Host, Origin
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mem/buffer.h"
#include "node/service.h"
#include "serve/client_connections.h"
#include "serve/http_conditions.h"
#include "serve/http_hosts.h"
#include "serve/http_response.h"
#include "serve/url.h"

namespace bop::serve {

// Valid during the call, except for the body, which may be kept.
struct ApiRequest {
  std::string_view method;
  std::string_view target;     // path and query; "*" of OPTIONS
  std::string_view host = {};  // "localhost:7102"; empty: the request has none
  // Values of fields; several fields of one name are joined by commas. Empty: the request has none.
  std::string_view origin = {};
  std::string_view if_match = {};
  std::string_view if_none_match = {};
  mem::Buffer body = {};
};

inline constexpr uint64_t max_request_bytes = 2u << 20;  // group::Limits::max_request_bytes

// A path that is served; one segment of it may be a variable: "/v1/kv/{key}".
struct ApiRoute {
  std::string_view path;
  std::string_view methods;  // in the form of the field Allow
  uint64_t max_body_bytes = max_request_bytes;
};

// Where the response to one request is sent, exactly once.
class ApiReply {
 public:
  virtual ~ApiReply() = default;
  virtual void respond(ApiResponse response) = 0;
};

class HttpApi final : private port::Completion {
 public:
  explicit HttpApi(ClientConnections& connections);
  ~HttpApi() override;

  void serve(const ApiRequest& request, std::unique_ptr<ApiReply> reply);

  // All routes.
  static std::vector<ApiRoute> routes();
  // Of a request with that target.
  static uint64_t max_body_bytes(std::string_view target);

 private:
  enum class Kind : uint8_t { get, put, remove, range, propose, query };

  // A request that was submitted to the node.
  struct OpenRequest {
    Kind kind = Kind::get;
    GroupId group = 0;
    Instant started = 0;
    Instant deadline = 0;
    std::unique_ptr<ApiReply> reply = nullptr;
    HttpConditions conditions = {};
    bool keys_only = false;  // range

    std::string key = {};    // get, put, remove
    mem::Buffer value = {};  // put

    // For a change whose conditions kv cannot check: the record is read, its conditions are checked, and it is changed
    // on the condition that it still has the revision that was read. If it has not, this is repeated.
    bool reads_first = false;
    bool reading = false;   // false: the change was submitted
    uint32_t attempts = 0;  // changes that were submitted
  };

  // The arguments of a route's handler, which takes over `reply` when it succeeds.
  struct Call {
    const ApiRequest& request;
    const Target& target;
    std::string_view variable;  // of the path, still percent-encoded
    std::unique_ptr<ApiReply>& reply;
  };
  struct Route : ApiRoute {
    Status (HttpApi::*begin)(const Call& call);
  };
  static const std::vector<Route>& table();
  static bool changes(Kind kind) {
    return kind == Kind::put || kind == Kind::remove || kind == Kind::propose;
  }

  void complete(uint64_t token, const port::Outcome& outcome) override;

  void refuse(ApiReply& reply, ApiResponse response);
  bool check_sender(const ApiRequest& request, ApiReply& reply);
  bool respond_to_options(const ApiRequest& request, const Route* route, ApiReply& reply);
  Status begin(const ApiRequest& request, std::unique_ptr<ApiReply>& reply);

  // Takes over `call.reply` when it succeeds. `opened` has the fields of its kind.
  Status submit(const Call& call, GroupId group, mem::Buffer payload, OpenRequest opened);
  void send(uint32_t number, bool proposal, mem::Buffer payload);
  ApiResponse response_of(const OpenRequest& request, const port::Outcome& outcome);

  // http_kv.cpp
  Result<GroupId> kv_group() const;
  Status begin_key(const Call& call);
  Status begin_get(const Call& call, OpenRequest opened);
  Status begin_change(const Call& call, OpenRequest opened);
  Status begin_range(const Call& call);
  bool continue_change(uint32_t number, const port::Outcome& outcome);
  static proto::KvOperation operation_of(const OpenRequest& change);
  ApiResponse change_response(const OpenRequest& request, const port::Outcome& outcome);
  ApiResponse get_response(const OpenRequest& request, const port::Outcome& outcome);
  ApiResponse range_response(const OpenRequest& request, const port::Outcome& outcome);

  // http_raw.cpp
  Status begin_propose(const Call& call) { return begin_raw(call, Kind::propose); }
  Status begin_query(const Call& call) { return begin_raw(call, Kind::query); }
  Status begin_raw(const Call& call, Kind kind);
  static ApiResponse raw_response(const OpenRequest& request, const port::Outcome& outcome);

  // The node.
  Status begin_root(const Call& call);
  Status begin_openapi(const Call& call);
  Status begin_livez(const Call& call);
  Status begin_readyz(const Call& call);
  Status begin_status(const Call& call);
  Status begin_metrics(const Call& call);
  void status(std::unique_ptr<ApiReply> reply);
  void metrics(std::unique_ptr<ApiReply> reply);
  void readiness(std::unique_ptr<ApiReply> reply);

  ClientConnections& connections_;
  std::vector<OpenRequest> open_;  // a request's token is its position
  std::vector<uint32_t> free_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bop::serve

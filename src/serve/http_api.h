// The HTTP API: one response for each request, now or later. docs/formats/http.md describes it for people,
// GET /v1/openapi.json for programs. No sockets here: net's HTTP server calls it through http_front.h.
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
  std::string_view host = {};  // "localhost:7102"; empty: the client named none
  // Values of fields, several of one name joined by commas; empty: there is none.
  std::string_view origin = {};
  std::string_view if_match = {};
  std::string_view if_none_match = {};
  mem::Buffer body = {};
};

// A path that is served; one segment of it may be a variable: "/v1/kv/{key}".
struct ApiRoute {
  std::string_view path;
  std::string_view methods;  // as the field Allow has them
};

// Answered exactly once.
class ApiReply {
 public:
  virtual ~ApiReply() = default;
  virtual void answer(ApiResponse response) = 0;
};

class HttpApi final : private port::Completion {
 public:
  explicit HttpApi(ClientConnections& connections);
  ~HttpApi() override;

  void serve(const ApiRequest& request, std::unique_ptr<ApiReply> reply);

  // All that there are.
  static std::vector<ApiRoute> routes();

 private:
  enum class Kind : uint8_t { get, put, remove, range, propose, query };

  // A request that was submitted.
  struct UnderWay {
    Kind kind = Kind::get;
    GroupId group = 0;
    Instant started = 0;
    Instant deadline = 0;
    std::unique_ptr<ApiReply> reply = nullptr;
    HttpConditions conditions = {};
    bool keys_only = false;  // range

    std::string key = {};    // get, put, remove
    mem::Buffer value = {};  // put

    // Of a change whose conditions kv cannot check: its record is read, then changed if it still has the
    // revision that was read; when it has another by then, conditions and change are tried again.
    bool reads_first = false;
    bool reading = false;   // else the change is under way
    uint32_t attempts = 0;  // changes that were submitted
  };

  // One request on its way through the routes. The handler takes `reply` when it succeeds.
  struct Call {
    const ApiRequest& request;
    const Target& target;
    std::string_view variable;  // of the path, as it was sent
    std::unique_ptr<ApiReply>& reply;
  };
  struct Route : ApiRoute {
    Status (HttpApi::*begin)(const Call& call);
  };
  static const std::vector<Route>& table();
  static bool changes(Kind kind) {
    return kind == Kind::put || kind == Kind::remove || kind == Kind::propose;
  }

  void complete(uint64_t token, const port::Outcome& answer) override;

  void refuse(ApiReply& reply, ApiResponse response);
  bool check_sender(const ApiRequest& request, ApiReply& reply);
  bool answer_options(const ApiRequest& request, const Route* route, ApiReply& reply);
  Status begin(const ApiRequest& request, std::unique_ptr<ApiReply>& reply);

  // Takes `call.reply` when it succeeds; `under_way` has what is the kind's own.
  Status submit(const Call& call, GroupId group, mem::Buffer payload, UnderWay under_way);
  void send(uint32_t place, bool proposal, mem::Buffer payload);
  ApiResponse respond(const UnderWay& request, const port::Outcome& answer);

  // http_kv.cpp
  Result<GroupId> kv_group() const;
  Status begin_key(const Call& call);
  Status begin_get(const Call& call, UnderWay under_way);
  Status begin_change(const Call& call, UnderWay under_way);
  Status begin_range(const Call& call);
  bool continue_change(uint32_t place, const port::Outcome& answer);
  static proto::KvOperation operation_of(const UnderWay& change);
  ApiResponse respond_change(const UnderWay& request, const port::Outcome& answer);
  ApiResponse respond_get(const UnderWay& request, const port::Outcome& answer);
  ApiResponse respond_range(const UnderWay& request, const port::Outcome& answer);

  // http_raw.cpp
  Status begin_propose(const Call& call) { return begin_raw(call, Kind::propose); }
  Status begin_query(const Call& call) { return begin_raw(call, Kind::query); }
  Status begin_raw(const Call& call, Kind kind);
  static ApiResponse respond_raw(const UnderWay& request, const port::Outcome& answer);

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
  std::vector<UnderWay> places_;  // a request's token is its place
  std::vector<uint32_t> free_places_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bop::serve

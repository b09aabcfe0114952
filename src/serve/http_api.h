// The HTTP API: a request in, one response out, now or later. docs/formats/http.md says what it offers,
// GET /v1/openapi.json too. No sockets here: net's HTTP server stands before it (http_front.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mem/buffer.h"
#include "node/service.h"
#include "serve/client_connections.h"
#include "serve/url.h"

namespace bop::serve {

// Valid during the call, but for the body, which may be kept.
struct ApiRequest {
  std::string_view method;
  std::string_view target;
  std::string_view if_match = {};  // the fields' values; empty: not there
  std::string_view if_none_match = {};
  mem::Buffer body = {};
};

struct ApiResponse {
  unsigned status = 200;
  std::string_view content_type = {};  // static; empty: none
  std::vector<std::pair<std::string, std::string>> headers = {};
  mem::Buffer body = {};
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

  // A response for what went wrong, also before it was a request: {"error": {...}}. With 503
  // nothing was executed, and it says so.
  static ApiResponse problem(unsigned status, bop_status code, std::string_view detail);

 private:
  enum class Kind : uint8_t { get, put, remove, range };
  struct UnderWay {
    Kind kind = Kind::get;
    Instant started = 0;
    std::unique_ptr<ApiReply> reply = nullptr;
    uint64_t if_none_match = 0;  // get: the revision the client has; 0: none
    uint64_t if_match = 0;       // get: the revision it must be; 0: any
    bool must_exist = false;     // get: If-Match: *
  };

  void complete(uint64_t token, const port::Outcome& answer) override;

  ApiResponse respond(const UnderWay& request, const port::Outcome& answer);
  Status begin(const ApiRequest& request, const Target& target, std::unique_ptr<ApiReply>& reply);
  Status begin_key(const ApiRequest& request, const Target& target, std::string_view encoded_key,
                   std::unique_ptr<ApiReply>& reply);
  Status begin_get(const ApiRequest& request, const Target& target, Bytes key,
                   std::unique_ptr<ApiReply>& reply);
  Status begin_change(const ApiRequest& request, const Target& target, Bytes key,
                      std::unique_ptr<ApiReply>& reply);
  Status begin_range(const Target& target, std::unique_ptr<ApiReply>& reply);
  // Takes `reply` when it succeeds; the rest of `under_way` is set.
  Status submit(const Target& target, bool proposal, mem::Buffer payload, UnderWay under_way,
                std::unique_ptr<ApiReply>& reply);
  void status(std::unique_ptr<ApiReply> reply);
  void metrics(std::unique_ptr<ApiReply> reply);
  void follow_status(const node::NodeStatus& status);

  ClientConnections& connections_;
  std::vector<UnderWay> places_;  // a request's token is its place
  std::vector<uint32_t> free_places_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bop::serve

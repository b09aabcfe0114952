// Connects net's HTTP server with the API.
#pragma once

#include <string>

#include "net/http.h"
#include "serve/http_api.h"

namespace bop::serve {

// Must outlive the net::HttpServer that calls it.
class HttpFront final : public net::HttpHandler {
 public:
  explicit HttpFront(ClientConnections& connections)
      : connections_(connections), api_(connections) {}

  static net::HttpLimits limits() { return {.max_body_bytes = max_request_bytes}; }
  // The response, head and body, to a connection beyond the limit.
  static std::string refusal(const Error& error);

  void on_connected() override;
  void on_disconnected() override;
  uint64_t max_body_bytes(const net::HttpRequest& request) override {
    return HttpApi::max_body_bytes(request.target);
  }
  void on_request(const net::HttpRequest& request, net::HttpResponder responder) override;
  net::HttpResponse on_error(unsigned status, const Error& error) override;

 private:
  ClientConnections& connections_;
  HttpApi api_;
};

}  // namespace bop::serve

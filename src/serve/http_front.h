// Joins net's HTTP server to the API, and with it HttpApi to sockets.
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

  // The answer to a connection that is not taken, whole.
  static std::string refusal(const Error& error);

  void on_connected() override;
  void on_disconnected() override;
  void on_request(const net::HttpRequest& request, net::HttpResponder responder) override;
  net::HttpResponse on_error(unsigned status, const Error& error) override;

 private:
  ClientConnections& connections_;
  HttpApi api_;
};

}  // namespace bop::serve

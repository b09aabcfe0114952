#include "serve/http_front.h"

#include "net/http_format.h"

namespace bop::serve {

namespace {

net::HttpResponse to_net(ApiResponse response) {
  net::HttpResponse converted;
  converted.status = response.status;
  converted.content_type = response.content_type;
  converted.headers = std::move(response.headers);
  converted.body = std::move(response.body);
  return converted;
}

class FrontReply final : public ApiReply {
 public:
  explicit FrontReply(net::HttpResponder responder) : responder_(std::move(responder)) {}
  void respond(ApiResponse response) override { responder_.answer(to_net(std::move(response))); }

 private:
  net::HttpResponder responder_;
};

}  // namespace

std::string HttpFront::refusal(const Error& error) {
  const net::HttpResponse response = to_net(problem(503, error.code, error.detail));
  return net::http_head(response, {}, net::HttpPersistence::close) +
         std::string(as_text(response.body.bytes()));
}

void HttpFront::on_connected() {
  connections_.http().connections.add();
  connections_.http().connected.add(1);
}

void HttpFront::on_disconnected() { connections_.http().connected.add(-1); }

void HttpFront::on_request(const net::HttpRequest& request, net::HttpResponder responder) {
  const std::string origin = request.list("Origin");
  const std::string if_match = request.list("If-Match");
  const std::string if_none_match = request.list("If-None-Match");
  api_.serve({.method = request.method,
              .target = request.target,
              .host = request.host,
              .origin = origin,
              .if_match = if_match,
              .if_none_match = if_none_match,
              .body = request.body},
             std::make_unique<FrontReply>(std::move(responder)));
}

net::HttpResponse HttpFront::on_error(unsigned status, const Error& error) {
  connections_.http().errors.add();
  return to_net(problem(status, error.code, error.detail));
}

}  // namespace bop::serve

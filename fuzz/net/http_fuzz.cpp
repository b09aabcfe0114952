// Any bytes sent to an HTTP port make requests or errors, and leave no connection behind.
#include <sys/socket.h>

#include <cstdlib>

#include "base/assert.h"
#include "feed.h"
#include "net/http.h"
#include "net/http_syntax.h"

namespace {

class Echo final : public bop::net::HttpHandler {
 public:
  void on_request(const bop::net::HttpRequest& request,
                  bop::net::HttpResponder responder) override {
    // What the server promises of every request.
    BOP_ASSERT(bop::net::is_http_host(request.host));
    BOP_ASSERT(request.target.find('#') == request.target.npos);
    BOP_ASSERT(request.target.empty() || request.target.front() == '/' ||
               request.target.front() == '?' || request.target == "*" ||
               request.method == "CONNECT");
    bop::net::HttpResponse response;
    response.headers.emplace_back("X-Target", std::string(request.target));
    response.headers.emplace_back("X-Host", std::string(request.host));
    response.headers.emplace_back("X-Connection", request.list("Connection"));
    response.body = request.body;
    // A request whose responder is destroyed is answered all the same.
    if (!request.has_header("X-Drop")) responder.answer(response);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static bop::io::Loop loop;
  static bop::net::Streams streams(loop);
  static Echo echo;
  const bop::net::HttpLimits limits{.max_header_bytes = 4096, .max_body_bytes = 16384};
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) std::abort();
  {
    bop::net::HttpServer server(streams, echo, limits);
    server.take(streams.adopt(sockets[0], bop::net::HttpServer::stream_limits(limits)).value());
    bop::fuzz::feed(loop, sockets[1], data, size);
  }
  if (streams.open_connections() != 0) std::abort();
  return 0;
}

// HTTP/1.1 servers on this room's connections: RFC 9110 and 9112, parsed by Boost.Beast.
//
// Requests of one connection are handled one after the other, in the order they came; what a client
// pipelines waits unread. A slow client is bounded in time, every client in bytes.
//
//   on_bytes ──► parser ──► HttpHandler::on_request ──► HttpResponder::answer, now or later
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "mem/buffer.h"
#include "net/stream.h"

namespace bop::net {

struct HttpLimits {
  uint32_t max_header_bytes = 16u << 10;  // request line and fields; beyond: 414, 431
  uint64_t max_body_bytes = 1u << 20;     // beyond: 413
  Duration idle_limit = 60 * seconds;     // between requests, and for taking an answer: closed
  Duration header_limit =
      10 * seconds;                    // from a request's first byte to the end of its fields: 408
  Duration body_limit = 60 * seconds;  // from there to the end of its body: 408
};

// Valid during on_request, but for the body, which may be kept.
class HttpRequest {
 public:
  std::string_view method;  // "GET"
  std::string_view target;  // "/v1/kv/a%20b?x=1", as it was sent
  mem::Buffer body;
  std::string_view peer;

  // The first field of that name, in whatever case; empty when there is none.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;

 private:
  friend class HttpSession;
  const void* fields_ = nullptr;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";  // empty: none said
  std::vector<std::pair<std::string, std::string>> headers;
  mem::Buffer body;
  bool close = false;  // after this answer

  static HttpResponse text(unsigned status, std::string_view body);
  static HttpResponse json(unsigned status, std::string_view body);
};

class HttpSession;

// The right, and duty, to answer one request, on the loop's thread. An answer to a connection that is
// gone does nothing. One that goes away without an answer answers 500.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
  HttpResponder(HttpResponder&&) noexcept = default;
  HttpResponder& operator=(HttpResponder&&) = delete;
  ~HttpResponder();

  void answer(const HttpResponse& response);

 private:
  std::shared_ptr<HttpSession> session_;  // until it is answered
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // A connection was taken, or is gone; those that end with their server are not told of.
  virtual void on_connected() {}
  virtual void on_disconnected() {}
  virtual void on_request(const HttpRequest& request, HttpResponder responder) = 0;
  // The answer to what never became a request: 400, 408, 413, 414, 417, 431; or to one that was
  // dropped: 500. The connection is closed after it, but for a 500.
  virtual HttpResponse on_error(unsigned status, const Error& error);
};

// The HTTP connections of one loop. The handler must outlive it.
class HttpServer {
 public:
  HttpServer(Streams& streams, HttpHandler& handler, const HttpLimits& limits = {});
  ~HttpServer();  // closes all connections
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // What to listen with, and where its connections go.
  static StreamLimits stream_limits(const HttpLimits& limits);
  void take(std::unique_ptr<Connection> connection);
  size_t connections() const { return sessions_.size(); }
  // Closes every connection: once its request is answered, or at once when it has none.
  void stop();
  // Whether all responses were given to the operating system.
  bool all_sent() const;

 private:
  friend class HttpSession;
  std::string_view date();

  Streams& streams_;
  HttpHandler& handler_;
  const HttpLimits limits_;
  std::unordered_map<HttpSession*, std::shared_ptr<HttpSession>> sessions_;
  std::string date_;  // as a field, of date_second_
  int64_t date_second_ = -1;
};

}  // namespace bop::net

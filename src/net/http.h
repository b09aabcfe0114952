// HTTP/1.1 and HTTP/1.0 servers on this module's connections: RFC 9110 and 9112, parsed by Boost.Beast.
//
// The requests of a connection are handled one at a time, in order; pipelined ones stay unread until
// then. The time that a client may take and the bytes that it may send are bounded.
//
//   on_bytes ──► parser ──► HttpHandler::on_request ──► HttpResponder::answer, now or later
#pragma once

#include <cstdint>
#include <list>
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
  // Between requests, and for reading a response: then the connection is closed.
  Duration idle_limit = 60 * seconds;
  Duration header_limit = 10 * seconds;  // from a request's first byte to its last field: 408
  Duration body_limit = 60 * seconds;    // from there to the end of the body: 408
  // After the last response of a connection the rest of the request is read and dropped for so long or
  // so many bytes, so that a client that sends everything before it reads still gets the response.
  Duration linger_limit = 5 * seconds;
  uint64_t linger_bytes = 32u << 20;
  // For so long a new connection is not closed to accept another: its request may be on its way.
  Duration spare_after = 100 * milliseconds;
};

// Valid during on_request, except for the body, which may be kept.
class HttpRequest {
 public:
  std::string_view method;  // "GET"; methods are case-sensitive
  // "/v1/kv/a%20b?x=1": path and query as they were sent, without scheme and authority. "*" of OPTIONS,
  // "host:port" of CONNECT; "" or "?x=1" of an absolute-form without a path.
  std::string_view target;
  // "localhost:7102": the authority of an absolute-form, else the Host field. Of valid form; empty: the
  // client named none.
  std::string_view host;
  mem::Buffer body;
  std::string_view peer;  // the client's address

  // The first field of that name, in whatever case; empty when there is none. Trailer fields are not
  // among them.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  // All fields of that name, joined by ", ": the value of a field that is a list.
  std::string list(std::string_view name) const;

 private:
  friend class HttpSession;
  const void* fields_ = nullptr;  // boost::beast::http::fields
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";  // empty: no such field
  std::vector<std::pair<std::string, std::string>> headers;
  mem::Buffer body;
  bool close = false;  // the connection, after this response

  static HttpResponse text(unsigned status, std::string_view body);
  static HttpResponse json(unsigned status, std::string_view body);
};

class HttpSession;

// Answers one request, once, on the loop's thread. Does nothing when the connection is gone. Destroyed
// without an answer it sends 500.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
  HttpResponder(HttpResponder&&) noexcept = default;
  HttpResponder& operator=(HttpResponder&&) = delete;
  ~HttpResponder();

  void answer(const HttpResponse& response);

 private:
  std::shared_ptr<HttpSession> session_;  // nullptr: answered
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Called for each connection taken and closed, but not for those that the server's end closes.
  virtual void on_connected() {}
  virtual void on_disconnected() {}
  virtual void on_request(const HttpRequest& request, HttpResponder responder) = 0;
  // The response to what never became a request (400, 408, 413, 414, 417, 431, 501, 505), after which
  // the connection is closed, or to a request whose responder was destroyed (500).
  virtual HttpResponse on_error(unsigned status, const Error& error);
};

// The HTTP connections of one loop. The handler must outlive it.
class HttpServer {
 public:
  HttpServer(Streams& streams, HttpHandler& handler, const HttpLimits& limits = {});
  ~HttpServer();  // closes all connections
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // For the acceptor whose connections go to take().
  static StreamLimits stream_limits(const HttpLimits& limits);
  void take(std::unique_ptr<Connection> connection);
  size_t connections() const { return sessions_.size(); }
  // Closes the connection that has waited longest for a request or its header, or else the one whose body has been
  // awaited longest; never one whose request is being answered, and no new one. False: there is none.
  bool close_longest_waiting();
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
  // Those that may be closed to accept others, in the order in which they began to wait.
  std::list<HttpSession*> without_request_;  // idle, within a header, or finishing
  std::list<HttpSession*> within_body_;
  std::string date_;  // the field of date_second_
  int64_t date_second_ = -1;
};

}  // namespace bop::net

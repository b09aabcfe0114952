// An HTTP/1.1 and HTTP/1.0 server on this module's connections: RFC 9110 and 9112, parsed by Boost.Beast.
//
// The requests of a connection are handled one at a time, in order; a pipelined request stays unread until
// its turn. The time that a client may take and the bytes that it may send are bounded.
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
  uint32_t max_header_bytes = 16u << 10;  // of request line and fields; more: 414 or 431
  uint64_t max_body_bytes = 1u << 20;     // more: 413
  // The connection is closed after this time without a request, or without progress in reading a response.
  Duration idle_limit = 60 * seconds;
  Duration header_limit =
      10 * seconds;  // from the first byte of a request to its last field; else 408
  Duration body_limit = 60 * seconds;  // from there to the end of the body; else 408
  // After the last response of a connection, input is read and discarded for this time or up to this many
  // bytes, so that a client that sends everything before it reads still gets the response.
  Duration linger_limit = 5 * seconds;
  uint64_t linger_bytes = 256u << 20;
  // A new connection is not closed for this time to accept another one, since its request may be on its way.
  Duration spare_after = 100 * milliseconds;
};

// Valid during on_request() only, except for the body, which may be kept.
class HttpRequest {
 public:
  std::string_view method;  // "GET"; methods are case-sensitive
  // "/v1/kv/a%20b?x=1": path and query as sent, without scheme and authority. "*" for OPTIONS,
  // "host:port" for CONNECT; "" or "?x=1" for an absolute-form without a path.
  std::string_view target;
  // "localhost:7102": the authority of an absolute-form, else the Host field. Syntactically valid; empty:
  // the request has neither.
  std::string_view host;
  mem::Buffer body;
  std::string_view peer;  // the client's address

  // The first header field of that name (case-insensitive); empty when there is none. Trailer fields are
  // ignored.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  // All header fields of that name, joined by ", ": the value of a field that is defined as a list.
  std::string list(std::string_view name) const;

 private:
  friend class HttpSession;
  const void* fields_ = nullptr;  // boost::beast::http::fields
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";  // empty: no Content-Type field
  std::vector<std::pair<std::string, std::string>> headers;
  mem::Buffer body;
  bool close = false;  // close the connection after this response

  static HttpResponse text(unsigned status, std::string_view body);
  static HttpResponse json(unsigned status, std::string_view body);
};

class HttpSession;

// Answers one request, once, on the loop's thread. Has no effect when the connection is closed. Sends 500
// if it is destroyed before an answer.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
  HttpResponder(HttpResponder&&) noexcept = default;
  HttpResponder& operator=(HttpResponder&&) = delete;
  ~HttpResponder();

  void answer(const HttpResponse& response);

 private:
  std::shared_ptr<HttpSession> session_;  // nullptr: the request was answered
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Called when a connection is taken, and when it is closed other than by the server's destructor.
  virtual void on_connected() {}
  virtual void on_disconnected() {}
  // The bytes that the body of this request may have, if fewer than HttpLimits says; beyond: 413. Called at the end of
  // the header, without the body.
  virtual uint64_t max_body_bytes(const HttpRequest&) { return UINT64_MAX; }
  virtual void on_request(const HttpRequest& request, HttpResponder responder) = 0;
  // Makes the response to input that is not a valid request (400, 408, 413, 414, 417, 431, 501, 505), after
  // which the connection is closed, and to a request whose responder was destroyed (500).
  virtual HttpResponse on_error(unsigned status, const Error& error);
};

// The HTTP connections of one loop. The handler must outlive it.
class HttpServer {
 public:
  HttpServer(Streams& streams, HttpHandler& handler, const HttpLimits& limits = {});
  ~HttpServer();  // closes all connections
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The limits for the acceptor that passes its connections to take().
  static StreamLimits stream_limits(const HttpLimits& limits);
  void take(std::unique_ptr<Connection> connection);
  size_t connections() const { return sessions_.size(); }
  // Closes the connection that has waited longest for a request or its header, or else the one whose body has been
  // awaited longest; never one whose request is being answered, and no new one. False: there is none.
  bool close_longest_waiting();
  // Closes every connection: when its request is answered, or at once if it has none.
  void stop();
  // Whether all responses were passed to the operating system.
  bool all_sent() const;

 private:
  friend class HttpSession;
  std::string_view date();

  Streams& streams_;
  HttpHandler& handler_;
  const HttpLimits limits_;
  std::unordered_map<HttpSession*, std::shared_ptr<HttpSession>> sessions_;
  // Sessions that may be closed to accept other connections, in the order in which they began to wait.
  std::list<HttpSession*> without_request_;  // idle, within a header, or finishing
  std::list<HttpSession*> within_body_;
  std::string date_;  // value of the Date field in date_second_
  int64_t date_second_ = -1;
};

}  // namespace bop::net

// One HTTP connection.
//
//   idle ──first byte──► header ──its end──► body ──its end──► answering ──answered──► idle
//     │ idle_limit         │ header_limit     │ body_limit         │ close
//     ▼                    ▼                  ▼                    ▼
//   closed               408, finishing     408, finishing       finishing
//
// A request that is refused leads from header or body to finishing. There the stream sends the queued
// bytes, shuts down sending and discards further input, up to linger_limit and linger_bytes.
#include "net/http.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "net/http_format.h"
#include "net/http_syntax.h"
#include "port/timer.h"

namespace bop::net {

namespace http = boost::beast::http;
using boost::beast::error_code;

namespace {

// A body in one block, which grows with the bytes received, up to the length announced.
struct BlockBody {
  class value_type {
   public:
    value_type() = default;
    value_type(const value_type&) = delete;
    value_type& operator=(const value_type&) = delete;
    ~value_type() {
      if (block_ != nullptr) mem::free_block(block_);
    }

    void announce(uint64_t size) { announced_ = size; }
    void append(const void* bytes, size_t size) {
      if (block_ == nullptr || block_->capacity - used_ < size) grow(used_ + size);
      std::memcpy(block_->data() + used_, bytes, size);
      used_ += size;
    }
    // With the unused part of the block.
    size_t memory_bytes() const { return block_ == nullptr ? 0 : block_->capacity; }
    mem::Buffer take() {
      if (block_ == nullptr) return {};
      mem::Block* block = std::exchange(block_, nullptr);
      return {block, block->data(), std::exchange(used_, 0)};
    }

   private:
    void grow(size_t least) {
      const uint64_t doubled = std::min<uint64_t>(2 * used_, announced_);
      mem::Block* larger = mem::allocate_block(
          std::max({least, size_t{doubled}, size_t{4096} - sizeof(mem::Block)}));
      if (block_ != nullptr) {
        std::memcpy(larger->data(), block_->data(), used_);
        mem::free_block(block_);
      }
      block_ = larger;
    }

    mem::Block* block_ = nullptr;
    size_t used_ = 0;
    uint64_t announced_ = UINT64_MAX;  // the body has at most this many bytes
  };

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<uint64_t>& length, error_code& error) {
      if (length) body_.announce(*length);
      error = {};
    }
    template <class Buffers>
    size_t put(const Buffers& buffers, error_code& error) {
      size_t size = 0;
      for (auto at = boost::asio::buffer_sequence_begin(buffers);
           at != boost::asio::buffer_sequence_end(buffers); ++at) {
        const boost::asio::const_buffer buffer = *at;
        body_.append(buffer.data(), buffer.size());
        size += buffer.size();
      }
      error = {};
      return size;
    }
    void finish(error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

using Parser = http::request_parser<BlockBody>;

// Empty lines before a request line are ignored (RFC 9112 section 2.2). False: `rest` has nothing else.
bool skip_empty_lines(Bytes& rest) {
  while (rest.size() >= 2 && rest[0] == '\r' && rest[1] == '\n') rest = rest.subspan(2);
  return !rest.empty() && !(rest.size() == 1 && rest[0] == '\r');
}

// The status for a parse error.
unsigned status_of(const error_code& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::bad_version) return 505;
  return 400;
}

bop_status code_of(unsigned status) {
  switch (status) {
    case 408: return BOP_E_TIMEOUT;
    case 413:
    case 414:
    case 431: return BOP_E_TOO_LARGE;
    default: return BOP_E_PROTOCOL;
  }
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

boost::beast::string_view beast_view(std::string_view text) { return {text.data(), text.size()}; }

// The value of a list that may be spread over several fields (RFC 9110 section 5.3).
std::string joined(const http::fields& fields, std::string_view name) {
  std::string list;
  const auto [first, last] = fields.equal_range(beast_view(name));
  for (auto field = first; field != last; ++field) {
    if (!list.empty()) list += ", ";
    list += view(field->value());
  }
  return list;
}

// RFC 9112 section 9.3.
bool wants_to_persist(const http::fields& fields, unsigned version) {
  const std::string connection = joined(fields, "Connection");
  if (has_http_token(connection, "close")) return false;
  return version >= 11 || has_http_token(connection, "keep-alive");
}

}  // namespace

class HttpSession final : public StreamHandler, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(HttpServer& server, std::unique_ptr<Connection> connection)
      : server_(&server),
        connection_(std::move(connection)),
        timer_(server.streams_.loop().make_timer([this] { on_time(); })),
        connected_at_(server.streams_.loop().now()) {}

  void start() {
    await_request();
    connection_->start(*this);
  }
  void close();
  bool can_be_spared() const;
  void close_to_spare();
  void stop();
  bool all_sent() const { return connection_->queued_bytes() == 0; }
  void answer(const HttpResponse& response);
  void answer_dropped();

  Consumed on_bytes(const mem::Buffer& bytes) override;
  bool on_end() override;
  void on_closed(const Error&) override { leave(); }

 private:
  enum class State : uint8_t { idle, header, body, answering, finishing };

  void await_request();
  void begin_request();
  bool parse(Bytes& rest);
  void hold_request(size_t body_bytes);
  void refuse_bytes(const error_code& error, Bytes left);
  std::string body_too_large() const;
  bool in_request_line(Bytes left) const;
  bool on_header_end(bool body_follows);
  bool check_fields();
  bool check_body_limit();
  HttpRequest request_of(const http::fields& fields);
  void on_request_end();
  void send(const HttpResponse& response);
  void fail_with(unsigned status, const std::string& detail);
  void on_time();
  void leave();
  void arm(Duration limit);
  void wait_in(std::list<HttpSession*>& list);
  void stop_waiting();

  HttpServer* server_;  // nullptr once it left
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<port::Timer> timer_;
  const Instant connected_at_;
  bool had_request_ = false;
  std::optional<Parser> parser_;
  // The header fields of a chunked request, copied because the parser adds trailer fields to its own.
  std::optional<http::fields> fields_;
  HttpTarget target_;
  size_t header_bytes_ = 0;      // of the request's line and fields, as they were received
  uint64_t max_body_bytes_ = 0;  // of the request, once its header was received
  State state_ = State::idle;
  bool head_only_ = false;  // the request was HEAD: the response has no body
  HttpPersistence persistence_ = HttpPersistence::implied;
  bool client_ended_ = false;                    // no more requests will come
  uint64_t sent_before_ = 0;                     // when the timer was armed
  std::list<HttpSession*>* waits_in_ = nullptr;  // one of the server's
  std::list<HttpSession*>::iterator place_;      // there
};

// ---- requests ----

void HttpSession::arm(Duration limit) {
  timer_->arm(server_->streams_.loop().now() + limit);
  sent_before_ = connection_->sent_bytes();
}

void HttpSession::wait_in(std::list<HttpSession*>& list) {
  stop_waiting();
  waits_in_ = &list;
  place_ = list.insert(list.end(), this);
}

void HttpSession::stop_waiting() {
  if (waits_in_ != nullptr) std::exchange(waits_in_, nullptr)->erase(place_);
}

void HttpSession::await_request() {
  state_ = State::idle;
  wait_in(server_->without_request_);
  arm(server_->limits_.idle_limit);
}

// The parser is reset only now, since the handler may still use the previous request after its answer.
void HttpSession::begin_request() {
  state_ = State::header;
  fields_.reset();
  header_bytes_ = 0;
  max_body_bytes_ = server_->limits_.max_body_bytes;
  parser_.emplace();
  parser_->header_limit(server_->limits_.max_header_bytes);
  parser_->body_limit(boost::none);  // until the header tells which limit holds
  arm(server_->limits_.header_limit);
}

Consumed HttpSession::on_bytes(const mem::Buffer& bytes) {
  // After a handler that answers at once the state is idle again, and the loop parses the next request.
  const auto self = shared_from_this();
  Bytes rest = bytes.bytes();
  while (!rest.empty() && state_ <= State::body && !connection_->throttled() && parse(rest)) {
  }
  if (state_ == State::header || state_ == State::body)
    hold_request(parser_->get().body().memory_bytes());
  return {bytes.size() - rest.size()};
}

// Reports the request to the shard's budget, from its first byte to its response. May close the connection.
void HttpSession::hold_request(size_t body_bytes) {
  connection_->hold(header_bytes_ + body_bytes, 0);
}

// False: more bytes are needed, or the request was refused.
bool HttpSession::parse(Bytes& rest) {
  if (state_ == State::idle) {
    if (!skip_empty_lines(rest)) return false;  // still idle: the idle limit applies
    begin_request();
  }
  error_code error;
  const size_t used = parser_->put(boost::asio::buffer(rest.data(), rest.size()), error);
  const Bytes all = std::exchange(rest, rest.subspan(used));
  if (state_ == State::header) header_bytes_ += used;
  if (error == http::error::need_more) error = {};
  if (error) {
    refuse_bytes(error, all);
    return false;
  }
  const bool header_ends = state_ == State::header && parser_->is_header_done();
  if (header_ends && !on_header_end(!rest.empty())) return false;
  if (parser_->is_done()) {
    on_request_end();
    return true;
  }
  return used > 0;
}

// The response to bytes that are no valid request.
void HttpSession::refuse_bytes(const error_code& error, Bytes left) {
  const unsigned status = status_of(error);
  if (status == 413) return fail_with(413, body_too_large());
  if (status != 431) return fail_with(status, error.message());
  const bool line = error == http::error::header_limit && in_request_line(left);
  fail_with(line ? 414 : 431, "the request line and the fields have at most " +
                                  std::to_string(server_->limits_.max_header_bytes) +
                                  " bytes together");
}

std::string HttpSession::body_too_large() const {
  return "the body of this request has at most " + std::to_string(max_body_bytes_) + " bytes";
}

// Whether the header is too long within its first line, the request line.
bool HttpSession::in_request_line(Bytes left) const {
  left = left.first(std::min<size_t>(left.size(), server_->limits_.max_header_bytes));
  return parser_->get().target().empty() && std::ranges::find(left, '\n') == left.end();
}

bool HttpSession::on_header_end(bool body_follows) {
  state_ = State::body;
  wait_in(server_->within_body_);
  arm(server_->limits_.body_limit);
  if (!check_fields() || !check_body_limit()) return false;
  parser_->eager(true);
  const auto& request = parser_->get();
  if (parser_->chunked()) fields_.emplace(request.base());
  const bool persists = request.method() != http::verb::connect &&
                        wants_to_persist(request.base(), request.version());
  persistence_ = !persists                 ? HttpPersistence::close
                 : request.version() >= 11 ? HttpPersistence::implied
                                           : HttpPersistence::stated;
  const std::string_view expect = view(request[http::field::expect]);
  if (expect.empty() || request.version() < 11 || parser_->is_done()) return true;
  if (!equal_ignoring_case(expect, "100-continue")) {
    fail_with(417, "the only supported expectation is 100-continue");
    return false;
  }
  if (!body_follows) connection_->append(as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
  return true;
}

// Checks what the parser does not. Called before the body is parsed, since it decides where the body ends.
bool HttpSession::check_fields() {
  const auto& request = parser_->get();
  // RFC 9112 section 3.2. In HTTP/1.0 the Host field is optional.
  const size_t hosts = request.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && request.version() >= 11)) {
    fail_with(400, "a request must have exactly one Host field");
    return false;
  }
  if (!is_http_host(view(request[http::field::host]))) {
    fail_with(400, "the Host field must be HOST or HOST:PORT");
    return false;
  }
  auto target = parse_http_target(view(request.method_string()), view(request.target()));
  if (!target) {
    fail_with(400, target.error().detail);
    return false;
  }
  target_ = *target;
  // RFC 9112 section 6.1. Beast ignores or misreads a body in any other coding; if it ignores the body, its
  // bytes would be parsed as the next request.
  const size_t codings = request.count(http::field::transfer_encoding);
  if (codings > 0 && request.version() < 11) {
    fail_with(400, "Transfer-Encoding is not allowed in HTTP/1.0");
    return false;
  }
  if (codings > 1 ||
      (codings == 1 &&
       !equal_ignoring_case(view(request[http::field::transfer_encoding]), "chunked"))) {
    fail_with(501, "the only supported transfer coding is chunked");
    return false;
  }
  return true;
}

// The limit of this request, which may be lower than the server's. Before 100 Continue, or a client sends a body that
// is refused in the end.
bool HttpSession::check_body_limit() {
  max_body_bytes_ = std::min(max_body_bytes_,
                             server_->handler_.max_body_bytes(request_of(parser_->get().base())));
  const auto length = parser_->content_length();
  if (length && *length > max_body_bytes_) {
    fail_with(413, body_too_large());
    return false;
  }
  parser_->body_limit(max_body_bytes_);
  return true;
}

// Without the body.
HttpRequest HttpSession::request_of(const http::fields& fields) {
  HttpRequest request;
  request.method = view(parser_->get().method_string());
  request.target = target_.text;
  request.host = target_.authority.value_or(view(fields[http::field::host]));
  request.peer = connection_->peer();
  request.fields_ = &fields;
  return request;
}

void HttpSession::on_request_end() {
  state_ = State::answering;
  had_request_ = true;
  stop_waiting();
  timer_->cancel();
  connection_->pause();
  auto& message = parser_->get();
  head_only_ = message.method() == http::verb::head;
  const http::fields& fields = fields_ ? *fields_ : message.base();
  HttpRequest request = request_of(fields);
  hold_request(message.body().memory_bytes());
  request.body = message.body().take();
  server_->handler_.on_request(request, HttpResponder(shared_from_this()));
}

bool HttpSession::on_end() {
  client_ended_ = true;
  if (state_ == State::header || state_ == State::body) {
    fail_with(400, "the request is not complete");
    return true;
  }
  return state_ == State::answering;
}

// ---- answers ----

void HttpSession::answer(const HttpResponse& response) {
  if (server_ == nullptr || !connection_->open()) return;
  BOP_ASSERT(state_ == State::answering);
  if (client_ended_ || response.close) persistence_ = HttpPersistence::close;
  send(response);
  if (persistence_ == HttpPersistence::close) return;
  await_request();
  connection_->resume();
}

void HttpSession::answer_dropped() {
  if (server_ == nullptr) return;
  answer(server_->handler_.on_error(500, {BOP_E_INTERNAL, "the request was not answered"}));
}

void HttpSession::send(const HttpResponse& response) {
  connection_->hold(0, 0);
  connection_->append(as_bytes(http_head(response, server_->date(), persistence_)));
  if (!head_only_ && !http_has_no_body(response.status)) connection_->append(response.body);
  if (persistence_ != HttpPersistence::close) return;
  state_ = State::finishing;
  wait_in(server_->without_request_);
  connection_->finish();
  arm(server_->limits_.idle_limit);
}

void HttpSession::fail_with(unsigned status, const std::string& detail) {
  head_only_ = parser_ && parser_->get().method() == http::verb::head;
  persistence_ = HttpPersistence::close;
  send(server_->handler_.on_error(status, {code_of(status), detail}));
}

// ---- the end ----

void HttpSession::on_time() {
  // A client that reads its response is not idle, however slowly it reads.
  const bool progress = connection_->queued_bytes() > 0 && connection_->sent_bytes() > sent_before_;
  if ((state_ == State::idle || state_ == State::finishing) && progress) {
    arm(server_->limits_.idle_limit);
  } else if (state_ == State::idle || state_ == State::finishing) {
    connection_->close({BOP_E_TIMEOUT, "the connection was idle for too long"});
  } else {
    fail_with(408, state_ == State::header ? "the header did not arrive in time"
                                           : "the body did not arrive in time");
  }
}

void HttpSession::leave() {
  timer_->cancel();
  HttpServer* server = std::exchange(server_, nullptr);
  if (server == nullptr) return;
  stop_waiting();
  server->handler_.on_disconnected();
  server->sessions_.erase(this);  // last: it may destroy this session
}

void HttpSession::stop() {
  persistence_ = HttpPersistence::close;
  if (state_ > State::body) return;
  state_ = State::finishing;
  connection_->finish();
  arm(server_->limits_.idle_limit);
}

bool HttpSession::can_be_spared() const {
  return had_request_ ||
         server_->streams_.loop().now() - connected_at_ >= server_->limits_.spare_after;
}

void HttpSession::close_to_spare() {
  stop_waiting();
  connection_->close({BOP_E_OVERLOADED, "closed to accept another connection"});
}

void HttpSession::close() {
  stop_waiting();
  server_ = nullptr;
  timer_.reset();
  connection_.reset();
}

// ---- requests and responses ----

std::string_view HttpRequest::header(std::string_view name) const {
  const auto& fields = *static_cast<const http::fields*>(fields_);
  const auto found = fields.find(beast_view(name));
  return found == fields.end() ? std::string_view() : view(found->value());
}

bool HttpRequest::has_header(std::string_view name) const {
  const auto& fields = *static_cast<const http::fields*>(fields_);
  return fields.find(beast_view(name)) != fields.end();
}

std::string HttpRequest::list(std::string_view name) const {
  return joined(*static_cast<const http::fields*>(fields_), name);
}

HttpResponse HttpResponse::text(unsigned status, std::string_view body) {
  HttpResponse response;
  response.status = status;
  response.body = mem::Buffer::copy(as_bytes(body));
  return response;
}

HttpResponse HttpResponse::json(unsigned status, std::string_view body) {
  HttpResponse response = text(status, body);
  response.content_type = "application/json";
  return response;
}

HttpResponder::~HttpResponder() {
  if (session_ != nullptr) std::exchange(session_, nullptr)->answer_dropped();
}

void HttpResponder::answer(const HttpResponse& response) {
  BOP_ASSERT(session_ != nullptr);
  std::exchange(session_, nullptr)->answer(response);
}

HttpResponse HttpHandler::on_error(unsigned status, const Error& error) {
  return HttpResponse::text(status, error.to_string() + "\n");
}

HttpServer::HttpServer(Streams& streams, HttpHandler& handler, const HttpLimits& limits)
    : streams_(streams), handler_(handler), limits_(limits) {}

HttpServer::~HttpServer() {
  for (auto& [session, kept] : sessions_) session->close();
}

StreamLimits HttpServer::stream_limits(const HttpLimits& limits) {
  StreamLimits stream;
  // Larger than the parser's limit, so that a long header gets 414 or 431 instead of TOO_LARGE.
  stream.max_message_bytes = limits.max_header_bytes + (64u << 10);
  stream.linger_limit = limits.linger_limit;
  stream.linger_bytes = limits.linger_bytes;
  return stream;
}

void HttpServer::stop() {
  for (const auto& [session, kept] : sessions_) session->stop();
}

bool HttpServer::close_longest_waiting() {
  for (const auto* list : {&without_request_, &within_body_}) {
    const auto found = std::ranges::find_if(*list, &HttpSession::can_be_spared);
    if (found == list->end()) continue;
    (*found)->close_to_spare();
    return true;
  }
  return false;
}

bool HttpServer::all_sent() const {
  return std::ranges::all_of(sessions_, [](const auto& entry) { return entry.second->all_sent(); });
}

void HttpServer::take(std::unique_ptr<Connection> connection) {
  auto session = std::make_shared<HttpSession>(*this, std::move(connection));
  sessions_.emplace(session.get(), session);
  handler_.on_connected();
  session->start();
}

std::string_view HttpServer::date() {
  const int64_t second = streams_.loop().wall_ns() / seconds;
  if (second != date_second_) {
    date_second_ = second;
    date_ = http_date(second);
  }
  return date_;
}

}  // namespace bop::net

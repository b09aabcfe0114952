#include "net/http.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "net/http_format.h"
#include "net/http_syntax.h"
#include "net/stream_budget.h"
#include "rig.h"

namespace bop::tests {
namespace {

using net::HttpRequest;
using net::HttpResponder;
using net::HttpResponse;

class Http : public testing::Test, public net::HttpHandler {
 protected:
  void SetUp() override { listen({}); }
  ~Http() override {
    waiting.clear();
    server.reset();
  }

  void listen(const net::HttpLimits& limits) {
    acceptor.reset();
    server = std::make_unique<net::HttpServer>(streams, *this, limits);
    net::ListenOptions options = on_free_port();
    options.limits = net::HttpServer::stream_limits(limits);
    acceptor = net::Acceptor::listen(
                   loop, options,
                   {{&streams, [this](auto connection) { server->take(std::move(connection)); },
                     budget.get()}})
                   .value();
  }

  void on_connected() override { ++connected; }
  void on_disconnected() override { --connected; }
  uint64_t max_body_bytes(const HttpRequest& request) override {
    return request.target.starts_with("/small/") ? 10 : UINT64_MAX;
  }
  void on_request(const HttpRequest& request, HttpResponder responder) override {
    seen.push_back(std::string(request.method) + " " + std::string(request.target) + " " +
                   std::string(as_text(request.body.bytes())));
    bodies.push_back(request.body);
    if (when_request) {
      when_request(request, std::move(responder));
    } else {
      responder.answer(HttpResponse::text(200, "answer to " + seen.back()));
    }
    // The request is valid until this returns, answered or not.
    EXPECT_EQ(seen.back().find(std::string(request.method) + " " + std::string(request.target)),
              0u);
  }

  bool run_until(const std::function<bool()>& done) {
    const Instant latest = io::Loop::read_clock() + long_enough;
    while (!done()) {
      if (io::Loop::read_clock() > latest) return false;
      loop.run_turn(loop.now() + 1 * milliseconds);
    }
    return true;
  }
  void send(PlainClient& client, std::string_view bytes) {
    ASSERT_TRUE(run_until([&] {
      bytes.remove_prefix(client.send_some(bytes));
      return bytes.empty() || client.ended();
    }));
  }
  // Reads one response: its head, and a body of the stated length.
  std::string receive(PlainClient& client, std::string& buffered, bool head_only = false) {
    size_t size = 0;
    run_until([&] {
      buffered += client.receive_some();
      const size_t head = buffered.find("\r\n\r\n");
      if (head == buffered.npos) return client.ended();
      const size_t length = buffered.find("Content-Length: ");
      size = head + 4;
      if (length < head && !head_only) size += std::stoul(buffered.substr(length + 16));
      return buffered.size() >= size || client.ended();
    });
    const std::string answer = buffered.substr(0, size);
    buffered.erase(0, size);
    return answer;
  }
  // Sends a request on a new connection and returns everything that arrives until it is closed.
  std::string ask(std::string_view request) {
    PlainClient client(acceptor->address());
    send(client, request);
    std::string got;
    EXPECT_TRUE(run_until([&] {
      got += client.receive_some();
      return client.ended();
    }));
    EXPECT_FALSE(client.reset());
    return got;
  }
  static std::string status_line(const std::string& answer) {
    return answer.substr(0, answer.find("\r\n"));
  }
  static std::string body_of(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }

  io::Loop loop;
  net::Streams streams{loop};
  metrics::Registry registry;
  std::unique_ptr<net::StreamBudget> budget;
  std::unique_ptr<net::HttpServer> server;
  std::unique_ptr<net::Acceptor> acceptor;
  std::function<void(const HttpRequest&, HttpResponder)> when_request;
  int connected = 0;
  std::vector<std::string> seen;
  std::vector<mem::Buffer> bodies;
  std::vector<HttpResponder> waiting;
};

TEST_F(Http, a_get_is_answered) {
  const std::string answer =
      ask("GET /v1/kv/a%20b?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_line(answer), "HTTP/1.1 200 OK");
  EXPECT_EQ(body_of(answer), "answer to GET /v1/kv/a%20b?x=1 ");
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), answer.npos);
  EXPECT_NE(answer.find("\r\nDate: "), answer.npos);
  EXPECT_NE(answer.find("\r\nContent-Type: text/plain; charset=utf-8\r\n"), answer.npos);
}

TEST_F(Http, a_body_arrives_whole_by_length_and_in_chunks) {
  std::string body(300'000, '\0');
  Random random(1);
  for (char& c : body) c = static_cast<char>(random.next());
  ask("PUT /k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_TRUE(as_text(bodies[0].bytes()) == body);

  ask("PUT /k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\n\r\n");
  ASSERT_EQ(bodies.size(), 2u);
  EXPECT_EQ(as_text(bodies[1].bytes()), "hello world");
  EXPECT_TRUE(as_text(bodies[0].bytes()) == body) << "a kept body was written over";
}

// Every kind of request, and of input that is refused. The responses must not depend on how the network cuts
// the requests into pieces.
TEST_F(Http, requests_cut_at_any_byte_are_answered_as_whole_ones_are) {
  const std::string close = "Connection: close\r\n\r\n";
  const std::string requests[] = {
      "GET /v1/kv/a%20b?x=1 HTTP/1.1\r\nHost: x\r\n" + close,
      "\r\n\r\nGET / HTTP/1.1\r\nHost: x:1\r\n" + close,
      "HEAD /head HTTP/1.1\r\nHost: [::1]:80\r\n" + close,
      "PUT /key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nvalue",
      "PUT /empty HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + close,
      "POST /chunks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n1;name=\"value\"\r\n \r\n5\r\nworld\r\n0\r\nTrailer: 1\r\n\r\n",
      "DELETE /key HTTP/1.1\r\nHost: x\r\n" + close,
      "OPTIONS * HTTP/1.1\r\nHost: x\r\n" + close,
      "GET http://other:7/absolute HTTP/1.1\r\nHost: x\r\n" + close,
      "CONNECT other:7 HTTP/1.1\r\nHost: other:7\r\n\r\n",
      "GET /old HTTP/1.0\r\n\r\n",
      "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /old HTTP/1.0\r\n\r\n",
      "GET /folded HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\n" + close,
      "PUT /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none\r\n"
      "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
      "PUT /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n"
      "HEAD /4 HTTP/1.1\r\nHost: x\r\n" +
          close,
      "GET /#fragment HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "nonsense\r\n\r\n",
  };
  const auto without_dates = [](std::string text) {
    for (size_t at = 0; (at = text.find("Date: ", at)) != text.npos;) {
      text.erase(at, text.find("\r\n", at) + 2 - at);
    }
    return text;
  };
  for (const std::string& request : requests) {
    const std::string whole = without_dates(ask(request));
    const std::vector<std::string> requests_seen = std::exchange(seen, {});
    ASSERT_NE(whole, "") << request;
    for (size_t cut = 1; cut < request.size(); ++cut) {
      PlainClient client(acceptor->address());
      send(client, request.substr(0, cut));
      // Until the server has received the bytes, or has closed.
      for (int turn = 0; turn < 3; ++turn) loop.run_turn(loop.now());
      client.send_some(request.substr(cut));
      std::string got;
      ASSERT_TRUE(run_until([&] {
        got += client.receive_some();
        return client.ended();
      }));
      EXPECT_EQ(without_dates(got), whole) << request << "\ncut at " << cut;
      EXPECT_EQ(std::exchange(seen, {}), requests_seen) << request << "\ncut at " << cut;
      bodies.clear();
    }
  }
}

TEST_F(Http, pipelined_requests_are_answered_in_order_one_at_a_time) {
  std::string requests, expected;
  for (int i = 0; i < 1000; ++i) {
    requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  }
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    waiting.push_back(std::move(responder));
    EXPECT_EQ(waiting.size(), 1u);
  };
  PlainClient client(acceptor->address());
  send(client, requests);
  std::string buffered;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(run_until([&] { return waiting.size() == 1; }));
    EXPECT_EQ(seen.back(), "GET /" + std::to_string(i) + " ");
    HttpResponder responder = std::move(waiting[0]);
    waiting.clear();
    responder.answer(HttpResponse::text(200, std::to_string(i)));
    EXPECT_EQ(body_of(receive(client, buffered)), std::to_string(i));
  }
}

TEST_F(Http, many_pipelined_requests_answered_at_once_do_not_deepen_the_stack) {
  std::string requests;
  for (int i = 0; i < 20'000; ++i) requests += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  PlainClient client(acceptor->address());
  size_t got = 0, sent = 0;
  EXPECT_TRUE(run_until([&] {
    sent += client.send_some(std::string_view(requests).substr(sent));
    got += client.receive_some().size();
    return seen.size() == 20'000 || client.ended();
  }));
  EXPECT_GT(got, 0u);
}

TEST_F(Http, field_names_are_case_insensitive) {
  when_request = [&](const HttpRequest& request, HttpResponder responder) {
    EXPECT_EQ(request.header("content-TYPE"), "application/json");
    EXPECT_TRUE(request.has_header("X-Empty"));
    EXPECT_EQ(request.header("X-Empty"), "");
    EXPECT_FALSE(request.has_header("X-None"));
    EXPECT_EQ(request.header("X-None"), "");
    EXPECT_EQ(request.peer.find("127.0.0.1:"), 0u);
    responder.answer(HttpResponse::json(201, "{}"));
  };
  const std::string answer =
      ask("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
          "application/json\r\nX-Empty:\r\n"
          "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(status_line(answer), "HTTP/1.1 201 Created");
  EXPECT_NE(answer.find("Content-Type: application/json\r\n"), answer.npos);
}

TEST_F(Http, head_has_a_length_but_no_body_and_no_content_has_neither) {
  const std::string head = ask("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 17\r\n"), head.npos) << head;
  EXPECT_EQ(body_of(head), "");
  when_request = [](const HttpRequest&, HttpResponder responder) {
    HttpResponse response;
    response.status = 204;
    responder.answer(response);
  };
  const std::string none = ask("DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_line(none), "HTTP/1.1 204 No Content");
  EXPECT_EQ(none.find("Content-Length"), none.npos);
  EXPECT_EQ(none.find("Content-Type"), none.npos);
}

TEST_F(Http, version_1_0_closes_unless_keep_alive_is_requested_and_the_response_states_it) {
  const std::string answer = ask("GET / HTTP/1.0\r\n\r\n");
  EXPECT_NE(answer.find("Connection: close"), answer.npos);
  for (const char* field : {"Connection: Keep-Alive\r\n", "Connection: x, keep-alive\r\n",
                            "Connection: x\r\nConnection: keep-alive\r\n"}) {
    PlainClient kept(acceptor->address());
    std::string buffered;
    for (int i = 0; i < 2; ++i) {
      send(kept, std::string("GET / HTTP/1.0\r\n") + field + "\r\n");
      const std::string response = receive(kept, buffered);
      EXPECT_EQ(status_line(response), "HTTP/1.1 200 OK");
      EXPECT_NE(response.find("\r\nConnection: keep-alive\r\n"), response.npos) << response;
    }
    EXPECT_FALSE(kept.ended());
  }
  for (const char* field :
       {"Connection: keep-alive, close\r\n", "Connection: keep-alive\r\nConnection: close\r\n"}) {
    const std::string closed = ask(std::string("GET / HTTP/1.0\r\n") + field + "\r\n");
    EXPECT_NE(closed.find("Connection: close"), closed.npos);
    EXPECT_EQ(closed.find("keep-alive"), closed.npos);
  }
}

TEST_F(Http, version_1_1_stays_open_until_one_side_sends_close) {
  PlainClient kept(acceptor->address());
  std::string buffered;
  send(kept, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(receive(kept, buffered).find("Connection:"), std::string::npos);
  send(kept, "GET / HTTP/1.1\r\nHost: x\r\nConnection: x\r\nConnection: CLOSE\r\n\r\n");
  EXPECT_NE(receive(kept, buffered).find("Connection: close"), std::string::npos);
  EXPECT_TRUE(run_until([&] {
    kept.receive_some();
    return kept.ended();
  }));
}

TEST_F(Http, empty_lines_before_a_request_are_ignored_and_do_not_keep_a_connection_open) {
  const std::string body = "PUT /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx\r\n";
  const std::string answers =
      ask("\r\n\r\n" + body + "\r\n" + "GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(seen, (std::vector<std::string>{"PUT /1 x", "GET /2 "}));
  EXPECT_EQ(answers.find("400"), answers.npos) << answers;
  EXPECT_EQ(status_line(ask("\r\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")),
            "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status_line(ask("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")), "HTTP/1.1 400 Bad Request");

  net::HttpLimits limits;
  limits.idle_limit = 100 * milliseconds;
  listen(limits);
  PlainClient client(acceptor->address());
  EXPECT_TRUE(run_until([&] {
    client.send_some("\r\n");
    client.receive_some();
    return client.ended();
  }));
}

TEST_F(Http, the_host_is_that_of_the_absolute_target_or_of_the_field) {
  std::vector<std::string> hosts;
  when_request = [&](const HttpRequest& request, HttpResponder responder) {
    hosts.emplace_back(request.host);
    responder.answer(HttpResponse::text(200, ""));
  };
  const std::string close = "Connection: close\r\n\r\n";
  ask("GET / HTTP/1.1\r\nHost: a.example:80\r\n" + close);
  ask("GET http://b.example:81/path?x HTTP/1.1\r\nHost: a.example\r\n" + close);
  ask("GET HTTPS://b.example HTTP/1.1\r\nHost: a.example\r\n" + close);
  ask("OPTIONS http://b.example HTTP/1.1\r\nHost: a.example\r\n" + close);
  ask("OPTIONS * HTTP/1.1\r\nHost:\r\n" + close);
  ask("CONNECT c.example:443 HTTP/1.1\r\nHost: c.example:443\r\n\r\n");
  ask("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(hosts, (std::vector<std::string>{"a.example:80", "b.example:81", "b.example",
                                             "b.example", "", "c.example:443", ""}));
  EXPECT_EQ(seen, (std::vector<std::string>{"GET / ", "GET /path?x ", "GET  ", "OPTIONS * ",
                                            "OPTIONS * ", "CONNECT c.example:443 ", "GET / "}));
}

TEST_F(Http, a_trailer_field_is_never_a_header_field) {
  when_request = [&](const HttpRequest& request, HttpResponder responder) {
    EXPECT_FALSE(request.has_header("If-Match"));
    EXPECT_EQ(request.list("Origin"), "");
    EXPECT_EQ(request.host, "x");
    EXPECT_EQ(request.header("X-Header"), "1");
    responder.answer(HttpResponse::text(200, ""));
  };
  const std::string answer =
      ask("PUT / HTTP/1.1\r\nHost: x\r\nX-Header: 1\r\nConnection: close\r\n"
          "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nIf-Match: *\r\nOrigin: y\r\nHost: "
          "z\r\n\r\n");
  EXPECT_EQ(status_line(answer), "HTTP/1.1 200 OK");
}

TEST_F(Http, a_list_may_be_spread_over_several_fields) {
  when_request = [&](const HttpRequest& request, HttpResponder responder) {
    EXPECT_EQ(request.list("IF-match"), "\"1\", \"2\", \"3\"");
    EXPECT_EQ(request.list("X-None"), "");
    responder.answer(HttpResponse::text(200, ""));
  };
  ask("GET / HTTP/1.1\r\nHost: x\r\nIf-Match: \"1\", \"2\"\r\nX: y\r\nIf-Match: \"3\"\r\n"
      "Connection: close\r\n\r\n");
  ASSERT_EQ(seen.size(), 1u);
}

// Input that two servers in a row could parse as different requests (RFC 9112 section 11.2).
TEST_F(Http, ambiguous_requests_are_refused_and_close) {
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string put = "PUT / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n";
  const std::string requests[] = {
      put + "Content-Length: 4\r\n" + chunked + "0\r\n\r\n" + smuggled,  // CL.TE
      put + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + smuggled,
      put + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nxx" + smuggled,
      put + "Transfer-Encoding: chunked\r\n" + chunked + "0\r\n\r\n" + smuggled,
      put +
          "Transfer-Encoding:\x0b"
          "chunked\r\n\r\n0\r\n\r\n" +
          smuggled,
      put + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
      put + "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n" + smuggled,
      put + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nxxx" + smuggled,
      put + "Content-Length: 2, 3\r\n\r\nxxx" + smuggled,
      put + "Content-Length: +2\r\n\r\nxx" + smuggled,
      put + "Content-Length: 0x2\r\n\r\nxx" + smuggled,
      put + "Content-Length: 2 2\r\n\r\nxx" + smuggled,
      put + "Content-Length: 18446744073709551618\r\n\r\nxx" + smuggled,
      put + "Content-Length:\r\n\r\n" + smuggled,
      "PUT / HTTP/1.0\r\n" + chunked + "0\r\n\r\n" + smuggled,
      "GET / HTTP/1.1\nHost: x\n\n" + smuggled,  // bare LF
      "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" + smuggled,
      "GET / HTTP/1.1\r\nHost: x\r\nX: y\rZ: z\r\n\r\n" + smuggled,  // bare CR
      put + chunked + "2\nxx\r\n0\r\n\r\n" + smuggled,
      put + chunked + "2\r\nxxx\r\n0\r\n\r\n" + smuggled,
      put + chunked + "-1\r\nx\r\n0\r\n\r\n" + smuggled,
      put + chunked + "10000000000000002\r\nxx\r\n0\r\n\r\n" + smuggled,
      put + chunked + "0x2\r\nxx\r\n0\r\n\r\n" + smuggled,
      put + chunked + "2;a\nb\r\nxx\r\n0\r\n\r\n" + smuggled,  // LF in an extension
      put + chunked + "0\r\nContent-Length: 3\r\n\r\n" + smuggled,
      " GET / HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
      "GET  / HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
      "GET / HTTP/1.1 \r\nHost: x\r\n\r\n" + smuggled,
      "GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n" + smuggled,
      "GET / HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n" + smuggled,
      std::string("GET / HTTP/1.1\r\nHost: x\r\nX: a") + '\0' + "b\r\n\r\n" + smuggled,
      "GET http://x HTTP/1.1\r\n\r\n" + smuggled,  // Host is required nevertheless
      "GET http://user@x/ HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
  };
  for (const std::string& request : requests) {
    const std::string answer = ask(request);
    const std::string line = status_line(answer);
    EXPECT_TRUE(line == "HTTP/1.1 400 Bad Request" || line == "HTTP/1.1 501 Not Implemented" ||
                line == "HTTP/1.1 413 Content Too Large" ||
                line == "HTTP/1.1 505 HTTP Version Not Supported")
        << line << " to\n"
        << request;
    EXPECT_NE(answer.find("Connection: close"), answer.npos) << request;
  }
  EXPECT_TRUE(seen.empty()) << seen.front();
}

TEST_F(Http, rare_but_valid_forms_are_one_request) {
  const std::string end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::string put = "PUT /1 HTTP/1.1\r\nHost: x\r\n";
  const std::pair<std::string, std::string> requests[] = {
      {put + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nxx", "PUT /1 xx"},
      {put + "Content-Length: 2, 2\r\n\r\nxx", "PUT /1 xx"},
      {put + "Transfer-Encoding: Chunked\r\n\r\n2;a=b;c\r\nxx\r\n000\r\n\r\n", "PUT /1 xx"},
      {put + "X: a\r\n\tb\r\nContent-Length: 2\r\n\r\nxx", "PUT /1 xx"},
      {"GET /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxx", "GET /1 xx"},
  };
  for (const auto& [request, expected] : requests) {
    seen.clear();
    ask(request + end);
    EXPECT_EQ(seen, (std::vector<std::string>{expected, "GET /end "})) << request;
  }
}

// A client that writes its whole body before it reads would lose the response if the socket were closed
// while bytes of the body are on their way: the reset that follows drops what was received.
TEST_F(Http, a_client_that_sends_everything_before_it_reads_still_gets_the_413) {
  for (const size_t size : {size_t{2} << 20, size_t{100} << 20}) {
    PlainClient client(acceptor->address());
    const std::string head =
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
    send(client, head);
    const std::string piece(256 << 10, 'x');
    for (size_t sent = 0; sent < size && !client.ended();) {
      ASSERT_TRUE(run_until([&] {
        const size_t taken = client.send_some(piece);
        sent += taken;
        return taken > 0 || client.ended();
      }));
    }
    std::string got;
    EXPECT_TRUE(run_until([&] {
      got += client.receive_some();
      return client.ended() || (got.find("\r\n\r\n") != got.npos && !body_of(got).empty());
    }));
    EXPECT_EQ(status_line(got), "HTTP/1.1 413 Content Too Large") << size;
    EXPECT_FALSE(client.reset());
  }
}

TEST_F(Http, input_discarded_after_the_last_response_is_bounded_in_bytes_and_time) {
  net::HttpLimits limits;
  limits.linger_bytes = 1u << 20;
  limits.linger_limit = long_enough;
  listen(limits);
  const std::string refused = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n";
  PlainClient fast(acceptor->address());
  send(fast, refused);
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  const std::string piece(64 << 10, 'x');
  EXPECT_TRUE(run_until([&] {
    fast.send_some(piece);
    return server->connections() == 0 && streams.open_connections() == 0;
  }));

  limits.linger_bytes = UINT64_MAX / 2;
  limits.linger_limit = 50 * milliseconds;
  listen(limits);
  PlainClient slow(acceptor->address());
  send(slow, refused);
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  EXPECT_TRUE(run_until([&] {
    slow.send_some("x");
    return server->connections() == 0 && streams.open_connections() == 0;
  }));
}

TEST_F(Http, requests_count_against_the_budget_of_all_connections_until_they_are_answered) {
  budget = std::make_unique<net::StreamBudget>(
      loop, net::StreamBudgetLimits{.input_bytes = 2'000'000}, registry, 0);
  listen({});
  when_request = [this](const HttpRequest&, HttpResponder responder) {
    waiting.push_back(std::move(responder));
  };
  const auto start_put = [this](PlainClient& client, size_t bytes) {
    send(client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 800000\r\n\r\n");
    send(client, std::string(bytes, 'x'));
  };
  PlainClient first(acceptor->address());
  start_put(first, 300'000);
  ASSERT_TRUE(run_until([&] { return budget->input_bytes() >= 300'000; }));
  EXPECT_LT(budget->input_bytes(), 700'000u);
  send(first, std::string(500'000, 'x'));
  ASSERT_TRUE(run_until([&] { return waiting.size() == 1; }));
  EXPECT_GE(budget->input_bytes(), 800'000u) << "it is received and not answered";
  waiting.front().answer(HttpResponse::text(200, "done"));
  waiting.clear();
  ASSERT_TRUE(run_until([&] { return budget->input_bytes() == 0; }));

  // Together more than the limit: the largest is disconnected.
  testing::internal::CaptureStderr();
  PlainClient small(acceptor->address());
  PlainClient large(acceptor->address());
  start_put(small, 100'000);
  start_put(large, 790'000);
  start_put(first, 500'000);
  ASSERT_TRUE(run_until([&] { return budget->input_bytes() >= 1'390'000; }));
  budget->set_limits({.input_bytes = 1'000'000});
  EXPECT_LE(budget->input_bytes(), 1'000'000u);
  EXPECT_TRUE(run_until([&] {
    small.receive_some();
    large.receive_some();
    return large.ended();
  }));
  const std::string logged = testing::internal::GetCapturedStderr();
  EXPECT_NE(logged.find("limits.total_input_bytes"), logged.npos) << logged;
  EXPECT_FALSE(small.ended());
}

TEST_F(Http, a_body_over_the_limit_of_its_request_is_refused_before_it_is_sent) {
  const std::string head =
      " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n";
  const std::string refused = ask("PUT /small/k" + head);
  EXPECT_EQ(status_line(refused), "HTTP/1.1 413 Content Too Large");
  EXPECT_NE(refused.find("the body of this request has at most 10 bytes"), refused.npos) << refused;
  EXPECT_EQ(refused.find("100 Continue"), refused.npos);
  EXPECT_EQ(status_line(ask("PUT /small/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "5\r\nhello\r\n6\r\nworld!\r\n")),
            "HTTP/1.1 413 Content Too Large");
  EXPECT_TRUE(seen.empty());
  PlainClient other(acceptor->address());
  send(other, "PUT /k" + head);
  std::string buffered;
  EXPECT_EQ(status_line(receive(other, buffered)), "HTTP/1.1 100 Continue");
}

TEST_F(Http, refusals_of_what_is_too_large_name_the_limit) {
  const auto refusal = [this](const std::string& request) { return body_of(ask(request)); };
  EXPECT_EQ(refusal("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"),
            "BOP_E_TOO_LARGE: the body of this request has at most 1048576 bytes\n");
  const std::string field = "X: " + std::string(20'000, 'x');
  for (const std::string& request : {"GET / HTTP/1.1\r\n" + field, "GET /" + field.substr(3)})
    EXPECT_EQ(
        refusal(request),
        "BOP_E_TOO_LARGE: the request line and the fields have at most 16384 bytes together\n");
}

TEST_F(Http, a_client_that_expects_100_continue_gets_it) {
  PlainClient client(acceptor->address());
  send(client, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  std::string buffered;
  EXPECT_EQ(receive(client, buffered), "HTTP/1.1 100 Continue\r\n\r\n");
  send(client, "value");
  EXPECT_EQ(body_of(receive(client, buffered)), "answer to PUT / value");
}

TEST_F(Http, invalid_requests_get_their_status_and_the_connection_is_closed) {
  const std::string long_path(20'000, 'x');
  const std::string long_field = "X: " + long_path;
  const std::pair<std::string, std::string> cases[] = {
      {"hello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
      {"GET / HTTP/1.1\r\n" + long_field + "\r\n\r\n",
       "HTTP/1.1 431 Request Header Fields Too Large"},
      {"GET / HTTP/1.1\r\n" + long_field, "HTTP/1.1 431 Request Header Fields Too Large"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
       "HTTP/1.1 413 Content Too Large"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       "HTTP/1.1 400 Bad Request"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       "HTTP/1.1 400 Bad Request"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 501 Not Implemented"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 501 Not Implemented"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n"
       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 501 Not Implemented"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\n",
       "HTTP/1.1 417 Expectation Failed"},
      {"\x16\x03\x01\x02\x01\x01", "HTTP/1.1 400 Bad Request"},  // TLS
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\nHost: user@x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\nHost: x/path\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET # HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET /" + long_path, "HTTP/1.1 414 URI Too Long"},
      {"GET /" + long_path + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 414 URI Too Long"},
  };
  for (const auto& [request, expected] : cases) {
    const std::string answer = ask(request);
    EXPECT_EQ(status_line(answer), expected) << request.substr(0, 60);
    EXPECT_NE(answer.find("Connection: close"), answer.npos);
    EXPECT_EQ(body_of(answer).find("BOP_E_"), 0u) << answer;
  }
  EXPECT_TRUE(seen.empty());
}

TEST_F(Http, a_chunked_body_over_the_limit_is_refused) {
  PlainClient client(acceptor->address());
  send(client, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  std::string got;
  ASSERT_TRUE(run_until([&] {
    client.send_some(chunk);
    got += client.receive_some();
    return got.find("\r\n\r\n") != got.npos || client.ended();
  }));
  EXPECT_EQ(status_line(got), "HTTP/1.1 413 Content Too Large");
}

TEST_F(Http, a_request_cut_short_by_its_client_is_a_bad_request) {
  PlainClient client(acceptor->address());
  send(client, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nva");
  client.end_sending();
  std::string buffered;
  EXPECT_EQ(status_line(receive(client, buffered)), "HTTP/1.1 400 Bad Request");
}

TEST_F(Http, a_client_that_shuts_down_sending_still_gets_its_response) {
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    waiting.push_back(std::move(responder));
  };
  PlainClient client(acceptor->address());
  send(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.end_sending();
  ASSERT_TRUE(run_until([&] { return waiting.size() == 1; }));
  for (int i = 0; i < 5; ++i) loop.run_turn(loop.now());
  waiting[0].answer(HttpResponse::text(200, "late"));
  std::string buffered;
  EXPECT_EQ(body_of(receive(client, buffered)), "late");
  EXPECT_TRUE(run_until([&] {
    client.receive_some();
    return client.ended();
  }));
}

TEST_F(Http, a_server_that_stops_answers_what_it_has_and_closes_every_connection) {
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    waiting.push_back(std::move(responder));
  };
  PlainClient idle(acceptor->address()), busy(acceptor->address());
  send(busy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return waiting.size() == 1 && connected == 2; }));
  server->stop();
  EXPECT_TRUE(run_until([&] {
    idle.receive_some();
    return idle.ended();
  }));
  waiting[0].answer(HttpResponse::text(200, "late"));
  std::string buffered;
  const std::string answer = receive(busy, buffered);
  EXPECT_EQ(body_of(answer), "late");
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), answer.npos);
  EXPECT_TRUE(run_until([&] {
    busy.receive_some();
    return busy.ended();
  }));
  EXPECT_TRUE(server->all_sent());
}

TEST_F(Http, a_request_without_an_answer_is_an_internal_error_and_the_connection_stays_open) {
  when_request = [&](const HttpRequest& request, HttpResponder responder) {
    if (request.target == "/drop") return;
    responder.answer(HttpResponse::text(200, "fine"));
  };
  PlainClient client(acceptor->address());
  std::string buffered;
  send(client, "GET /drop HTTP/1.1\r\nHost: x\r\n\r\nGET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status_line(receive(client, buffered)), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(body_of(receive(client, buffered)), "fine");
}

TEST_F(Http, an_answer_to_a_closed_connection_has_no_effect) {
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    waiting.push_back(std::move(responder));
  };
  PlainClient client(acceptor->address());
  send(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return waiting.size() == 1; }));
  client.reset_connection();
  loop.run_turn(loop.now());
  waiting[0].answer(HttpResponse::text(200, "nobody hears"));
  EXPECT_TRUE(run_until([&] { return server->connections() == 0; }));
}

TEST_F(Http, answers_after_the_server_is_destroyed_have_no_effect) {
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    waiting.push_back(std::move(responder));
  };
  PlainClient client(acceptor->address());
  send(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return waiting.size() == 1; }));
  server.reset();
  waiting[0].answer(HttpResponse::text(200, "nobody hears"));
  EXPECT_EQ(streams.open_connections(), 0u);
}

TEST_F(Http, its_handler_is_notified_when_connections_open_and_close) {
  {
    PlainClient first(acceptor->address()), second(acceptor->address());
    EXPECT_TRUE(run_until([&] { return connected == 2; }));
  }
  EXPECT_TRUE(run_until([&] { return connected == 0; }));
  ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return server->connections() == 0; }));
  EXPECT_EQ(connected, 0);
}

// At most three connections: one that can be spared is closed to accept a further one.
class CrowdedHttp : public Http {
 protected:
  void SetUp() override { listen_for_three(0); }
  void listen_for_three(Duration spare_after) {
    acceptor.reset();
    net::HttpLimits limits;
    limits.spare_after = spare_after;
    server = std::make_unique<net::HttpServer>(streams, *this, limits);
    net::ListenOptions options = on_free_port();
    options.limits = net::HttpServer::stream_limits(limits);
    options.max_connections = 3;
    options.refusal = "refused";
    acceptor = net::Acceptor::listen(
                   loop, options,
                   {{.streams = &streams,
                     .on_connection = [this](auto taken) { server->take(std::move(taken)); },
                     .spare_connection = [this] { return server->close_longest_waiting(); }}})
                   .value();
    when_request = [this](const HttpRequest& request, HttpResponder responder) {
      if (request.target == "/slow") {
        waiting.push_back(std::move(responder));
      } else {
        responder.answer(HttpResponse::text(200, "answer"));
      }
    };
  }
  // A connection that has had a response.
  std::unique_ptr<PlainClient> idle() {
    auto client = connect("GET /fast HTTP/1.1\r\nHost: x\r\n\r\n");
    std::string buffered;
    EXPECT_EQ(status_line(receive(*client, buffered)), "HTTP/1.1 200 OK");
    return client;
  }
  std::unique_ptr<PlainClient> connect(std::string_view sent) {
    auto client = std::make_unique<PlainClient>(acceptor->address());
    send(*client, sent);
    return client;
  }
  bool is_closed(PlainClient& client) {
    return run_until([&] {
      client.receive_some();
      return client.ended();
    });
  }
  bool is_open(PlainClient& client) {
    client.receive_some();
    return !client.ended();
  }
};

TEST_F(CrowdedHttp, a_further_connection_takes_the_place_of_the_one_that_is_idle_for_longest) {
  auto first = idle(), second = idle(), third = idle();
  std::string buffered;
  send(*first, "GET /fast HTTP/1.1\r\nHost: x\r\n\r\n");  // now the second waits longest
  receive(*first, buffered);
  auto fourth = idle();
  EXPECT_TRUE(is_closed(*second));
  auto fifth = idle();
  EXPECT_TRUE(is_closed(*third));
  EXPECT_TRUE(is_open(*first));
  EXPECT_TRUE(is_open(*fourth));
  EXPECT_EQ(acceptor->connections(), 3u);
  EXPECT_TRUE(run_until([&] { return server->connections() == 3; }));
}

TEST_F(CrowdedHttp, a_connection_whose_request_is_being_answered_is_never_closed_for_another) {
  const std::string_view slow = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
  auto first = connect(slow), second = connect(slow), third = connect(slow);
  ASSERT_TRUE(run_until([&] { return waiting.size() == 3; }));
  PlainClient fourth(acceptor->address());
  std::string got;
  EXPECT_TRUE(run_until([&] {
    got += fourth.receive_some();
    return fourth.ended();
  }));
  EXPECT_EQ(got, "refused");
  for (HttpResponder& responder : waiting) responder.answer(HttpResponse::text(200, "late"));
  for (auto* client : {first.get(), second.get(), third.get()}) {
    std::string buffered;
    EXPECT_EQ(body_of(receive(*client, buffered)), "late");
  }
}

TEST_F(CrowdedHttp, a_new_connection_has_time_to_send_its_request) {
  listen_for_three(60 * seconds);
  auto first = std::make_unique<PlainClient>(acceptor->address());
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  auto second = idle(), third = idle();
  auto fourth = idle();
  EXPECT_TRUE(is_closed(*second)) << "not the first, which has waited for longer";
  std::string buffered;
  send(*first, "GET /fast HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(body_of(receive(*first, buffered)), "answer");
}

TEST_F(CrowdedHttp, incomplete_requests_do_not_keep_others_out) {
  auto header = connect("GET / HTTP/1.1\r\nHo");
  auto body = connect("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nva");
  auto refused = connect("GET / HTTP/9.9\r\n\r\n");  // its response is sent, its input discarded
  std::string buffered;
  receive(*refused, buffered);
  for (int i = 0; i < 4; ++i) {
    auto client = idle();
    EXPECT_TRUE(is_open(*body) || i >= 2) << "a request that is being received goes last";
  }
}

TEST_F(Http, slow_clients_get_408_or_are_disconnected) {
  net::HttpLimits limits;
  limits.idle_limit = limits.header_limit = limits.body_limit = 10 * milliseconds;
  listen(limits);
  EXPECT_EQ(ask(""), "");  // sent nothing: there is nothing to answer
  EXPECT_EQ(status_line(ask("GET / HT")), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(status_line(ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nva")),
            "HTTP/1.1 408 Request Timeout");
}

TEST_F(Http, a_client_that_never_reads_responses_costs_bounded_memory_and_is_disconnected) {
  net::HttpLimits limits;
  limits.idle_limit = 50 * milliseconds;
  listen(limits);
  const std::string large(1'000'000, 'x');
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    responder.answer(HttpResponse::text(200, large));
  };
  PlainClient client(acceptor->address());
  // Of hundreds of responses of 1 MB, only those that fit the system's buffers, and about one more, are made.
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_TRUE(run_until([&] {
    client.send_some(requests);
    return !seen.empty() && server->connections() == 0;
  }));
  EXPECT_LT(seen.size(), 20u);
}

TEST_F(Http, many_large_answers_to_pipelined_requests_all_arrive) {
  const std::string large(500'000, 'x');
  when_request = [&](const HttpRequest&, HttpResponder responder) {
    responder.answer(HttpResponse::text(200, large));
  };
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  PlainClient client(acceptor->address());
  send(client, requests);
  size_t got = 0;
  EXPECT_TRUE(run_until([&] {
    got += client.receive_some().size();
    return got > 100 * large.size() || client.ended();
  }));
  EXPECT_FALSE(client.ended());
  EXPECT_EQ(seen.size(), 100u);
}

TEST_F(Http, random_bytes_never_become_a_request_and_do_no_harm) {
  Random random(17);
  for (int i = 0; i < 200; ++i) {
    PlainClient client(acceptor->address());
    std::string noise(random.below(3000), '\0');
    for (char& c : noise) c = static_cast<char>(random.chance(1, 4) ? '\n' : random.next());
    client.send_some("GET / HTTP/1.1\r\n" + noise);
    client.end_sending();
    EXPECT_TRUE(run_until([&] {
      client.receive_some();
      return client.ended();
    }));
  }
}

TEST(HttpSyntax, a_host_is_a_name_or_an_address_with_at_most_a_port) {
  for (const char* host :
       {"", "x", "x:80", "x:", "a.example", "A-b_c~1.example:65535", "127.0.0.1", "127.0.0.1:7102",
        "[::1]", "[::1]:7102", "[2001:db8::192.0.2.1]", "a%20b", "localhost.", "a!$&'()*+;=b"}) {
    EXPECT_TRUE(net::is_http_host(host)) << host;
  }
  for (const char* host : {"user@h",
                           "h/path",
                           "a, b",
                           "a,b",
                           "a b",
                           "h?x",
                           "h#x",
                           ":80",
                           "x:80:80",
                           "x:65536",
                           "x:-1",
                           "x:8a",
                           "::1",
                           "[::1",
                           "[::1]x",
                           "[::1]:x",
                           "[]",
                           "[127.0.0.1]",
                           "[fe80::1%25eth0]",
                           "a%2",
                           "a%zz",
                           "a\\b",
                           "a\"b",
                           "http://x",
                           "\xc3\xa4"}) {
    EXPECT_FALSE(net::is_http_host(host)) << host;
  }
}

TEST(HttpSyntax, a_target_has_one_of_four_forms) {
  const auto parsed = [](std::string_view method, std::string_view target) {
    const auto result = net::parse_http_target(method, target);
    if (!result) return std::string("refused");
    return std::string(result->text) + " of " +
           std::string(result->authority.value_or("the field"));
  };
  EXPECT_EQ(parsed("GET", "/v1/kv/http://x/y"), "/v1/kv/http://x/y of the field");
  EXPECT_EQ(parsed("GET", "/?next=http://x/y"), "/?next=http://x/y of the field");
  EXPECT_EQ(parsed("GET", "http://127.0.0.1:7102/a%2fb?limit=3"),
            "/a%2fb?limit=3 of 127.0.0.1:7102");
  EXPECT_EQ(parsed("GET", "HTTPS://[::1]:1?a=/b"), "?a=/b of [::1]:1");
  EXPECT_EQ(parsed("GET", "http://x"), " of x");
  EXPECT_EQ(parsed("OPTIONS", "*"), "* of the field");
  EXPECT_EQ(parsed("OPTIONS", "http://x:1"), "* of x:1");
  EXPECT_EQ(parsed("CONNECT", "x:443"), "x:443 of x:443");
  for (const auto* target : {"*", "a", "x:443", "?a=b", "http:/x", "http:///a", "ftp://x/",
                             "http://a@x/", "/a#b", "#", "http://x/#", "http://a,b/"}) {
    EXPECT_EQ(parsed("GET", target), "refused") << target;
  }
  for (const auto* target : {"/", "x", "x:", "*", "http://x:1/"}) {
    EXPECT_EQ(parsed("CONNECT", target), "refused") << target;
  }
}

TEST(HttpSyntax, an_address_has_one_normal_form) {
  EXPECT_EQ(net::normal_ip_address("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(net::normal_ip_address("2001:DB8:0:0::1"), "2001:db8::1");
  for (const auto* other :
       {"", "localhost", "127.1", "127.0.0.1.", "[::1]", "::1%lo", "1.2.3.4.5"}) {
    EXPECT_EQ(net::normal_ip_address(other), std::nullopt) << other;
  }
}

TEST(HttpSyntax, the_elements_of_a_list_are_split_at_commas_outside_quotes) {
  std::string_view list = " ,\"1\" ,\t W/\"a,b\",, * ";
  EXPECT_EQ(net::next_http_element(list), "\"1\"");
  EXPECT_EQ(net::next_http_element(list), "W/\"a,b\"");
  EXPECT_EQ(net::next_http_element(list), "*");
  EXPECT_EQ(net::next_http_element(list), std::nullopt);
  EXPECT_TRUE(net::has_http_token("a, Keep-Alive", "keep-alive"));
  EXPECT_FALSE(net::has_http_token("keep-alives", "keep-alive"));
}

TEST(HttpFormat, dates_are_those_of_the_rfc) {
  EXPECT_EQ(net::http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(net::http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(HttpFormat, a_value_cannot_smuggle_in_a_field) {
  HttpResponse response;
  response.headers.emplace_back("Location", "/x\r\nSet-Cookie: a=b");
  const std::string head = net::http_head(response, "now", net::HttpPersistence::implied);
  EXPECT_EQ(head.find("\r\nSet-Cookie"), head.npos);
  EXPECT_NE(head.find("Location: /xSet-Cookie: a=b\r\n"), head.npos);
}

}  // namespace
}  // namespace bop::tests

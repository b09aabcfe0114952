#include "serve/http_api.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

#include "harness.h"
#include "net/http_syntax.h"
#include "node/status.h"
#include "proto/kv.h"
#include "serve/http_front.h"

namespace bop::serve {
namespace {

using nlohmann::json;

class Kept final : public ApiReply {
 public:
  explicit Kept(std::optional<ApiResponse>& into) : into_(into) {}
  void respond(ApiResponse response) override {
    EXPECT_FALSE(into_) << "answered twice";
    into_ = std::move(response);
  }

 private:
  std::optional<ApiResponse>& into_;
};

struct Got {
  unsigned status = 0;
  std::string type, body;
  std::map<std::string, std::string> headers;
  json parsed() const { return json::parse(body); }
};

class HttpApiTest : public testing::Test {
 protected:
  Got call(ApiRequest request) {
    std::optional<ApiResponse> response;
    api.serve(request, std::make_unique<Kept>(response));
    harness.settle();
    if (!response) {
      ADD_FAILURE() << request.method << " " << request.target << ": no answer";
      return {};
    }
    Got got{response->status,
            std::string(response->content_type),
            std::string(as_text(response->body.bytes())),
            {}};
    for (const auto& [name, value] : response->headers) got.headers[name] = value;
    return got;
  }
  Got get(std::string_view target) { return call({.method = "GET", .target = target}); }
  Got put(std::string_view target, std::string_view value) {
    return call({.method = "PUT", .target = target, .body = mem::Buffer::copy(as_bytes(value))});
  }
  Got remove(std::string_view target) { return call({.method = "DELETE", .target = target}); }

  Harness harness;
  HttpApi api{harness.connections};
};

TEST_F(HttpApiTest, puts_gets_and_deletes_raw_values) {
  const std::string value("raw \0 bytes \xff", 13);
  const Got written = put("/v1/kv/some%20key%2F", value);
  EXPECT_EQ(written.status, 200u);
  EXPECT_EQ(written.parsed()["revision"], 1);
  EXPECT_EQ(written.headers.at("ETag"), "\"1\"");
  const Got read = get("/v1/kv/some%20key%2f");
  EXPECT_EQ(read.status, 200u);
  EXPECT_EQ(read.type, "application/octet-stream");
  EXPECT_EQ(read.body, value);
  EXPECT_EQ(read.headers.at("X-Bop-Revision"), "1");
  EXPECT_EQ(remove("/v1/kv/some%20key/").status, 204u);
  EXPECT_EQ(remove("/v1/kv/some%20key/").status, 404u);
  const Got gone = get("/v1/kv/some%20key/");
  EXPECT_EQ(gone.status, 404u);
  EXPECT_EQ(gone.parsed()["error"]["code"], "BOP_E_NOT_FOUND");
}

TEST_F(HttpApiTest, obeys_conditions) {
  const auto put_if = [&](std::string_view match, std::string_view none_match) {
    return call({.method = "PUT",
                 .target = "/v1/kv/k",
                 .if_match = match,
                 .if_none_match = none_match,
                 .body = mem::Buffer::copy(as_bytes("v"))});
  };
  EXPECT_EQ(put_if("*", "").status, 412u);
  EXPECT_EQ(put_if("", "*").status, 200u);
  const Got exists = put_if("", "*");
  EXPECT_EQ(exists.status, 412u);
  const uint64_t revision = exists.parsed()["revision"];
  EXPECT_EQ(exists.headers.at("X-Bop-Revision"), std::to_string(revision));
  EXPECT_EQ(put_if("\"999\"", "").status, 412u);
  EXPECT_EQ(put_if("\"" + std::to_string(revision) + "\"", "").status, 200u);
  EXPECT_EQ(put_if("*", "").status, 200u);
  EXPECT_EQ(put_if("x", "").status, 400u);
  const std::string now = get("/v1/kv/k").headers.at("ETag");
  EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_none_match = now}).status, 304u);
  EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_none_match = "\"1\""}).status, 200u);
  EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_match = "\"1\""}).status, 412u);
  EXPECT_EQ(call({.method = "DELETE", .target = "/v1/kv/k", .if_match = "\"1\""}).status, 412u);
  EXPECT_EQ(call({.method = "DELETE", .target = "/v1/kv/k", .if_match = now}).status, 204u);
}

class HttpConditionsTest : public HttpApiTest {
 protected:
  Got with(std::string_view method, std::string_view match, std::string_view none_match,
           std::string_view target = "/v1/kv/k") {
    return call({.method = method,
                 .target = target,
                 .if_match = match,
                 .if_none_match = none_match,
                 .body = mem::Buffer::copy(as_bytes("v"))});
  }
  // The record's tag, which stays as it is when nothing is changed.
  std::string tag() { return get("/v1/kv/k").headers.at("ETag"); }
};

TEST_F(HttpConditionsTest, a_read_accepts_lists_stars_and_weak_tags) {
  put("/v1/kv/k", "v");
  const std::string now = tag();
  EXPECT_EQ(with("GET", "", "*").status, 304u);
  EXPECT_EQ(with("GET", "", "\"77\", " + now).status, 304u);
  EXPECT_EQ(with("GET", "", "W/" + now).status, 304u) << "If-None-Match compares weakly";
  EXPECT_EQ(with("GET", "", "\"77\",\"a,b\" , W/\"78\"").status, 200u);
  EXPECT_EQ(with("GET", "*", "").status, 200u);
  EXPECT_EQ(with("GET", "\"77\", " + now, "").status, 200u);
  EXPECT_EQ(with("GET", "W/" + now, "").status, 412u) << "If-Match compares strongly";
  EXPECT_EQ(with("GET", "\"77\", \"x\"", "").status, 412u);
  EXPECT_EQ(with("GET", "\"77\"", now).status, 412u) << "If-Match goes first";
  EXPECT_EQ(with("GET", "*", "", "/v1/kv/none").status, 412u);
  EXPECT_EQ(with("GET", "", "*", "/v1/kv/none").status, 404u);
  const Got unchanged = with("GET", "", now);
  EXPECT_EQ(unchanged.body, "");
  EXPECT_EQ(unchanged.headers.at("ETag"), now);
}

TEST_F(HttpConditionsTest, a_change_accepts_lists_stars_and_weak_tags) {
  // Absent.
  EXPECT_EQ(with("PUT", "\"5\", \"6\"", "").status, 412u);
  EXPECT_EQ(with("PUT", "", "\"5\", W/\"6\"").status, 200u) << "no tag matches what is not there";
  const std::string first = tag();
  for (const std::string& match :
       {"W/" + first, std::string("\"77\", \"x\""), "W/" + first + ", \"x\""}) {
    const Got refused = with("PUT", match, "");
    EXPECT_EQ(refused.status, 412u) << match;
    EXPECT_EQ("\"" + refused.parsed()["revision"].dump() + "\"", first);
    EXPECT_EQ(refused.headers.at("ETag"), first);
  }
  for (const std::string& none : {first, "W/" + first, "\"77\", " + first, std::string("*")}) {
    const Got refused = with("PUT", "", none);
    EXPECT_EQ(refused.status, 412u) << none;
    EXPECT_EQ(with("DELETE", "", none).status, 412u) << none;
  }
  EXPECT_EQ(tag(), first) << "a refused change changed something";
  EXPECT_EQ(with("PUT", "\"77\", " + first, "").status, 200u);
  EXPECT_NE(tag(), first);
  EXPECT_EQ(with("PUT", "", first).status, 200u) << "it is another by now";
  EXPECT_EQ(with("PUT", "*", "\"77\"").status, 200u);
  EXPECT_EQ(with("DELETE", "\"77\", " + tag(), "\"78\"").status, 204u);
  EXPECT_EQ(with("DELETE", "", "\"77\"").status, 404u);
  EXPECT_EQ(with("PUT", "\"0\"", "").status, 200u) << "0 stands for what is not there";
}

TEST_F(HttpConditionsTest, refuses_by_name_what_is_not_a_list_of_tags) {
  for (const char* bad : {"x", "\"1", "1\"", "W/1", "w/\"1\"", "\"1\" \"2\"", "\"1\", x", ",",
                          "*, \"1\"", "\"a b\"", "-1", "1.5"}) {
    for (const char* method : {"GET", "PUT", "DELETE"}) {
      const Got match = with(method, bad, "");
      EXPECT_EQ(match.status, 400u) << method << " If-Match: " << bad;
      EXPECT_NE(match.body.find("If-Match must be * or a list"), std::string::npos) << match.body;
      EXPECT_EQ(with(method, "", bad).status, 400u) << method << " If-None-Match: " << bad;
    }
  }
  EXPECT_EQ(harness.service.kv.size(), 0u);
}

// A tag that is no revision never matches, however much it looks like one.
TEST_F(HttpConditionsTest, compares_tags_literally) {
  put("/v1/kv/k", "v");
  ASSERT_EQ(tag(), "\"1\"");
  for (const char* other : {"\"01\"", "\"+1\"", "\"1.0\"", "\"18446744073709551617\"", "\"\""}) {
    EXPECT_EQ(with("GET", other, "").status, 412u) << other;
    EXPECT_EQ(with("GET", "", other).status, 200u) << other;
    EXPECT_EQ(with("PUT", other, "").status, 412u) << other;
  }
  EXPECT_EQ(with("GET", "1", "").status, 200u) << "as X-Bop-Revision gives it";
}

TEST_F(HttpConditionsTest, a_change_that_reads_first_sees_what_another_client_did_meanwhile) {
  put("/v1/kv/k", "before");  // revision 1
  std::optional<ApiResponse> response;
  const auto begin = [&](std::string_view match, std::string_view none_match) {
    response.reset();
    api.serve({.method = "PUT",
               .target = "/v1/kv/k",
               .if_match = match,
               .if_none_match = none_match,
               .body = mem::Buffer::copy(as_bytes("mine"))},
              std::make_unique<Kept>(response));
    ASSERT_EQ(harness.service.waiting(), 1u);
    EXPECT_FALSE(harness.service.is_proposal(0));
    harness.service.run();  // what it reads
    put("/v1/kv/k", "theirs");
    harness.settle();
    ASSERT_TRUE(response);
  };
  // The revision it was allowed to replace is gone.
  begin("\"1\", \"77\"", "");
  EXPECT_EQ(response->status, 412u);
  EXPECT_EQ(get("/v1/kv/k").body, "theirs");
  // The condition holds for the new record as well: it is tried again.
  begin("", "\"77\"");
  EXPECT_EQ(response->status, 200u);
  EXPECT_EQ(get("/v1/kv/k").body, "mine");
}

TEST_F(HttpConditionsTest, a_change_that_others_overtake_at_every_attempt_fails_unexecuted) {
  put("/v1/kv/k", "before");
  std::optional<ApiResponse> response;
  api.serve({.method = "PUT",
             .target = "/v1/kv/k",
             .if_none_match = "\"77\"",
             .body = mem::Buffer::copy(as_bytes("mine"))},
            std::make_unique<Kept>(response));
  std::deque<std::optional<ApiResponse>> others;
  for (int i = 0; i < 100 && !response; ++i) {
    harness.service.run();
    std::optional<ApiResponse>& other = others.emplace_back();
    api.serve(
        {.method = "PUT", .target = "/v1/kv/k", .body = mem::Buffer::copy(as_bytes("theirs"))},
        std::make_unique<Kept>(other));
    harness.post.run();
  }
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 503u);
  EXPECT_EQ(json::parse(as_text(response->body.bytes()))["outcome"], "not_executed");
  harness.settle();
  EXPECT_EQ(get("/v1/kv/k").body, "theirs");
}

TEST_F(HttpConditionsTest, a_change_that_cannot_read_first_reports_that_it_was_not_executed) {
  for (const bop_status status : {BOP_E_UNAVAILABLE, BOP_E_TIMEOUT, BOP_E_MACHINE}) {
    harness.service.refuse_with = status;
    const Got refused = with("PUT", "\"1\", \"2\"", "");
    EXPECT_GE(refused.status, 500u);
    EXPECT_EQ(refused.parsed()["outcome"], "not_executed") << bop_error_name(status);
  }
}

// Each control character becomes six bytes of JSON.
TEST_F(HttpApiTest, cuts_a_range_whose_json_is_large_and_gives_the_rest_with_the_next) {
  const std::string value(500'000, '\x01');
  for (char key = 'a'; key < 'a' + 7; ++key) put(std::string("/v1/kv/") + key, value);
  const Got first = get("/v1/kv");
  EXPECT_LT(first.body.size(), size_t{12} << 20);
  const json shown = first.parsed();
  EXPECT_EQ(shown["more"], true);
  EXPECT_EQ(shown["records"].size(), 3u);
  const json rest = get("/v1/kv?after=c").parsed();
  EXPECT_EQ(rest["records"].size(), 3u);
  const json last = get("/v1/kv?after=f").parsed();
  EXPECT_EQ(last["records"].size(), 1u);
  EXPECT_EQ(last["more"], false);
}

TEST_F(HttpApiTest, lists_ranges) {
  for (const auto* key : {"a/1", "a/2", "a/3", "b"}) put(std::string("/v1/kv/") + key, "v");
  put("/v1/kv/c%ff", "\xff\xfe");
  const json all = get("/v1/kv").parsed();
  EXPECT_EQ(all["records"].size(), 5u);
  EXPECT_EQ(all["more"], false);
  EXPECT_EQ(all["records"][0]["key"], "a/1");
  EXPECT_EQ(all["records"][0]["value"], "v");
  EXPECT_EQ(all["records"][4]["key"]["base64"], "Y/8=");
  EXPECT_EQ(all["records"][4]["value"]["base64"], "//4=");
  const json some = get("/v1/kv?prefix=a/&limit=2").parsed();
  EXPECT_EQ(some["records"].size(), 2u);
  EXPECT_EQ(some["more"], true);
  const json rest = get("/v1/kv?prefix=a%2F&after=a/2").parsed();
  ASSERT_EQ(rest["records"].size(), 1u);
  EXPECT_EQ(rest["records"][0]["key"], "a/3");
  EXPECT_EQ(get("/v1/kv?start=a/2&end=b").parsed()["records"].size(), 2u);
  const json keys = get("/v1/kv?prefix=a&keys_only=true").parsed();
  EXPECT_EQ(keys["records"].size(), 3u);
  for (const json& record : keys["records"]) {
    EXPECT_FALSE(record.contains("value"));
    EXPECT_TRUE(record.contains("revision"));
  }
  EXPECT_TRUE(get("/v1/kv?keys_only=false").parsed()["records"][0].contains("value"));
}

TEST_F(HttpApiTest, refuses_what_is_malformed_by_name) {
  const std::vector<std::pair<std::string, unsigned>> cases{
      {"/v1/kv/", 400},
      {"/v1/kv/%zz", 400},
      {"/v1/kv?limit=0", 400},
      {"/v1/kv?limit=x", 400},
      {"/v1/kv?limit=10001", 400},
      {"/v1/kv?bogus=1", 400},
      {"/v1/kv?limit=1&limit=2", 400},
      {"/v1/kv?prefix=a&start=b", 400},
      {"/v1/kv?keys_only=1", 400},
      {"/v1/kv/k?timeout_ms=0", 400},
      {"/v1/kv/k?bogus=1", 400},
      {"/v1/kv/k#x", 400},
      {"/v1/kv?prefix=#x", 400},
      {"*", 404},
      {"/bogus", 404},
      {"/v1/groups/kv", 404},
      {"/v1/groups/kv/x", 404},
      {"/v1/kv/" + std::string(1025, 'k'), 413},
      {"/v1/kv?prefix=" + std::string(1025, 'k'), 413},
  };
  for (const auto& [target, status] : cases) {
    const Got got = get(target);
    EXPECT_EQ(got.status, status) << target;
    EXPECT_EQ(got.type, "application/json");
    EXPECT_FALSE(got.parsed()["error"]["text"].get<std::string>().empty()) << target;
  }
  EXPECT_EQ(put("/v1/kv/k", std::string((1 << 20) + 1, 'v')).status, 413u);
  const Got method = call({.method = "POST", .target = "/v1/kv/k"});
  EXPECT_EQ(method.status, 405u);
  EXPECT_EQ(method.headers.at("Allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
  EXPECT_EQ(method.parsed()["error"]["text"],
            "this path allows the methods GET, HEAD, PUT, DELETE, OPTIONS");
  EXPECT_EQ(call({.method = "PUT", .target = "/metrics"}).headers.at("Allow"),
            "GET, HEAD, OPTIONS");
  EXPECT_EQ(harness.service.kv.size(), 0u);
}

TEST_F(HttpApiTest,
       answers_options_with_what_is_allowed_and_refuses_what_no_server_of_its_kind_does) {
  const Got all = call({.method = "OPTIONS", .target = "*"});
  EXPECT_EQ(all.status, 204u);
  EXPECT_EQ(all.headers.at("Allow"), "GET, HEAD, PUT, DELETE, POST, OPTIONS");
  for (const ApiRoute& route : HttpApi::routes()) {
    const Got options = call({.method = "OPTIONS", .target = route.path});
    EXPECT_EQ(options.status, 204u) << route.path;
    EXPECT_EQ(options.headers.at("Allow"), route.methods);
  }
  EXPECT_EQ(call({.method = "OPTIONS", .target = "/bogus"}).status, 404u);
  EXPECT_EQ(call({.method = "CONNECT", .target = "x:1"}).status, 501u);
  EXPECT_EQ(call({.method = "TRACE", .target = "/"}).status, 501u);
  // Its host is that of the target, not this server's.
  EXPECT_EQ(call({.method = "CONNECT", .target = "a:80", .host = "a:80"}).status, 501u);
  EXPECT_EQ(call({.method = "BREW", .target = "/v1/kv/coffee"}).status, 501u);
  EXPECT_EQ(call({.method = "get", .target = "/metrics"}).status, 501u) << "methods have a case";
}

TEST_F(HttpApiTest, states_the_largest_body_of_each_request) {
  EXPECT_EQ(HttpApi::max_body_bytes("/v1/kv/k"), BOP_KV_VALUE_MAX);
  EXPECT_EQ(HttpApi::max_body_bytes("/v1/kv/k?timeout_ms=1"), BOP_KV_VALUE_MAX);
  EXPECT_EQ(HttpApi::max_body_bytes("/v1/groups/kv/propose"), max_request_bytes);
  EXPECT_EQ(HttpApi::max_body_bytes("/bogus"), max_request_bytes);
}

TEST_F(HttpApiTest, describes_itself_and_its_api_in_one_line) {
  for (const char* target : {"/", "", "?x=1"}) {
    const Got root = get(target);
    EXPECT_EQ(root.status, 200u) << target;
    EXPECT_TRUE(root.type.starts_with("text/plain"));
    EXPECT_EQ(root.body,
              "bop 0.1.0, a node of replicated state machines; its HTTP API is described at "
              "/v1/openapi.json\n");
  }
}

// DNS rebinding: a page's own name resolves to loopback, and the browser calls the server by it.
TEST_F(HttpApiTest, accepts_only_its_own_host_names) {
  harness.options.http_hosts = {"127.0.0.1", {"Db.Example", "192.0.2.7", "2001:db8::1"}};
  const auto status = [&](std::string_view host, std::string_view method = "GET") {
    return call({.method = method, .target = "/v1/kv/k", .host = host}).status;
  };
  for (const char* host :
       {"", "localhost", "LOCALHOST:80", "localhost.", "127.0.0.1", "127.0.0.1:7102", "db.example",
        "DB.EXAMPLE.:1", "192.0.2.7", "[2001:DB8:0::1]:7102"}) {
    EXPECT_EQ(status(host), 404u) << host;
    EXPECT_EQ(status(host, "PUT"), 200u) << host;
    remove("/v1/kv/k");
  }
  for (const char* host :
       {"evil.example", "evil.example:7102", "localhost.evil.example", "127.0.0.1.evil.example",
        "xlocalhost", "127.0.0.2", "[::1]", "0", "*"}) {
    for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}) {
      EXPECT_EQ(status(host, method), 421u) << method << " " << host;
    }
    for (const char* target : {"/", "/metrics", "/v1/status", "/livez", "/bogus"}) {
      const Got got = call({.method = "GET", .target = target, .host = host});
      EXPECT_EQ(got.status, 421u) << target;
      EXPECT_NE(got.parsed()["error"]["text"].get<std::string>().find(host), std::string::npos);
    }
  }
  EXPECT_EQ(harness.service.kv.size(), 0u);
}

TEST_F(HttpApiTest, on_a_wildcard_address_accepts_any_address_but_not_any_name) {
  for (const char* all : {"0.0.0.0", "::"}) {
    const HttpHosts hosts(all, {});
    EXPECT_TRUE(hosts.allows("192.0.2.1:7102"));
    EXPECT_TRUE(hosts.allows("[2001:db8::5]"));
    EXPECT_TRUE(hosts.allows("localhost"));
    EXPECT_FALSE(hosts.allows("evil.example"));
    EXPECT_FALSE(hosts.allows("192.0.2.1.evil.example"));
  }
  EXPECT_TRUE(HttpHosts("127.0.0.1", {"*"}).allows("any.example"));
  EXPECT_TRUE(HttpHosts("", {}).allows("any.example")) << "a UNIX socket, which no page reaches";
  EXPECT_TRUE(HttpHosts("node1.example", {}).allows("NODE1.example:80"));
}

// Cross-site requests: a page of another site has the browser send a form, or PUT and DELETE.
TEST_F(HttpApiTest, refuses_changes_by_pages_of_other_sites) {
  harness.options.http_hosts = {"127.0.0.1", {}};
  const auto status = [&](std::string_view method, std::string_view origin,
                          std::string_view host = "127.0.0.1:7102",
                          std::string_view target = "/v1/kv/k") {
    return call({.method = method, .target = target, .host = host, .origin = origin}).status;
  };
  const std::vector<std::string> foreign{"http://evil.example",
                                         "https://evil.example:7102",
                                         "null",
                                         "http://127.0.0.1",
                                         "http://127.0.0.1:3000",
                                         "http://localhost:7102",
                                         "http://127.0.0.1:71020",
                                         "file://127.0.0.1:7102",
                                         "127.0.0.1:7102",
                                         "http://",
                                         "http://127.0.0.1:7102, http://evil.example"};
  for (const std::string& origin : foreign) {
    EXPECT_EQ(status("PUT", origin), 403u) << origin;
    EXPECT_EQ(status("DELETE", origin), 403u) << origin;
    EXPECT_EQ(status("POST", origin, "127.0.0.1:7102", "/v1/groups/kv/propose"), 403u) << origin;
    EXPECT_EQ(status("GET", origin), 404u) << "the browser keeps the response from the page";
  }
  const Got named = call({.method = "PUT",
                          .target = "/v1/kv/k",
                          .host = "127.0.0.1:7102",
                          .origin = "http://evil.example"});
  EXPECT_NE(named.parsed()["error"]["text"].get<std::string>().find("http://evil.example"),
            std::string::npos);
  EXPECT_EQ(status("PUT", "http://evil.example", ""), 403u) << "and no Host to compare it with";
  EXPECT_EQ(harness.service.kv.size(), 0u);
  EXPECT_EQ(harness.service.waiting(), 0u);

  EXPECT_EQ(status("PUT", "http://127.0.0.1:7102"), 200u);
  EXPECT_EQ(status("PUT", "http://LocalHost", "localhost:80"), 200u);
  EXPECT_EQ(status("PUT", "https://localhost", "localhost"), 200u) << "behind a proxy with TLS";
}

TEST_F(HttpApiTest, refuses_commands_of_kv_for_a_group_that_runs_another_machine) {
  harness.service.machine = "ledger";
  for (const char* method : {"GET", "PUT", "DELETE"}) {
    const Got refused = call({.method = method, .target = "/v1/kv/k"});
    EXPECT_EQ(refused.status, 409u) << method;
    EXPECT_EQ(refused.parsed()["error"]["code"], "BOP_E_UNSUPPORTED");
    EXPECT_EQ(refused.parsed()["error"]["text"],
              "group kv runs the machine ledger, these are commands of kv");
  }
  EXPECT_EQ(get("/v1/kv").status, 409u);
  EXPECT_EQ(harness.service.waiting(), 0u);
}

class RawHttpTest : public HttpApiTest {
 protected:
  Got post(std::string_view target, mem::Buffer body) {
    return call({.method = "POST", .target = target, .body = std::move(body)});
  }
  mem::Buffer put_command(std::string_view key, std::string_view value, uint8_t flags = 0) {
    proto::KvOperation operation;
    operation.flags = flags;
    operation.key = as_bytes(key);
    operation.value = as_bytes(value);
    return proto::encode_kv_command(harness.connections.arena(), {&operation, 1});
  }
  mem::Buffer get_question(std::string_view key) {
    const Bytes bytes = as_bytes(key);
    return proto::encode_kv_get(harness.connections.arena(), {&bytes, 1});
  }
};

TEST_F(RawHttpTest, passes_bytes_to_any_machine_and_returns_its_reply) {
  harness.service.machine = "ledger";  // whatever it calls itself
  const Got put = post("/v1/groups/kv/propose", put_command("k", std::string("\0\xff", 2)));
  EXPECT_EQ(put.status, 200u) << put.body;
  EXPECT_EQ(put.type, "application/octet-stream");
  EXPECT_EQ(put.headers.at("X-Bop-Outcome"), "executed");
  EXPECT_EQ(put.headers.at("X-Bop-Index"), "1");
  EXPECT_EQ(proto::KvItems(as_bytes(put.body)).position(), 1u);
  const Got read = post("/v1/groups/kv/query?timeout_ms=100", get_question("k"));
  EXPECT_EQ(read.status, 200u);
  EXPECT_FALSE(read.headers.contains("X-Bop-Index"));
  EXPECT_FALSE(read.headers.contains("X-Bop-Outcome"));
  proto::KvItems items(as_bytes(read.body));
  proto::KvItem item;
  ASSERT_TRUE(items.next(item));
  EXPECT_EQ(as_text(item.value), std::string("\0\xff", 2));
}

TEST_F(RawHttpTest, returns_the_status_and_bytes_of_a_machine_that_refuses) {
  post("/v1/groups/kv/propose", put_command("k", "v"));
  const Got refused = post("/v1/groups/kv/propose", put_command("k", "w", BOP_KV_IF_ABSENT));
  EXPECT_EQ(refused.status, 412u);
  EXPECT_EQ(refused.type, "application/json");
  EXPECT_EQ(refused.headers.at("X-Bop-Outcome"), "executed");
  EXPECT_EQ(refused.headers.at("X-Bop-Index"), "2");
  const json parsed = refused.parsed();
  EXPECT_EQ(parsed["error"]["code"], "BOP_E_CONDITION_FAILED");
  EXPECT_EQ(parsed["status"], BOP_E_CONDITION_FAILED);
  EXPECT_FALSE(parsed["reply"].empty());
  EXPECT_EQ(post("/v1/groups/kv/query", mem::Buffer::copy(as_bytes("?"))).status, 400u);
  // A status that only this machine knows.
  harness.service.refuse_with = static_cast<bop_status>(-4711);
  const Got own = post("/v1/groups/kv/query", get_question("k"));
  EXPECT_EQ(own.status, 422u);
  EXPECT_EQ(own.parsed()["status"], -4711);
}

TEST_F(RawHttpTest, reports_the_outcome_of_a_command) {
  const std::pair<bop_status, const char*> cases[] = {{BOP_E_OUTCOME_UNKNOWN, "unknown"},
                                                      {BOP_E_MACHINE, "unknown"},
                                                      {BOP_E_UNAVAILABLE, "not_executed"},
                                                      {BOP_E_TOO_LARGE, "not_executed"},
                                                      {BOP_E_LOG_FULL, "not_executed"}};
  for (const auto& [status, outcome] : cases) {
    harness.service.refuse_with = status;
    const Got got = post("/v1/groups/kv/propose", put_command("k", "v"));
    EXPECT_EQ(got.headers.at("X-Bop-Outcome"), outcome) << bop_error_name(status);
    EXPECT_EQ(got.parsed()["error"]["code"], bop_error_name(status));
    EXPECT_FALSE(got.headers.contains("X-Bop-Index"));
    EXPECT_EQ(got.parsed()["leader"], 2);
  }
}

TEST_F(RawHttpTest, refuses_what_is_malformed_by_name) {
  EXPECT_EQ(post("/v1/groups/none/propose", {}).status, 404u);
  EXPECT_EQ(post("/v1/groups/none/propose", {}).parsed()["error"]["code"], "BOP_E_NO_GROUP");
  EXPECT_EQ(post("/v1/groups//query", {}).status, 404u);
  EXPECT_EQ(post("/v1/groups/a%2fb/query", {}).status, 404u);
  EXPECT_EQ(post("/v1/groups/%zz/query", {}).status, 400u);
  EXPECT_EQ(post("/v1/groups/kv/query?x=1", {}).status, 400u);
  EXPECT_EQ(post("/v1/groups/kv/query?timeout_ms=x", {}).status, 400u);
  EXPECT_EQ(get("/v1/groups/kv/propose").status, 405u);
  EXPECT_EQ(get("/v1/groups/kv/propose").headers.at("Allow"), "POST, OPTIONS");
}

TEST_F(HttpApiTest, reports_the_outcome_of_a_request) {
  harness.service.refuse_with = BOP_E_OUTCOME_UNKNOWN;
  const Got unknown = put("/v1/kv/k", "v");
  EXPECT_EQ(unknown.status, 504u);
  EXPECT_EQ(unknown.parsed()["outcome"], "unknown");
  for (const bop_status status : {BOP_E_UNAVAILABLE, BOP_E_TIMEOUT, BOP_E_OVERLOADED,
                                  BOP_E_LOG_FULL, BOP_E_DISK_FULL, BOP_E_LATCHED, BOP_E_SUSPECT}) {
    harness.service.refuse_with = status;
    for (const Got& refused :
         {put("/v1/kv/k", "v"), get("/v1/kv/k"), remove("/v1/kv/k"), get("/v1/kv")}) {
      EXPECT_EQ(refused.status, 503u) << bop_error_name(status);
      EXPECT_EQ(refused.parsed()["outcome"], "not_executed");
      EXPECT_EQ(refused.parsed()["error"]["code"], bop_error_name(status));
      EXPECT_EQ(refused.parsed()["leader"], 2);
    }
  }
  harness.service.refuse_with = BOP_E_MACHINE;
  EXPECT_EQ(put("/v1/kv/k", "v").parsed()["outcome"], "unknown");
}

TEST_F(HttpApiTest, reports_the_status_with_the_names_of_its_interface) {
  auto& status = harness.service.node_status;
  status.cluster = "00112233445566778899aabbccddeeff";
  status.node = 2;
  status.version = "0.1.0";
  node::GroupStatus group;
  group.name = "kv";
  group.id = 1;
  group.machine = "kv";
  group.role = "follower";
  group.term = 4;
  group.leader = 3;
  group.commit = 10;
  group.applied = 9;
  group.last = 12;
  group.has_hash = true;
  group.hash_index = 8;
  group.hash_high = 0xab;
  group.hash_low = 1;
  status.groups.push_back(group);
  group = {};
  group.name = "other \"quoted\"";
  group.halted = BOP_E_SUSPECT;
  group.file = "wal/1.seg";
  group.offset = 4096;
  group.reason = "a block is damaged";
  status.groups.push_back(group);
  group = {};
  group.name = "broken";
  group.halted = BOP_E_MACHINE;
  group.reason = "division by zero";
  status.groups.push_back(group);
  status.peers.push_back({3, "127.0.0.1:7123", true, false});

  const Got got = get("/v1/status");
  EXPECT_EQ(got.status, 200u);
  EXPECT_EQ(got.type, "application/json");
  const json parsed = got.parsed();
  EXPECT_EQ(parsed["cluster_id"], status.cluster);
  EXPECT_EQ(parsed["node_id"], 2);
  EXPECT_EQ(parsed["version"], "0.1.0");
  const json& kv = parsed["groups"][0];
  EXPECT_EQ(kv["name"], "kv");
  EXPECT_EQ(kv["id"], 1);
  EXPECT_EQ(kv["role"], "follower");
  EXPECT_EQ(kv["term"], 4);
  EXPECT_EQ(kv["leader"], 3);
  EXPECT_EQ(kv["commit"], 10);
  EXPECT_EQ(kv["applied"], 9);
  EXPECT_EQ(kv["last_index"], 12);
  EXPECT_EQ(kv["health"], "ok");
  EXPECT_FALSE(kv.contains("suspect"));
  EXPECT_FALSE(kv.contains("halted"));
  EXPECT_EQ(kv["state_hash"]["index"], 8);
  EXPECT_EQ(kv["state_hash"]["hash"], "00000000000000ab0000000000000001");
  const json& other = parsed["groups"][1];
  EXPECT_EQ(other["name"], "other \"quoted\"");
  EXPECT_TRUE(other["leader"].is_null());
  EXPECT_TRUE(other["state_hash"].is_null());
  EXPECT_EQ(other["health"], "suspect");
  EXPECT_EQ(other["suspect"]["file"], "wal/1.seg");
  EXPECT_EQ(other["suspect"]["offset"], 4096);
  EXPECT_EQ(other["suspect"]["reason"], "a block is damaged");
  EXPECT_EQ(other["halted"], json({{"code", "BOP_E_SUSPECT"}, {"reason", "a block is damaged"}}));
  const json& broken = parsed["groups"][2];
  EXPECT_EQ(broken["health"], "ok") << "its data are not in doubt";
  EXPECT_FALSE(broken.contains("suspect"));
  EXPECT_EQ(broken["halted"], json({{"code", "BOP_E_MACHINE"}, {"reason", "division by zero"}}));
  EXPECT_EQ(parsed["peers"][0]["control"], "up");
  EXPECT_EQ(parsed["peers"][0]["bulk"], "down");
}

TEST_F(HttpApiTest, is_ready_unless_a_group_is_not_or_a_condition_blocks_and_names_the_reason) {
  node::NodeStatus& status = harness.service.node_status;
  EXPECT_EQ(get("/livez").status, 200u);
  EXPECT_EQ(get("/readyz").status, 200u);
  EXPECT_EQ(get("/readyz").body, "ok\n");

  node::GroupStatus group;
  group.name = "kv";
  group.id = 1;
  status.groups = {group};
  EXPECT_EQ(get("/livez").status, 200u);
  EXPECT_EQ(get("/readyz").status, 503u);
  EXPECT_EQ(get("/readyz").body, "not ready\ngroup kv: no leader is known yet\n");
  status.groups[0].leader = 2;
  status.groups[0].commit = 7;
  EXPECT_EQ(get("/readyz").body,
            "not ready\ngroup kv: catching up, entry 0 is applied, 7 is committed\n");

  status.conditions = {{node::Condition::quorum_lost, 1, "kv", "1 of 3 voters are heard"}};
  EXPECT_EQ(get("/readyz").body, "not ready\nquorum_lost: group kv: 1 of 3 voters are heard\n");

  status.groups[0].ready = true;
  status.conditions = {{node::Condition::log_nearly_full, 0, {}, "shard 0: 900 of 1000 MiB"}};
  EXPECT_EQ(get("/readyz").status, 200u);
  EXPECT_EQ(get("/readyz").body, "ok\nwarning: log_nearly_full: shard 0: 900 of 1000 MiB\n");
  status.conditions[0].condition = node::Condition::disk_full;
  EXPECT_EQ(get("/readyz").status, 503u);
}

TEST_F(HttpApiTest, shows_every_node_and_compares_hashes_at_equal_indexes_alone) {
  node::NodeStatus& status = harness.service.node_status;
  status.node = 1;
  status.version = "1.2.3";
  status.uptime = 90 * seconds;
  status.conditions = {{node::Condition::disk_nearly_full, 0, {}, "5 MiB are free"}};
  node::GroupStatus group;
  group.name = "kv";
  group.id = 1;
  group.role = "leader";
  group.commit = 20;
  group.applied = 20;
  group.has_hash = true;
  group.hash_index = 16;
  group.hash_low = 1;
  status.groups = {group};
  const auto peer = [](NodeId id, uint64_t hash_index, uint64_t hash) {
    node::KnownNode out;
    out.id = id;
    out.reachable = out.reported = true;
    out.heard_ago = 30 * milliseconds;
    out.uptime = 80 * seconds;
    out.groups = {{.name = "kv", .id = 1, .role = "follower", .commit = 20, .applied = 12}};
    out.groups[0].has_hash = true;
    out.groups[0].hash_index = hash_index;
    out.groups[0].hash_low = hash;
    return out;
  };
  status.nodes = {peer(2, 8, 9), peer(3, 16, 1)};
  status.nodes[0].conditions = {node::Condition::behind};
  node::complete(status);
  json parsed = json::parse(get("/v1/status").body);
  EXPECT_EQ(parsed["uptime_s"], 90);
  EXPECT_EQ(parsed["conditions"][0], json({{"condition", "disk_nearly_full"},
                                           {"blocks", false},
                                           {"group", nullptr},
                                           {"detail", "5 MiB are free"}}));
  ASSERT_EQ(parsed["nodes"].size(), 3u);
  EXPECT_EQ(parsed["nodes"][0]["self"], true);
  EXPECT_EQ(parsed["nodes"][0]["health"], "warning");
  EXPECT_EQ(parsed["nodes"][0]["groups"][0]["lag"], 0);
  EXPECT_EQ(parsed["nodes"][1]["health"], "failing");
  EXPECT_EQ(parsed["nodes"][1]["heard_ms_ago"], 30);
  EXPECT_EQ(parsed["nodes"][1]["uptime_s"], 80);
  EXPECT_EQ(parsed["nodes"][1]["groups"][0]["lag"], 8);
  EXPECT_TRUE(parsed["nodes"][1]["groups"][0]["state_hash"].is_null()) << "at another index";
  EXPECT_EQ(parsed["nodes"][2]["groups"][0]["state_hash"]["index"], 16);
  EXPECT_EQ(parsed["groups"][0]["state_hashes"],
            json({{"index", 16}, {"verdict", "equal"}, {"nodes", {1, 3}}}));
  EXPECT_NE(get("/metrics").body.find("bop_group_state_differs{group=\"kv\"} 0\n"),
            std::string::npos);

  status.groups = {group};
  status.nodes = {peer(2, 16, 9), peer(3, 16, 1)};
  status.nodes[0].reachable = false;
  node::complete(status);
  parsed = json::parse(get("/v1/status").body);
  EXPECT_EQ(parsed["groups"][0]["state_hashes"]["verdict"], "differs");
  EXPECT_EQ(parsed["nodes"][1]["health"], "unreachable");
  const std::string text = get("/metrics").body;
  EXPECT_NE(text.find("bop_group_state_differs{group=\"kv\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("bop_peer_lag_entries{group=\"kv\",peer=\"2\"} 8\n"), std::string::npos);
  EXPECT_NE(text.find("bop_condition{condition=\"disk_nearly_full\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("bop_build_info{version=\"1.2.3\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("\nprocess_open_fds "), std::string::npos);
}

TEST_F(HttpApiTest, shows_metrics_of_clients_groups_and_shards) {
  node::GroupStatus group;
  group.name = "kv";
  group.role = "leader";
  group.commit = 17;
  harness.service.node_status.groups.push_back(group);
  group.name = "broken";
  group.halted = BOP_E_MACHINE;
  harness.service.node_status.groups.push_back(group);
  harness.service.node_status.shards = {{.log_writes = 3}, {.shard = 1, .log_writes = 4}};
  put("/v1/kv/k", "v");
  const Got got = get("/metrics");
  EXPECT_EQ(got.status, 200u);
  EXPECT_TRUE(got.type.starts_with("text/plain; version=0.0.4"));
  EXPECT_NE(got.body.find("bop_group_commit_index{group=\"kv\"} 17\n"), std::string::npos)
      << got.body;
  EXPECT_NE(got.body.find("bop_group_is_leader{group=\"kv\"} 1\n"), std::string::npos);
  EXPECT_NE(got.body.find("bop_group_halted{group=\"kv\"} 0\n"), std::string::npos);
  EXPECT_NE(got.body.find("bop_group_halted{group=\"broken\"} 1\n"), std::string::npos);
  EXPECT_NE(got.body.find("bop_group_suspect{group=\"broken\"} 0\n"), std::string::npos);
  EXPECT_NE(got.body.find("bop_log_writes_total{shard=\"0\"} 3\n"), std::string::npos);
  EXPECT_NE(got.body.find("bop_log_writes_total{shard=\"1\"} 4\n"), std::string::npos);
  EXPECT_NE(got.body.find("bop_client_commands_total{protocol=\"http\",shard=\"0\"} 2\n"),
            std::string::npos);
}

TEST_F(HttpApiTest, counts_its_connections) {
  HttpFront front(harness.connections);
  front.on_connected();
  front.on_connected();
  front.on_disconnected();
  const std::string text = get("/metrics").body;
  EXPECT_NE(text.find("bop_client_connections{protocol=\"http\",shard=\"0\"} 1\n"), text.npos)
      << text;
  EXPECT_NE(text.find("bop_client_connections_total{protocol=\"http\",shard=\"0\"} 2\n"),
            text.npos);
}

// ---- /v1/openapi.json ----

class OpenApiTest : public HttpApiTest {
 protected:
  // Calls `see` with every "$ref" below `node`.
  static void visit_references(const json& node, const std::function<void(std::string)>& see) {
    if (node.is_object() && node.contains("$ref")) see(node["$ref"]);
    if (!node.is_structured()) return;
    for (const json& child : node) visit_references(child, see);
  }
  const json& resolved(const json& node) const {
    if (!node.contains("$ref")) return node;
    return described[json::json_pointer(node["$ref"].get<std::string>().substr(1))];
  }
  // The parameters of an operation by name, with those of its path.
  std::map<std::string, json> parameters(const json& path, const json& operation) const {
    std::map<std::string, json> found;
    for (const json& from : {path, operation}) {
      if (!from.contains("parameters")) continue;
      for (const json& parameter : from["parameters"]) {
        found[resolved(parameter)["name"]] = resolved(parameter);
      }
    }
    return found;
  }

  const json described = json::parse(get("/v1/openapi.json").body);
};

TEST_F(OpenApiTest, every_reference_resolves_and_every_component_is_used) {
  EXPECT_EQ(described["openapi"], "3.1.0");
  std::set<std::string> used;
  visit_references(described, [&](const std::string& reference) {
    ASSERT_TRUE(reference.starts_with("#/components/")) << reference;
    EXPECT_TRUE(described.contains(json::json_pointer(reference.substr(1)))) << reference;
    used.insert(reference);
  });
  EXPECT_GT(used.size(), 20u);
  for (const auto& [kind, components] : described["components"].items()) {
    for (const auto& [name, component] : components.items()) {
      EXPECT_TRUE(used.contains("#/components/" + kind + "/" + name)) << kind << "/" << name;
    }
  }
}

TEST_F(OpenApiTest, describes_exactly_the_routes_that_are_served) {
  std::set<std::string> served, shown;
  for (const ApiRoute& route : HttpApi::routes()) {
    for (const auto& [method, name] : {std::pair{"GET", "get"}, std::pair{"PUT", "put"},
                                       std::pair{"POST", "post"}, std::pair{"DELETE", "delete"}}) {
      if (net::has_http_token(route.methods, method)) {
        served.insert(std::string(name) + " " + std::string(route.path));
      }
    }
    EXPECT_TRUE(net::has_http_token(route.methods, "OPTIONS"));
    EXPECT_EQ(net::has_http_token(route.methods, "GET"),
              net::has_http_token(route.methods, "HEAD"));
  }
  for (const auto& [path, operations] : described["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      if (method != "parameters") shown.insert(method + " " + path);
    }
  }
  EXPECT_EQ(served, shown);
}

// Each parameter of a query is known, one that is not described is refused, and a number outside the
// range that is described is refused too.
TEST_F(OpenApiTest, describes_exactly_the_parameters_that_are_accepted) {
  for (const auto& [path, operations] : described["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      if (method == "parameters") continue;
      std::string target = path;
      for (const auto& [variable, value] : {std::pair{"{key}", "k"}, std::pair{"{group}", "kv"}}) {
        if (const size_t at = target.find(variable); at != target.npos) {
          target.replace(at, std::string_view(variable).size(), value);
        }
      }
      std::string verb = method;
      for (char& c : verb) c = static_cast<char>(c - 'a' + 'A');
      const auto status = [&](const std::string& name, const std::string& value) {
        return call({.method = verb, .target = target + "?" + name + "=" + value}).status;
      };
      size_t in_query = 0;
      for (const auto& [name, parameter] : parameters(operations, operation)) {
        EXPECT_TRUE(parameter.contains("description")) << name;
        if (parameter["in"] != "query") continue;
        ++in_query;
        const json& schema = parameter["schema"];
        if (!schema.contains("minimum")) {
          EXPECT_NE(status(name, schema["type"] == "boolean" ? "true" : "x"), 400u) << path << name;
          continue;
        }
        const uint64_t least = schema["minimum"], most = schema["maximum"];
        EXPECT_EQ(status(name, std::to_string(least - 1)), 400u) << path << " " << name;
        EXPECT_EQ(status(name, std::to_string(most + 1)), 400u) << path << " " << name;
        if (verb == "POST") continue;
        EXPECT_NE(status(name, std::to_string(least)), 400u) << path << " " << name;
        EXPECT_NE(status(name, std::to_string(most)), 400u) << path << " " << name;
      }
      if (in_query == 0) continue;
      EXPECT_EQ(status("bogus", "1"), 400u) << path;
    }
  }
}

TEST_F(OpenApiTest, describes_conditions_and_the_bounds_of_ranges) {
  const json& parameters = described["components"]["parameters"];
  EXPECT_EQ(parameters["timeout_ms"]["schema"]["minimum"], 1);
  EXPECT_EQ(parameters["timeout_ms"]["schema"]["maximum"], 600000);
  const std::regex form(parameters["If-Match"]["schema"]["pattern"].get<std::string>());
  for (const char* good : {"*", "\"7\"", "\"7\", W/\"8\"", "7"}) {
    EXPECT_TRUE(std::regex_match(good, form)) << good;
    EXPECT_NE(call({.method = "GET", .target = "/v1/kv/k", .if_match = good}).status, 400u);
  }
  for (const char* bad : {"x", "\"7", "*, \"7\"", "W/7"}) {
    EXPECT_FALSE(std::regex_match(bad, form)) << bad;
    EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_match = bad}).status, 400u);
  }
  EXPECT_NE(
      parameters["prefix"]["description"].get<std::string>().find("Cannot be combined with start"),
      std::string::npos);
}

TEST_F(HttpApiTest, bounds_the_requests_in_flight) {
  harness.options.max_http_requests = 2;
  std::optional<ApiResponse> one, two, three;
  api.serve({.method = "GET", .target = "/v1/kv/k"}, std::make_unique<Kept>(one));
  api.serve({.method = "GET", .target = "/v1/kv/k"}, std::make_unique<Kept>(two));
  api.serve({.method = "GET", .target = "/v1/kv/k"}, std::make_unique<Kept>(three));
  ASSERT_TRUE(three);
  EXPECT_EQ(three->status, 503u);
  EXPECT_EQ(json::parse(as_text(three->body.bytes()))["outcome"], "not_executed");
  harness.settle();
  EXPECT_TRUE(one);
  EXPECT_TRUE(two);
  EXPECT_EQ(get("/v1/kv/k").status, 404u);
}

TEST_F(HttpApiTest, uses_the_timeout_of_the_client) {
  std::optional<ApiResponse> response;
  api.serve({.method = "GET", .target = "/v1/kv/k?timeout_ms=250"},
            std::make_unique<Kept>(response));
  ASSERT_EQ(harness.service.waiting(), 1u);
  EXPECT_EQ(harness.service.request(0).deadline, harness.service.time + 250 * milliseconds);
  harness.settle();
}

}  // namespace
}  // namespace bop::serve

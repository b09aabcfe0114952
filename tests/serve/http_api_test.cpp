#include "serve/http_api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "harness.h"
#include "serve/http_front.h"

namespace bop::serve {
namespace {

using nlohmann::json;

class Kept final : public ApiReply {
 public:
  explicit Kept(std::optional<ApiResponse>& into) : into_(into) {}
  void answer(ApiResponse response) override {
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

TEST_F(HttpApiTest, keeps_conditions) {
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
  EXPECT_EQ(put_if("", "\"3\"").status, 400u);
  const std::string now = get("/v1/kv/k").headers.at("ETag");
  EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_none_match = now}).status, 304u);
  EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_none_match = "\"1\""}).status, 200u);
  EXPECT_EQ(call({.method = "GET", .target = "/v1/kv/k", .if_match = "\"1\""}).status, 412u);
  EXPECT_EQ(call({.method = "DELETE", .target = "/v1/kv/k", .if_match = "\"1\""}).status, 412u);
  EXPECT_EQ(call({.method = "DELETE", .target = "/v1/kv/k", .if_match = now}).status, 204u);
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
  EXPECT_EQ(keys["records"][0]["value"], "");
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
      {"/bogus", 404},
      {"/", 404},
      {"", 404},
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
  EXPECT_EQ(method.headers.at("Allow"), "GET, HEAD, PUT, DELETE");
  EXPECT_EQ(method.parsed()["error"]["text"], "the methods here are GET, HEAD, PUT, DELETE");
  EXPECT_EQ(call({.method = "PUT", .target = "/metrics"}).headers.at("Allow"), "GET, HEAD");
  EXPECT_EQ(harness.service.kv.size(), 0u);
}

TEST_F(HttpApiTest, says_what_became_of_a_request) {
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

TEST_F(HttpApiTest, tells_the_status_in_the_names_others_rely_on) {
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

TEST_F(HttpApiTest, lives_and_is_ready_when_the_service_is) {
  EXPECT_EQ(get("/livez").status, 200u);
  EXPECT_EQ(get("/readyz").status, 200u);
  harness.service.is_ready = false;
  EXPECT_EQ(get("/livez").status, 200u);
  EXPECT_EQ(get("/readyz").status, 503u);
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

TEST_F(HttpApiTest, describes_itself) {
  const json described = json::parse(get("/v1/openapi.json").body);
  EXPECT_EQ(described["openapi"], "3.1.0");
  for (const auto* path :
       {"/v1/kv/{key}", "/v1/kv", "/v1/status", "/metrics", "/livez", "/readyz"}) {
    EXPECT_TRUE(described["paths"].contains(path)) << path;
  }
}

TEST_F(HttpApiTest, bounds_what_is_under_way) {
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

TEST_F(HttpApiTest, uses_the_clients_patience_as_deadline) {
  std::optional<ApiResponse> response;
  api.serve({.method = "GET", .target = "/v1/kv/k?timeout_ms=250"},
            std::make_unique<Kept>(response));
  ASSERT_EQ(harness.service.waiting(), 1u);
  EXPECT_EQ(harness.service.request(0).deadline, harness.service.time + 250 * milliseconds);
  harness.settle();
}

}  // namespace
}  // namespace bop::serve

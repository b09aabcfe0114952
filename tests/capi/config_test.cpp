#include "capi/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace bop::capi {
namespace {

constexpr const char* complete = R"(
data_directory = "/var/lib/bop"
cluster_id = "0123456789abcdef0123456789ABCDEF"
)";

Config with(const std::string& more) {
  Config config;
  const Status loaded = config.load_text(std::string(complete) + more, "bopd.toml");
  EXPECT_TRUE(loaded) << loaded.error().to_string();
  return config;
}

// The words of the error that a document gets, whether reading it or checking it fails.
std::string error_of(const std::string& text) {
  Config config;
  if (const Status loaded = config.load_text(text, "bopd.toml"); !loaded) {
    EXPECT_EQ(loaded.error().code, BOP_E_BAD_CONFIG);
    return loaded.error().detail;
  }
  const auto settings = config.settings();
  if (settings) return "no error";
  EXPECT_EQ(settings.error().code, BOP_E_BAD_CONFIG);
  return settings.error().detail;
}

std::string error_with(const std::string& more) { return error_of(complete + more); }

size_t key(std::string_view name) {
  return static_cast<size_t>(find_key(name) - config_keys().data());
}

// A group whose kv machine has all of the default memory.
GroupSpec group(const std::string& name, GroupId id, std::vector<NodeId> voters,
                uint32_t shard = 0) {
  GroupSpec out;
  out.name = name;
  out.id = id;
  out.voters = std::move(voters);
  out.shard = shard;
  out.machine_options.memory_bytes = 512u << 20;
  return out;
}

// What the first group's machine may keep in memory.
uint64_t kv_memory(const std::string& more) {
  return with(more).settings()->node.groups.front().machine_options.memory_bytes;
}

TEST(AConfiguration, of_a_directory_and_a_cluster_is_enough_for_one_node) {
  const auto settings = with("").settings();
  ASSERT_TRUE(settings) << settings.error().to_string();
  EXPECT_EQ(settings->data_directory, "/var/lib/bop");
  EXPECT_EQ(settings->node.cluster.front(), 0x01);
  EXPECT_EQ(settings->node.cluster.back(), 0xef);
  EXPECT_EQ(settings->node.self, 1u);
  EXPECT_EQ(settings->listen_native, "127.0.0.1:7100");
  EXPECT_EQ(settings->peers, (std::vector<Peer>{{1, "127.0.0.1:7103", "127.0.0.1:7100"}}));
  ASSERT_EQ(settings->node.groups.size(), 1u);
  EXPECT_EQ(settings->node.groups[0], (group("kv", 1, {1})));
  EXPECT_EQ(settings->node.log.segment_bytes, 64u << 20);
}

TEST(AConfiguration, of_three_nodes_gives_each_group_its_voters) {
  const auto settings = with(R"(
node_id = 2
shards = 2
peers = [{id = 3, address = "127.0.0.1:7123"}, {id = 1, address = "127.0.0.1:7103"},
         {id = 2, address = "127.0.0.1:7113"}]
[[groups]]
name = "orders"
id = 7
voters = [3, 1]
shard = 1
[[groups]]
name = "kv"
id = 1
machine = "kv"
)")
                            .settings();
  ASSERT_TRUE(settings) << settings.error().to_string();
  EXPECT_EQ(settings->peers[0].id, 1u);
  EXPECT_EQ(settings->peers[2].address, "127.0.0.1:7123");
  EXPECT_EQ(settings->node.groups[0].voters, (std::vector<NodeId>{1, 2, 3}));
  EXPECT_EQ(settings->node.groups[1], (group("orders", 7, {1, 3}, 1)));
}

TEST(AConfiguration, shares_the_memory_of_kv_among_the_machines_that_the_node_keeps) {
  const std::string text = R"(
kv.memory_bytes = 3000000
peers = [{id = 1, address = "127.0.0.1:7103"}, {id = 2, address = "127.0.0.1:7113"}]
groups = [{name = "a", id = 1}, {name = "b", id = 2, voters = [1]}, {name = "c", id = 3},
          {name = "d", id = 4, machine = "other"}]
)";
  EXPECT_EQ(kv_memory(text), 1000000u);
  EXPECT_EQ(kv_memory("node_id = 2\n" + text), 1500000u);
  EXPECT_EQ(kv_memory(""), 512u << 20);
}

TEST(AConfiguration, lists_the_host_names_of_http_clients) {
  EXPECT_EQ(with("").settings()->http_hosts, std::vector<std::string>{});
  EXPECT_EQ(with("http.hosts = [\"db.example\", \"::1\", \"*\"]\n").settings()->http_hosts,
            (std::vector<std::string>{"db.example", "::1", "*"}));
  EXPECT_EQ(error_with("http.hosts = [\"a\", \"x:80\"]"),
            "bopd.toml:4: http.hosts: \"x:80\" is not a host name or address without a port");
  EXPECT_EQ(error_with("http.hosts = \"a\""),
            "bopd.toml:4: http.hosts: must be a list, is a string");
  Config config = with("");
  ASSERT_TRUE(config.set("http.hosts", "[\"a.example\"]"));
  EXPECT_NE(config.write().find("hosts = [\"a.example\"]"), std::string::npos) << config.write();
}

TEST(AConfiguration, of_many_groups_gives_each_machine_what_it_needs_at_least) {
  std::string text = "kv.memory_bytes = 1048576\ngroups = [";
  for (int id = 1; id <= 100; ++id)
    text += "{name = \"g" + std::to_string(id) + "\", id = " + std::to_string(id) + "},";
  EXPECT_EQ(kv_memory(text + "]\n"), 64u << 10);
}

TEST(AConfiguration, without_its_two_required_keys_is_refused) {
  EXPECT_EQ(error_of(""), "bopd.toml: data_directory: must be set");
  EXPECT_EQ(error_of("data_directory = \"x\""), "bopd.toml: cluster_id: must be set");
  EXPECT_EQ(Config().settings().error().detail, "data_directory: must be set");
}

TEST(ConfigErrors, name_line_and_key_of_an_unknown_key) {
  EXPECT_EQ(error_with("\nnode = 1\n"), "bopd.toml:5: node: unknown key");
  EXPECT_EQ(error_with("[log]\nmax_byte = 1\n"), "bopd.toml:5: log.max_byte: unknown key");
  EXPECT_EQ(error_with("[typo]\n"), "bopd.toml:4: typo: unknown key");
  EXPECT_EQ(error_with("peers = [{id = 1, adress = \"x\"}]"),
            "bopd.toml:4: peers[0].adress: unknown key");
  EXPECT_EQ(error_with("[node_id]\nx = 1"), "bopd.toml:4: node_id: must be an integer, is a table");
}

TEST(ConfigErrors, say_that_a_table_is_no_list) {
  EXPECT_EQ(error_with("[[listen]]\nhttp = \"\"\n"),
            "bopd.toml:4: listen: must be a table, is a list");
  EXPECT_EQ(error_with("raft = 3\n"), "bopd.toml:4: raft: must be a table, is an integer");
}

TEST(ConfigErrors, name_the_peer_and_the_group_without_an_id) {
  EXPECT_EQ(error_with("peers = [{id = 1}, {}]"), "bopd.toml:4: peers[1]: id is missing");
  EXPECT_EQ(error_with("groups = [{name = \"kv\"}]"), "bopd.toml:4: groups[0]: id is missing");
}

TEST(ConfigErrors, name_the_first_line_that_is_wrong) {
  EXPECT_EQ(error_with("zebra = 1\nalpha = 2\n"), "bopd.toml:4: zebra: unknown key");
}

TEST(ConfigErrors, say_what_was_expected_and_what_is_there) {
  EXPECT_EQ(error_with("shards = \"two\""), "bopd.toml:4: shards: must be an integer, is a string");
  EXPECT_EQ(error_with("shards = 65"), "bopd.toml:4: shards: must be between 1 and 64, is 65");
  EXPECT_EQ(error_with("shards = 1.5"),
            "bopd.toml:4: shards: must be an integer, is a floating-point number");
  EXPECT_EQ(error_with("insecure = 1"),
            "bopd.toml:4: insecure: must be true or false, is an integer");
  EXPECT_EQ(error_with("io.backend = \"fast\""),
            "bopd.toml:4: io.backend: must be one of: auto uring pool; is \"fast\"");
  EXPECT_EQ(error_with("listen.http = \"7102\""),
            "bopd.toml:4: listen.http: \"7102\": the port is missing; write HOST:PORT, such as "
            "127.0.0.1:7100");
  EXPECT_EQ(error_of("cluster_id = \"12\""),
            "bopd.toml:1: cluster_id: must be 32 hexadecimal digits, is \"12\"");
  EXPECT_EQ(error_with("data_directory = \"again\"").rfind("bopd.toml:4: ", 0), 0u);
}

TEST(ConfigErrors, of_syntax_name_the_line) {
  EXPECT_EQ(error_with("\n\n[log\n").rfind("bopd.toml:6: ", 0), 0u) << error_with("\n\n[log\n");
}

TEST(ConfigErrors, of_syntax_name_the_key_where_one_is_plain_to_see) {
  const auto begins_with = [](const std::string& text, const std::string& expected) {
    EXPECT_EQ(error_with(text).substr(0, expected.size()), expected) << error_with(text);
  };
  begins_with("node_id = \n", "bopd.toml:4: node_id: Error ");
  begins_with("node_id = ", "bopd.toml:4: node_id: Error ");
  begins_with("[ log ]\n\n  max_bytes = 12z\nother = 1\n", "bopd.toml:6: log.max_bytes: Error ");
  begins_with("[log]\r\nmax_bytes = = 1\r\n", "bopd.toml:5: log.max_bytes: Error ");
  begins_with("just words\n", "bopd.toml:4: Error ");
  begins_with("peers = [\n{id = }]\n", "bopd.toml:5: Error ");
}

TEST(ConfigErrors, of_the_whole_name_the_key_that_does_not_fit) {
  EXPECT_EQ(error_with("raft.heartbeat_ms = 500"),
            "bopd.toml:4: raft.heartbeat_ms: must be at most a third of raft.election_timeout_ms");
  EXPECT_EQ(error_with("log.segment_bytes = 2097153"),
            "bopd.toml:4: log.segment_bytes: must be a multiple of 4096");
  EXPECT_EQ(error_with("log.max_bytes = 8388608"),
            "bopd.toml:4: log.max_bytes: must hold at least four segments");
  EXPECT_EQ(error_with("listen.http = \"127.0.0.1:7100\""),
            "bopd.toml:4: listen.http: 127.0.0.1:7100 is already used by another listener");
  EXPECT_EQ(error_with("groups = []"), "bopd.toml:4: groups: must have at least one group");
  EXPECT_EQ(
      error_with("groups = [{name = \"a b\", id = 1}]"),
      "bopd.toml:4: groups: a name must have 1 to 64 letters, digits, '.', '_' or '-', is \"a b\"");
  EXPECT_EQ(error_with("groups = [{name = \"a\", id = 1}, {name = \"b\", id = 1}]"),
            "bopd.toml:4: groups: id 1 appears twice");
  EXPECT_EQ(error_with("groups = [{name = \"a\", id = 1, shard = 1}]"),
            "bopd.toml:4: groups: group a: shard must be below shards = 1, is 1");
  EXPECT_EQ(error_with("groups = [{name = \"a\", id = 1, voters = [1, 9]}]"),
            "bopd.toml:4: groups: voter 9 of group a is not in peers");
}

TEST(ConfigErrors, of_peers_name_what_does_not_fit) {
  EXPECT_EQ(error_with("peers = [{id = 2, address = \"127.0.0.1:1\"}]"),
            "bopd.toml:4: peers: no peer has the id of this node, node_id = 1");
  EXPECT_EQ(
      error_with("peers = [{id = 1, address = \"localhost:1\"}, {id = 1, address = \"[::1]:1\"}]"),
      "bopd.toml:4: peers: id 1 appears twice");
  EXPECT_EQ(
      error_with(
          "peers = [{id = 1, address = \"localhost:1\"}, {id = 2, address = \"localhost:1\"}]"),
      "bopd.toml:4: peers: address localhost:1 appears twice");
  EXPECT_EQ(error_with("peers = [{id = 1}]"), "bopd.toml:4: peers: peer 1 has no address");
}

TEST(AConfiguration, beyond_loopback_has_to_say_insecure) {
  for (const char* line :
       {"listen.native = \"0.0.0.0:7100\"", "listen.peer = \"10.0.0.1:7103\"",
        "listen.http = \"[::]:1\"", "peers = [{id = 1, address = \"192.168.0.1:1\"}]"}) {
    EXPECT_NE(error_with(line).find("is not on loopback"), std::string::npos) << line;
    EXPECT_EQ(error_with(std::string("insecure = true\n") + line), "no error") << line;
  }
  // Names, which the machine that runs this may be able to look up.
  for (const char* name :
       {"no-such-host.invalid", "127.0.0.1.no-such-host.invalid", "example.org"}) {
    const std::string line = std::string("listen.resp = \"") + name + ":1\"";
    const std::string error = error_with(line);
    EXPECT_TRUE(error.find("is not on loopback") != error.npos ||
                error.find(std::string("unknown host \"") + name) != error.npos)
        << error;
    EXPECT_EQ(error_with("insecure = true\n" + line), "no error");
  }
  EXPECT_EQ(error_with("listen.native = \"[::1]:7100\"\nlisten.http = \"localhost:0\""),
            "no error");
}

TEST(AConfiguration, keeps_what_it_had_when_reading_fails) {
  Config config = with("shards = 4\n");
  EXPECT_FALSE(config.load_text("shards = 5\nnonsense = 1\n", "other.toml"));
  EXPECT_FALSE(config.set("shards", "many"));
  EXPECT_FALSE(config.set("no.such", "1"));
  EXPECT_EQ(std::get<int64_t>(config.value(key("shards"))), 4);
  EXPECT_EQ(config.source(key("shards")), "bopd.toml:4");
}

TEST(Precedence, is_flag_then_environment_then_file_then_default) {
  Config config;
  EXPECT_EQ(config.origin(key("shards")), Origin::fallback);
  EXPECT_EQ(config.source(key("shards")), "default");

  ASSERT_TRUE(config.set("shards", "4"));  // whatever the order of the calls
  setenv("BOP_SHARDS", "3", 1);
  setenv("BOP_LOG_MAX_BYTES", "1073741824", 1);
  const Status environment = config.load_environment();
  unsetenv("BOP_SHARDS");
  unsetenv("BOP_LOG_MAX_BYTES");
  ASSERT_TRUE(environment) << environment.error().to_string();
  ASSERT_TRUE(config.load_text("shards = 2\nlog.direct = false\nlog.max_bytes = 4294967296", "f"));

  EXPECT_EQ(std::get<int64_t>(config.value(key("shards"))), 4);
  EXPECT_EQ(config.source(key("shards")), "flag");
  EXPECT_EQ(std::get<int64_t>(config.value(key("log.max_bytes"))), 1 << 30);
  EXPECT_EQ(config.source(key("log.max_bytes")), "BOP_LOG_MAX_BYTES");
  EXPECT_EQ(std::get<bool>(config.value(key("log.direct"))), false);
  EXPECT_EQ(config.source(key("log.direct")), "f:2");
}

TEST(TheEnvironment, is_as_strict_as_a_file) {
  Config config;
  setenv("BOP_SHARDS", "0", 1);
  const Status loaded = config.load_environment();
  unsetenv("BOP_SHARDS");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().detail, "BOP_SHARDS: shards: must be between 1 and 64, is 0");
}

TEST(AFlag, takes_text_as_it_is_and_lists_as_toml) {
  Config config;
  ASSERT_TRUE(config.set("data_directory", "a \"quoted\" \\ folder"));
  EXPECT_EQ(std::get<std::string>(config.value(key("data_directory"))), "a \"quoted\" \\ folder");
  ASSERT_TRUE(config.set("peers", "[{id = 1, address = \"127.0.0.1:1\"}]"));
  EXPECT_EQ(std::get<std::vector<Peer>>(config.value(key("peers"))).size(), 1u);
}

TEST(AFlag, cannot_smuggle_in_a_second_key) {
  Config config;
  EXPECT_FALSE(config.set("shards", "1\ninsecure = true"));
  EXPECT_FALSE(config.set("io.backend", "pool\"\ninsecure = \"true"));
  EXPECT_FALSE(config.set("data_directory", "\xff\xfe"));
  EXPECT_EQ(config.origin(key("insecure")), Origin::fallback);
}

TEST(AConfiguration, that_was_written_reads_back_the_same) {
  Config config = with(R"(
node_id = 2
insecure = true
peers = [{id = 1, address = "10.0.0.1:7103", native = "10.0.0.1:7100"}, {id = 2, address = "[fe80::1]:7103"}]
groups = [{name = "kv", id = 1, voters = [2, 1]}, {name = "b", id = 2, shard = 0}]
[log]
direct = false
[logging]
file = "/tmp/with \"quote\" and \u0001 control"
)");
  ASSERT_TRUE(config.set("listen.native", "[fe80::1]:7100"));
  Config again;
  const std::string text = config.write();
  const Status loaded = again.load_text(text, "again");
  ASSERT_TRUE(loaded) << loaded.error().to_string() << "\n" << text;
  for (size_t i = 0; i < config_keys().size(); ++i) {
    EXPECT_EQ(config.value(i), again.value(i)) << config_keys()[i].name;
  }
}

TEST(AFile, gives_its_folder_to_relative_paths) {
  std::string folder = testing::TempDir() + "bop-config-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/bopd.toml";
  std::ofstream(path) << "data_directory = \".\"\nlogging.file = \"/absolute\"\n";
  Config config;
  const Status loaded = config.load_file(path);
  std::remove(path.c_str());
  std::remove(folder.c_str());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(std::get<std::string>(config.value(key("data_directory"))), folder + "/");
  EXPECT_EQ(std::get<std::string>(config.value(key("logging.file"))), "/absolute");
}

TEST(AFile, that_is_not_there_is_named) {
  Config config;
  const Status loaded = config.load_file("/no/such/bopd.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, BOP_E_NOT_FOUND);
  EXPECT_EQ(loaded.error().detail, "/no/such/bopd.toml: no such file");
}

TEST(AFile, that_is_a_folder_is_no_configuration) {
  Config config;
  const Status loaded = config.load_file("/tmp");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, BOP_E_BAD_CONFIG);
  EXPECT_EQ(loaded.error().detail, "/tmp: is a directory, not a configuration");
}

TEST(AConfiguration, over_a_mebibyte_is_refused) {
  Config config;
  const std::string text(max_config_bytes + 1, '\n');
  EXPECT_EQ(config.load_text(text, "big").error().code, BOP_E_BAD_CONFIG);
}

TEST(AConfiguration, that_nests_without_end_is_refused) {
  EXPECT_NE(error_of("peers = " + std::string(100000, '[')), "no error");
}

// ---- docs/CONFIGURATION.md ----

std::string key_table() {
  std::string table = "| key | default | environment | meaning |\n|---|---|---|---|\n";
  for (const Key& key : config_keys()) {
    std::string help = key.help;
    if (key.kind == Kind::integer) {
      help += " Range: " + std::to_string(key.low) + " to " +
              (key.high == INT64_MAX ? "2^63-1" : std::to_string(key.high)) + ".";
    }
    if (key.kind == Kind::choice) {
      std::string choices = key.choices;
      for (size_t bar; (bar = choices.find('|')) != choices.npos;) choices.replace(bar, 1, "`, `");
      help += " Values: `" + choices + "`.";
    }
    table += std::string("| `") + key.name + "` | `" + key.fallback + "` | `" +
             environment_name(key) + "` | " + help + " |\n";
  }
  return table;
}

TEST(TheConfigurationPage, names_exactly_the_keys_that_a_running_node_reloads) {
  for (const Key& key : config_keys())
    EXPECT_EQ(std::string_view(key.help).find("SIGHUP reloads") != std::string_view::npos,
              is_reloadable(key))
        << key.name;
}

TEST(TheConfigurationPage, lists_every_key_as_it_is) {
  constexpr const char* begin = "<!-- keys: made by tests/capi/config_test.cpp -->\n";
  constexpr const char* end = "<!-- end of keys -->\n";
  std::stringstream read;
  read << std::ifstream(BOP_CONFIGURATION_PAGE).rdbuf();
  std::string page = read.str();
  const size_t from = page.find(begin), to = page.find(end);
  ASSERT_NE(from, page.npos);
  ASSERT_NE(to, page.npos);
  const size_t at = from + std::string_view(begin).size();
  if (std::getenv("BOP_WRITE_DOCS") != nullptr) {
    page.replace(at, to - at, key_table());
    std::ofstream(BOP_CONFIGURATION_PAGE) << page;
    return;
  }
  EXPECT_EQ(page.substr(at, to - at), key_table()) << "run this test with BOP_WRITE_DOCS=1";
}

}  // namespace
}  // namespace bop::capi

#include <algorithm>

#include "capi/config.h"
#include "proto/frame.h"

namespace bop::capi {
namespace {

constexpr int64_t kib = 1024;
constexpr int64_t mib = 1024 * kib;
constexpr int64_t gib = 1024 * mib;

// ---- where values go: the last argument of each row ----

using S = Settings;
using V = Value;

const std::string& text(const V& value) { return std::get<std::string>(value); }
bool flag(const V& value) { return std::get<bool>(value); }
Duration ms(const V& value) { return std::get<int64_t>(value) * milliseconds; }
uint64_t bytes(const V& value) { return static_cast<uint64_t>(std::get<int64_t>(value)); }
uint32_t count(const V& value) { return static_cast<uint32_t>(std::get<int64_t>(value)); }

proto::ClusterId cluster(const V& value) {
  return proto::cluster_from_hex(text(value)).value_or(proto::ClusterId{});
}

io::FileBackend backend(const V& value) {
  if (text(value) == "uring") return io::FileBackend::uring;
  if (text(value) == "pool") return io::FileBackend::pool;
  return io::FileBackend::automatic;
}

const Key keys[] = {
    {"data_directory", Kind::path, "\"\"",
     "Where the node keeps everything; made by `bopd format`, held by one process.",
     [](S& to, const V& v) { to.data_directory = text(v); }},
    {"cluster_id", Kind::cluster_id, "\"\"",
     "32 hexadecimal digits, the same on every node; peers and clients of another are refused.",
     [](S& to, const V& v) { to.node.cluster = cluster(v); }},
    {"node_id", Kind::integer, "1", "This node's number among the peers; never reused.",
     [](S& to, const V& v) { to.node.self = bytes(v); }, 1, INT64_MAX},
    {"shards", Kind::integer, "1",
     "Threads of this node; each has an event loop, a log and groups of its own.",
     [](S& to, const V& v) { to.node.shards = count(v); }, 1, 64},
    {"insecure", Kind::boolean, "false",
     "Allows addresses beyond loopback although nothing is encrypted or authenticated.",
     [](S& to, const V& v) { to.insecure = flag(v); }},
    {"peers", Kind::peers, "[]",
     "All nodes of the cluster, this one among them: id, address (HOST:PORT of listen.peer) and "
     "native "
     "(that of listen.native, where clients are sent when the node leads). Empty: this node "
     "alone.",
     nullptr},
    {"groups", Kind::groups, "[{name = \"kv\", id = 1, machine = \"kv\"}]",
     "The replicated groups: name, id, machine (default kv), voters (node ids; default all peers), "
     "shard (default 0).",
     nullptr},

    {"listen.native", Kind::address, "\"127.0.0.1:7100\"",
     "HOST:PORT for native clients (`bop`, client libraries). Empty: not served.",
     [](S& to, const V& v) { to.listen_native = text(v); }},
    {"listen.resp", Kind::address, "\"127.0.0.1:7101\"",
     "HOST:PORT for Redis clients. Empty: not served.",
     [](S& to, const V& v) { to.listen_resp = text(v); }},
    {"listen.http", Kind::address, "\"127.0.0.1:7102\"",
     "HOST:PORT for HTTP: API, status, metrics, health. Empty: not served.",
     [](S& to, const V& v) { to.listen_http = text(v); }},
    {"listen.peer", Kind::address, "\"127.0.0.1:7103\"",
     "HOST:PORT for the other nodes. Empty: only where this node is alone.",
     [](S& to, const V& v) { to.listen_peer = text(v); }},

    {"http.hosts", Kind::hosts, "[]",
     "Further names by which HTTP clients may call this node, beside the listener's address and "
     "localhost; others are refused (421), as a web page could have made them up. [\"*\"]: any.",
     [](S& to, const V& v) { to.http_hosts = std::get<std::vector<std::string>>(v); }},

    {"log.segment_bytes", Kind::integer, "67108864",
     // The least holds the largest key and value of kv in one frame (log/open.cpp).
     "Bytes of one segment file of the log, preallocated and pre-written.",
     [](S& to, const V& v) { to.node.log.segment_bytes = bytes(v); }, 2 * mib, 1 * gib},
    {"log.max_bytes", Kind::integer, "8589934592",
     "Bytes of all segments of a shard; beyond, writes are refused as BOP_E_LOG_FULL.",
     [](S& to, const V& v) { to.node.log.max_bytes = bytes(v); }, 8 * mib, 1024 * gib},
    {"log.direct", Kind::boolean, "true",
     "Bypasses the page cache for the log where the file system can.",
     [](S& to, const V& v) { to.node.log.direct = flag(v); }},

    {"io.backend", Kind::choice, "\"auto\"",
     "How files are read and written: io_uring, a pool of threads, or whichever works.",
     [](S& to, const V& v) { to.files.backend = backend(v); }, 0, 0, "auto|uring|pool"},

    {"raft.election_timeout_ms", Kind::integer, "1000",
     "A follower that hears nothing for one to two times this long starts an election.",
     [](S& to, const V& v) { to.node.raft.election_timeout = ms(v); }, 50, 60000},
    {"raft.heartbeat_ms", Kind::integer, "100",
     "How often a node says that it lives; at most a third of the election timeout.",
     [](S& to, const V& v) { to.node.raft.heartbeat_interval = ms(v); }, 5, 20000},

    {"limits.connections", Kind::integer, "4096",
     "Open connections of each listener for clients; one more is refused, and so is one that takes "
     "one of the process's last 64 descriptors (HTTP: the last 32, so that status and metrics can "
     "still be asked for).",
     [](S& to, const V& v) { to.limits.connections = count(v); }, 1, 1000000},
    {"limits.in_flight", Kind::integer, "1024",
     "Requests of one connection under way; beyond, the connection is not read.",
     [](S& to, const V& v) { to.limits.in_flight = count(v); }, 1, 65536},
    {"limits.output_bytes", Kind::integer, "16777216",
     "Replies that a connection's client has not read; beyond, the connection is closed.",
     [](S& to, const V& v) { to.limits.output_bytes = bytes(v); }, 64 * kib, 1 * gib},
    {"limits.input_bytes", Kind::integer, "16777216",
     "Commands of one connection that are received while its client does not read the replies; a "
     "client that sends more and reads nothing for 5 s is told so and disconnected.",
     [](S& to, const V& v) { to.limits.input_bytes = bytes(v); }, 64 * kib, 1 * gib},
    {"limits.total_output_bytes", Kind::integer, "268435456",
     "Replies of all connections that clients have not read, shared evenly by the shards; beyond, "
     "the connection that holds most is closed, then the next.",
     [](S& to, const V& v) { to.limits.total_output_bytes = bytes(v); }, 1 * mib, 1024 * gib},
    {"limits.total_input_bytes", Kind::integer, "268435456",
     "Commands of all connections that are received and not executed yet, shared evenly by the "
     "shards; beyond, the connection that holds most is closed, then the next.",
     [](S& to, const V& v) { to.limits.total_input_bytes = bytes(v); }, 1 * mib, 1024 * gib},
    {"limits.peer_queue_bytes", Kind::integer, "67108864",
     "Bytes of entries and forwarded commands that wait for one peer; beyond, frames are dropped "
     "and entries sent again later, and from half of it on commands are held back. Votes and "
     "heartbeats have 4 MiB of their own.",
     [](S& to, const V& v) { to.node.peer_queue_bytes = bytes(v); }, 8 * mib,
     4 * gib},  // the least takes the largest frame (proto/peer.h)

    {"logging.level", Kind::choice, "\"info\"", "Diagnostic lines below it are not said.", nullptr,
     0, 0, "debug|info|warning|error|off"},
    {"logging.format", Kind::choice, "\"console\"", "Console lines, or one JSON object a line.",
     nullptr, 0, 0, "console|json"},
    {"logging.file", Kind::path, "\"\"", "Where lines are appended. Empty: standard error.",
     nullptr},

    {"kv.memory_bytes", Kind::integer, "536870912",
     "What the node's kv machines may keep in memory before they fold into their stores; shared "
     "evenly.",
     nullptr, 1 * mib, 1024 * gib},
};

}  // namespace

std::span<const Key> config_keys() { return keys; }

const Key* find_key(std::string_view name) {
  for (const Key& key : keys) {
    if (name == key.name) return &key;
  }
  return nullptr;
}

std::string environment_name(const Key& key) {
  std::string name = std::string("BOP_") + key.name;
  for (char& c : name) {
    if (c == '.') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

}  // namespace bop::capi

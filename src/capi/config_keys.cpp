// The one table of configuration keys. docs/CONFIGURATION.md is generated from it; a test compares them.
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
     "Directory of all files of the node. `bopd format` creates it; one process uses it at a time. "
     "Required.",
     [](S& to, const V& v) { to.data_directory = text(v); }},
    {"cluster_id", Kind::cluster_id, "\"\"",
     "Identity of the cluster: 32 hexadecimal digits, the same on every node. Peers of another "
     "cluster are refused. Required.",
     [](S& to, const V& v) { to.node.cluster = cluster(v); }},
    {"node_id", Kind::integer, "1",
     "Identity of this node in `peers`. An id is never given to another node later.",
     [](S& to, const V& v) { to.node.self = bytes(v); }, 1, INT64_MAX},
    {"shards", Kind::integer, "1",
     "Number of shards: threads, each with its own event loop, log and groups. More than one helps "
     "when several groups are busy and processors are idle. It can be raised after formatting.",
     [](S& to, const V& v) { to.node.shards = count(v); }, 1, 64},
    {"insecure", Kind::boolean, "false",
     "Permits addresses outside loopback. Nothing is encrypted or authenticated: set it only where "
     "something else protects the network.",
     [](S& to, const V& v) { to.insecure = flag(v); }},
    {"peers", Kind::peers, "[]",
     "All nodes of the cluster, including this one. Fields: `id`; `address`, HOST:PORT of the "
     "node's listen.peer; `native`, HOST:PORT of its listen.native, to which native clients are "
     "redirected when it leads (optional). Empty: a cluster of this node alone.",
     nullptr},
    {"groups", Kind::groups, "[{name = \"kv\", id = 1, machine = \"kv\"}]",
     "Raft groups, the same on every node and fixed by `bopd format`. Fields: `name`; `id`; "
     "`machine`, default kv; `voters`, node ids, default all peers; `shard`, default 0.",
     nullptr},

    {"listen.native", Kind::address, "\"127.0.0.1:7100\"",
     "HOST:PORT for native clients: `bop` and programs with bop/client.h. Empty: no listener.",
     [](S& to, const V& v) { to.listen_native = text(v); }},
    {"listen.resp", Kind::address, "\"127.0.0.1:7101\"",
     "HOST:PORT for Redis clients. Empty: no listener.",
     [](S& to, const V& v) { to.listen_resp = text(v); }},
    {"listen.http", Kind::address, "\"127.0.0.1:7102\"",
     "HOST:PORT for HTTP: the API, status, health and metrics. Empty: no listener.",
     [](S& to, const V& v) { to.listen_http = text(v); }},
    {"listen.peer", Kind::address, "\"127.0.0.1:7103\"",
     "HOST:PORT for the other nodes. May be empty only in a cluster of one node.",
     [](S& to, const V& v) { to.listen_peer = text(v); }},

    {"http.hosts", Kind::hosts, "[]",
     "Host names that HTTP clients may use for this node in addition to the listener's address and "
     "localhost. A request with another `Host` is refused with 421, which protects against DNS "
     "rebinding by web pages. Add the names of proxies and service discovery. [\"*\"]: any name. "
     "SIGHUP reloads it.",
     [](S& to, const V& v) { to.http_hosts = std::get<std::vector<std::string>>(v); }},

    {"log.segment_bytes", Kind::integer, "67108864",
     // The minimum holds the largest key and value of kv in one frame (log/open.cpp).
     "Size of a segment file of the log, in bytes; a multiple of 4096. Segments are written in "
     "full "
     "before use: small ones let a node start sooner, but limit the size of a command.",
     [](S& to, const V& v) { to.node.log.segment_bytes = bytes(v); }, 2 * mib, 1 * gib},
    {"log.max_bytes", Kind::integer, "8589934592",
     "Limit of all segments of one shard's log, in bytes; at least four segments. When the log "
     "needs "
     "more, writes are refused with BOP_E_LOG_FULL. Entries are kept until every node of the group "
     "has them, so the limit decides how long a node may be away. SIGHUP reloads it.",
     [](S& to, const V& v) { to.node.log.max_bytes = bytes(v); }, 8 * mib, 1024 * gib},
    {"log.direct", Kind::boolean, "true",
     "Writes the log with direct I/O, past the page cache, where the file system supports it. "
     "Writes are synchronous either way.",
     [](S& to, const V& v) { to.node.log.direct = flag(v); }},

    {"snapshot.bytes_per_s", Kind::integer, "52428800",
     "Bytes of snapshots per second that this node sends to other nodes and receives from them, "
     "together; each shard has an equal part.",
     [](S& to, const V& v) { to.node.snapshot_bytes_per_s = bytes(v); }, 64 * kib, 8 * gib},

    {"io.backend", Kind::choice, "\"auto\"",
     "Interface for file I/O: `uring` is io_uring, `pool` a pool of threads, `auto` io_uring where "
     "the kernel permits it.",
     [](S& to, const V& v) { to.files.backend = backend(v); }, 0, 0, "auto|uring|pool"},

    {"raft.election_timeout_ms", Kind::integer, "1000",
     "Milliseconds without a leader after which a follower starts an election; the actual timeout "
     "is random, one to two times this value. Lower values replace a failed leader sooner, but "
     "must "
     "exceed the pauses of disks and network. Use one value on all nodes.",
     [](S& to, const V& v) { to.node.raft.election_timeout = ms(v); }, 50, 60000},
    {"raft.heartbeat_ms", Kind::integer, "100",
     "Milliseconds between the heartbeats of two nodes; at most a third of "
     "raft.election_timeout_ms.",
     [](S& to, const V& v) { to.node.raft.heartbeat_interval = ms(v); }, 5, 20000},

    {"limits.connections", Kind::integer, "4096",
     "Open connections of each client listener; further ones are refused. Connections that would "
     "use one of the last 64 file descriptors of the process (HTTP: the last 32, so that status "
     "and "
     "metrics stay available) are refused too. A further HTTP connection replaces the one that has "
     "waited longest for a request, if there is one. SIGHUP reloads it.",
     [](S& to, const V& v) { to.limits.connections = count(v); }, 1, 1000000},
    {"limits.in_flight", Kind::integer, "1024",
     "Requests of one connection that execute at the same time; further ones wait unread. SIGHUP "
     "reloads it for new connections.",
     [](S& to, const V& v) { to.limits.in_flight = count(v); }, 1, 65536},
    {"limits.output_bytes", Kind::integer, "16777216",
     "Bytes of replies that one client has not read; a connection above it is closed. SIGHUP "
     "reloads "
     "it for new connections.",
     [](S& to, const V& v) { to.limits.output_bytes = bytes(v); }, 64 * kib, 1 * gib},
    {"limits.input_bytes", Kind::integer, "16777216",
     "Bytes of commands that are received from one client while it does not read its replies. A "
     "client that exceeds it and reads nothing for 5 s gets an error and is disconnected. SIGHUP "
     "reloads it.",
     [](S& to, const V& v) { to.limits.input_bytes = bytes(v); }, 64 * kib, 1 * gib},
    {"limits.total_output_bytes", Kind::integer, "268435456",
     "Bytes of replies that all clients together have not read; each shard has an equal part. "
     "Above "
     "it, the connection with the most unread bytes is closed, repeatedly. SIGHUP reloads it.",
     [](S& to, const V& v) { to.limits.total_output_bytes = bytes(v); }, 1 * mib, 1024 * gib},
    {"limits.total_input_bytes", Kind::integer, "268435456",
     "Bytes of commands of all clients that were received but not yet executed; each shard has an "
     "equal part. Above it, the connection with the most such bytes is closed, repeatedly. SIGHUP "
     "reloads it.",
     [](S& to, const V& v) { to.limits.total_input_bytes = bytes(v); }, 1 * mib, 1024 * gib},
    {"limits.peer_queue_bytes", Kind::integer, "67108864",
     "Bytes of entries and forwarded commands queued for one peer. Above half of it no more are "
     "queued until the peer has taken some; above all of it frames are dropped, and Raft sends "
     "their entries again. Votes and heartbeats have a queue of their own (4 MiB).",
     [](S& to, const V& v) { to.node.peer_queue_bytes = bytes(v); }, 8 * mib,
     4 * gib},  // the minimum holds the largest frame (proto/peer.h)

    {"logging.level", Kind::choice, "\"info\"",
     "Messages below this level are not logged. SIGHUP reloads it.", nullptr, 0, 0,
     "debug|info|warning|error|off"},
    {"logging.format", Kind::choice, "\"console\"",
     "Format of log messages: text for people, or one JSON object per line.", nullptr, 0, 0,
     "console|json"},
    {"logging.file", Kind::path, "\"\"",
     "File to which log messages are appended. SIGHUP reloads it; SIGHUP and SIGUSR1 reopen the "
     "file, for rotation. Empty: standard error.",
     nullptr},

    {"kv.memory_bytes", Kind::integer, "536870912",
     "Memory for the memtables of all kv machines of the node, in bytes; each machine has an equal "
     "part. A machine flushes its memtable to the store when three eighths of its part are used. "
     "More memory means fewer flushes: with random keys, half the memory doubles their cost.",
     nullptr, 1 * mib, 1024 * gib},

    {"scrub.bytes_per_s", Kind::integer, "16777216",
     "Bytes of stored state that the node reads and verifies in the background each second, again "
     "and again, to find what a device altered or lost. All machines of the node share it. 0: "
     "none; what is read for a client is verified in any case. SIGHUP reloads it.",
     [](S& to, const V& v) { to.node.scrub_bytes_per_s = bytes(v); }, 0, 64 * gib},
};

}  // namespace

std::span<const Key> config_keys() { return keys; }

const Key* find_key(std::string_view name) {
  for (const Key& key : keys) {
    if (name == key.name) return &key;
  }
  return nullptr;
}

bool is_reloadable(const Key& key) {
  constexpr std::string_view names[] = {
      "http.hosts",
      "log.max_bytes",
      "limits.connections",
      "limits.in_flight",
      "limits.output_bytes",
      "limits.input_bytes",
      "limits.total_output_bytes",
      "limits.total_input_bytes",
      "logging.level",
      "logging.file",
      "scrub.bytes_per_s",
  };
  return std::ranges::find(names, key.name) != std::end(names);
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

#include <algorithm>

#include "capi/config.h"

namespace bop::capi {
namespace {

constexpr int64_t kib = 1024;
constexpr int64_t mib = 1024 * kib;
constexpr int64_t gib = 1024 * mib;

const Key keys[] = {
    {"data_directory", Kind::path, "\"\"",
     "Where the node keeps everything; made by `bopd format`, held by one process."},
    {"cluster_id", Kind::cluster_id, "\"\"",
     "32 hexadecimal digits, the same on every node; peers and clients of another are refused."},
    {"node_id", Kind::integer, "1", "This node's number among the peers; never reused.", 1,
     INT64_MAX},
    {"shards", Kind::integer, "1",
     "Threads of this node; each has an event loop, a log and groups of its own.", 1, 64},
    {"insecure", Kind::boolean, "false",
     "Allows addresses beyond loopback although nothing is encrypted or authenticated."},
    {"peers", Kind::peers, "[]",
     "All nodes of the cluster, this one among them: id, address (HOST:PORT of listen.peer) and "
     "native "
     "(that of listen.native, where clients are sent when the node leads). Empty: this node "
     "alone."},
    {"groups", Kind::groups, "[{name = \"kv\", id = 1, machine = \"kv\"}]",
     "The replicated groups: name, id, machine (default kv), voters (node ids; default all peers), "
     "shard (default 0)."},

    {"listen.native", Kind::address, "\"127.0.0.1:7100\"",
     "HOST:PORT for native clients (`bop`, client libraries). Empty: not served."},
    {"listen.resp", Kind::address, "\"127.0.0.1:7101\"",
     "HOST:PORT for Redis clients. Empty: not served."},
    {"listen.http", Kind::address, "\"127.0.0.1:7102\"",
     "HOST:PORT for HTTP: API, status, metrics, health. Empty: not served."},
    {"listen.peer", Kind::address, "\"127.0.0.1:7103\"",
     "HOST:PORT for the other nodes. Empty: only where this node is alone."},

    {"http.hosts", Kind::hosts, "[]",
     "Further names by which HTTP clients may call this node, beside the listener's address and "
     "localhost; others are refused (421), as a web page could have made them up. [\"*\"]: any."},

    {"log.segment_bytes", Kind::integer, "67108864",
     // The least holds the largest key and value of kv in one frame (log/open.cpp).
     "Bytes of one segment file of the log, preallocated and pre-written.", 2 * mib, 1 * gib},
    {"log.max_bytes", Kind::integer, "8589934592",
     "Bytes of all segments of a shard; beyond, writes are refused as BOP_E_LOG_FULL.", 8 * mib,
     1024 * gib},
    {"log.direct", Kind::boolean, "true",
     "Bypasses the page cache for the log where the file system can."},

    {"io.backend", Kind::choice, "\"auto\"",
     "How files are read and written: io_uring, a pool of threads, or whichever works.", 0, 0,
     "auto|uring|pool"},

    {"raft.election_timeout_ms", Kind::integer, "1000",
     "A follower that hears nothing for one to two times this long starts an election.", 50, 60000},
    {"raft.heartbeat_ms", Kind::integer, "100",
     "How often a node says that it lives; at most a third of the election timeout.", 5, 20000},

    {"limits.connections", Kind::integer, "4096",
     "Open connections of each listener for clients; one more is refused, and so is one that takes "
     "one of the process's last 64 descriptors (HTTP: the last 32, so that status and metrics can "
     "still be asked for).",
     1, 1000000},
    {"limits.in_flight", Kind::integer, "1024",
     "Requests of one connection under way; beyond, the connection is not read.", 1, 65536},
    {"limits.output_bytes", Kind::integer, "16777216",
     "Replies that a connection's client has not read; beyond, the connection is closed.", 64 * kib,
     1 * gib},
    {"limits.input_bytes", Kind::integer, "16777216",
     "Commands of one connection that are received while its client does not read the replies; a "
     "client that sends more and reads nothing for 5 s is told so and disconnected.",
     64 * kib, 1 * gib},
    {"limits.total_output_bytes", Kind::integer, "268435456",
     "Replies of all connections that clients have not read, shared evenly by the shards; beyond, "
     "the connection that holds most is closed, then the next.",
     1 * mib, 1024 * gib},
    {"limits.total_input_bytes", Kind::integer, "268435456",
     "Commands of all connections that are received and not executed yet, shared evenly by the "
     "shards; beyond, the connection that holds most is closed, then the next.",
     1 * mib, 1024 * gib},
    {"limits.peer_queue_bytes", Kind::integer, "67108864",
     "Bytes of entries and forwarded commands that wait for one peer; beyond, frames are dropped "
     "and entries sent again later, and from half of it on commands are held back. Votes and "
     "heartbeats have 4 MiB of their own.",
     8 * mib, 4 * gib},  // the least takes the largest frame (proto/peer.h)

    {"logging.level", Kind::choice, "\"info\"", "Diagnostic lines below it are not said.", 0, 0,
     "debug|info|warning|error|off"},
    {"logging.format", Kind::choice, "\"console\"", "Console lines, or one JSON object a line.", 0,
     0, "console|json"},
    {"logging.file", Kind::path, "\"\"", "Where lines are appended. Empty: standard error."},

    {"kv.memory_bytes", Kind::integer, "536870912",
     "What the node's kv machines may keep in memory before they fold into their stores; shared "
     "evenly.",
     1 * mib, 1024 * gib},
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

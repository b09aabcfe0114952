// Settings: a configuration that was checked, as the modules that stand on it want it: typed,
// complete, with every default filled in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace bop::capi {

struct Peer {
  NodeId id = 0;
  std::string address;  // HOST:PORT
  std::string native;   // of its listener for native clients; empty: clients are not sent there
  friend bool operator==(const Peer&, const Peer&) = default;
};

struct GroupSpec {
  std::string name;
  GroupId id = 0;
  std::string machine = "kv";
  std::vector<NodeId> voters;  // sorted; as written: empty stands for all peers
  uint32_t shard = 0;
  friend bool operator==(const GroupSpec&, const GroupSpec&) = default;
};

struct Settings {
  std::string data_directory;
  std::string cluster_id;  // 32 lower-case hexadecimal digits
  NodeId node_id = 0;
  bool insecure = false;

  // HOST:PORT; empty: not served.
  std::string listen_native, listen_resp, listen_http, listen_peer;

  std::vector<std::string>
      http_hosts;  // names for HTTP clients, beside the listener's and localhost

  std::vector<Peer> peers;  // by id, this node among them
  uint32_t shards = 1;
  std::vector<GroupSpec> groups;  // by id, voters filled in

  uint64_t log_segment_bytes = 0;
  uint64_t log_max_bytes = 0;
  bool log_direct = true;
  std::string io_backend;  // auto, uring, pool

  int64_t election_timeout_ms = 0;
  int64_t heartbeat_ms = 0;

  uint32_t max_connections = 0;   // of each listener for clients
  uint32_t max_in_flight = 0;     // requests of one connection
  uint64_t max_output_bytes = 0;  // replies of one connection that its client has not read
  uint64_t max_input_bytes = 0;   // commands of one connection while its client reads no replies
  uint64_t max_total_output_bytes = 0;  // of all connections of clients
  uint64_t max_total_input_bytes = 0;
  uint64_t max_peer_queue_bytes = 0;

  std::string logging_level;   // debug, info, warning, error, off
  std::string logging_format;  // console, json
  std::string logging_file;    // empty: standard error

  uint64_t kv_memory_bytes = 0;  // of each group
};

}  // namespace bop::capi

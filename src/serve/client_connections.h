// The client connections of one shard: owns them, resumes those that wait for the end of a turn, and holds
// what they share.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/time.h"
#include "mem/buffer.h"
#include "net/log_lines.h"
#include "node/service.h"
#include "port/post.h"
#include "port/timer.h"
#include "proto/frame.h"
#include "proto/kv.h"
#include "proto/part_writer.h"
#include "serve/http_hosts.h"
#include "serve/scan_cursors.h"
#include "serve/wire.h"

namespace bop::serve {

struct Options {
  std::string group = "kv";             // the group that RESP and HTTP clients use
  Duration deadline = 5 * seconds;      // of a request without one
  uint32_t max_pipeline = 1024;         // unanswered requests of a connection; further ones wait
  size_t pause_output_bytes = 1 << 20;  // unsent replies; beyond, no further command starts
  size_t max_input_bytes = 16 << 20;  // commands received while replies wait to be read; beyond it
                                      // a client that reads nothing for stall_limit is disconnected
  size_t max_held_bytes = 1 << 20;    // commands waiting for earlier ones on their keys
  size_t read_ahead_bytes = 2 << 20;  // of replies to reads that are in progress; a reply that
                                      // exceeds it is dropped and the read repeated
  uint32_t max_http_requests = 4096;  // in progress on a shard; further ones are refused
  HttpHosts http_hosts;               // host names that HTTP requests may have
  uint32_t max_connections = 10'000;  // the configured limit, for INFO and CONFIG GET
  std::string version;                // of this program
  proto::ClusterId cluster{};
  NodeId node = 0;
  uint16_t resp_port = 0;
  std::map<NodeId, std::string> native_addresses;  // where the native clients of a node connect
};

// Metrics of one protocol on one shard.
struct ProtocolMetrics {
  ProtocolMetrics(metrics::Registry& registry, const std::string& protocol, uint32_t shard);
  metrics::Counter& connections;
  metrics::Gauge& connected;
  metrics::Counter& commands;
  metrics::Counter& errors;
  Histogram& propose_ns;
  Histogram& query_ns;
};

// What all connections of a shard share; `cursors` is shared by the shards of a node.
struct Shared {
  node::Service& service;
  port::Post& post;
  port::Timers& timers;
  metrics::Registry& registry;
  ScanCursors& cursors;
  const Options& options;
  uint32_t shard = 0;
  uint32_t shards = 1;  // of the node
};

// After stop(), how long a client whose protocol has no goodbye may send its next command: it is answered by an error
// before the connection is closed.
inline constexpr Duration stop_grace = 100 * milliseconds;

// Destroy it only after the shard has stopped: the service must not complete requests afterwards.
class ClientConnections {
 public:
  explicit ClientConnections(const Shared& shared);
  ~ClientConnections();
  ClientConnections(const ClientConnections&) = delete;
  ClientConnections& operator=(const ClientConnections&) = delete;

  const Shared& shared() const { return shared_; }
  const Options& options() const { return shared_.options; }
  node::Service& service() { return shared_.service; }

  // An id for a connection, unique in the node.
  uint64_t next_id();
  // Takes ownership; the connection is destroyed once it is finished.
  ClientConnection& add(std::unique_ptr<ClientConnection> connection);
  // Calls ClientConnection::on_end_of_turn() at the end of this turn and destroys the connection if it is finished.
  void schedule(ClientConnection& connection);
  size_t count() const { return connections_.size(); }
  // ClientConnection::stop() for all, and end_stop() after stop_grace.
  void stop();
  // Whether stop() has taken effect: no connection starts a further command.
  bool all_ending() const;
  // The number of the current turn. It rises when the service starts to process the requests of the
  // turn; while it is unchanged, no request made under this number has had any effect.
  uint64_t turn();

  // For errors of clients; it limits the rate of lines.
  net::LogLines& client_log() { return client_log_; }

  ProtocolMetrics& resp() { return resp_; }
  ProtocolMetrics& native() { return native_; }
  ProtocolMetrics& http() { return http_; }

  // Scratch space for encoding, used by one connection at a time.
  mem::Arena& arena() { return arena_; }
  proto::PartWriter& scratch() { return scratch_; }
  std::vector<proto::KvOperation>& operations() { return operations_; }

 private:
  void end_turn();

  Shared shared_;
  mem::Arena arena_;
  proto::PartWriter scratch_;
  std::vector<proto::KvOperation> operations_;
  ProtocolMetrics resp_, native_, http_;
  net::LogLines client_log_;
  std::map<uint64_t, std::unique_ptr<ClientConnection>> connections_;
  std::vector<ClientConnection*> scheduled_, running_;
  std::unique_ptr<port::Timer> stop_timer_;
  uint64_t last_number_ = 0;
  uint64_t turn_ = 0;
  bool turn_ends_ = false;  // turn_ rises at the end of this turn
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bop::serve

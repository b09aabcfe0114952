// The listeners for clients: acceptors on the first shard's loop, connections on the loops of all shards.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "capi/settings.h"
#include "net/acceptor.h"
#include "net/stream.h"
#include "node/directory.h"
#include "node/node.h"
#include "serve/client_connections.h"
#include "serve/stream_connections.h"

namespace bop::capi {

// A shard's loop and sockets, on which its client connections run.
struct ListenOn {
  io::Loop* loop;
  net::Streams* streams;
};

class Listeners {
 public:
  // Binds the ports. Connections are accepted but not read until serve(). Call it before the loops run.
  // ADDRESS_IN_USE, BAD_ADDRESS, IO.
  static Result<std::unique_ptr<Listeners>> open(const Settings& settings,
                                                 const node::Identity& identity,
                                                 metrics::Registry& registry,
                                                 const std::vector<ListenOn>& listen_on);
  // Destroy it after the loops have stopped.
  ~Listeners();

  // Starts to serve the connections. First shard's thread.
  void serve(node::Node& node);
  // Applies limits.* (but limits.peer_queue_bytes) and http.hosts. First shard's thread, after serve().
  void reload(const Settings& settings);
  // Accepts no further connections. First shard's thread.
  void close();
  // Completes the requests that were received, tells clients that the node stops, and closes. `done` is called when
  // everything is sent, or after `patience`. Both on the first shard's thread.
  void finish(Duration patience, const std::function<void()>& done);

  // HOST:PORT of "native", "resp" or "http"; empty: no such listener.
  const std::string& address(std::string_view listener) const;

 private:
  struct ShardListener;

  Listeners(const Settings& settings, const node::Identity& identity, metrics::Registry& registry,
            const std::vector<ListenOn>& listen_on);
  Status listen(const std::string& name, const std::string& address);
  serve::HttpHosts http_hosts(const Settings& settings) const;
  void take(const std::string& name, ShardListener& listener,
            std::unique_ptr<net::Connection> connection);

  const Settings settings_;
  metrics::Registry& registry_;
  serve::Options options_;  // as of the start
  serve::ScanCursors cursors_;
  std::vector<std::unique_ptr<ShardListener>> listeners_;
  std::map<std::string, std::unique_ptr<net::Acceptor>, std::less<>> acceptors_;
  std::map<std::string, std::string, std::less<>> addresses_;
};

}  // namespace bop::capi

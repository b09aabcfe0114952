// Liveness between nodes, not groups: one heartbeat for each pair of nodes, however many groups they share.
//
// A heartbeat only suppresses elections; it proves nothing to ReadIndex or check-quorum. It carries the
// sender's epoch, which changes at a restart, and the health of its shards' logs. A node is reported as lost
// when it is not heard for a timeout, restarts, or has an unhealthy log: replicas then no longer follow
// leaders on it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "port/clock.h"
#include "port/timer.h"

namespace bop::node {

struct Heartbeat {
  uint64_t epoch = 0;
  uint64_t healthy_shards = 0;  // a bit a shard
};

class Liveness {
 public:
  struct Options {
    std::vector<NodeId> peers;
    uint64_t epoch = 0;
    Duration interval = 100 * milliseconds;
    Duration timeout = 1 * seconds;
  };
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void send_heartbeat(NodeId to, const Heartbeat& heartbeat) = 0;
    virtual void node_lost(NodeId node) = 0;
    // It is heard for the first time, or again after node_lost.
    virtual void node_alive(NodeId node) = 0;
  };

  Liveness(const Options& options, const port::Clock& clock, port::Timers& timers,
           Listener& listener);

  void start();
  void set_healthy_shards(uint64_t bits);  // sent at once when it changed
  void heard(NodeId from, const Heartbeat& heartbeat);
  // The control connection broke: most often the process died, and then there is no need to wait
  // for the timeout. A wrong guess costs a pre-vote that the others refuse.
  void disconnected(NodeId node);
  bool alive(NodeId node) const;

 private:
  struct Peer {
    bool alive = false;
    Instant heard_at = 0;
    Heartbeat last;
  };

  void send_heartbeats();
  void lose(NodeId node, Peer& peer);

  const Options options_;
  const port::Clock& clock_;
  Listener& listener_;
  std::map<NodeId, Peer> peers_;
  uint64_t healthy_shards_ = 0;
  std::unique_ptr<port::Timer> timer_;
};

}  // namespace bop::node

// A simulated network: a Transport for each node, and between each two nodes two connections
// (control, bulk) that carry whole frames.
//
//            both nodes run, nothing is cut          a node ends, or a cut lasts
//    down ──────────────────────────────► up ─────────────────────────────────► down
//              after a dialling delay           at once; a cut after a while
//
// While a connection is up its frames arrive in order after a drawn latency, unless the link's quality
// has them lost, repeated or overtaken. What is cut one way is lost without a word, as the port says
// it may be; a connection that goes down takes with it what was on its way.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "port/transport.h"
#include "sim/scheduler.h"

namespace bop::sim {

// One direction between two nodes. Chances are in a million.
struct LinkQuality {
  Duration shortest = 50 * microseconds;
  Duration longest = 300 * microseconds;
  uint32_t lost = 0;
  uint32_t repeated = 0;
  uint32_t overtaken = 0;  // delayed by up to `overtaken_by`, others pass
  Duration overtaken_by = 20 * milliseconds;
  uint64_t bytes_per_second = 1'000'000'000;
};

struct NetworkOptions {
  LinkQuality quality;
  uint64_t max_queued_bytes = 16u << 20;  // a channel's; beyond, send refuses
  Duration dial_shortest = 1 * milliseconds;
  Duration dial_longest = 200 * milliseconds;
  Duration notice_shortest = 500 * milliseconds;  // that a cut connection is dead
  Duration notice_longest = 4 * seconds;
};

class Network {
 public:
  // `harness` runs the connections' own events.
  Network(Scheduler& scheduler, Thread& harness, const NetworkOptions& options);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  // The node's end; it lives as long as the network. Frames reach its receiver on `thread`.
  port::Transport& add_node(NodeId node, Thread& thread);

  // A process that starts or ends. Of one that ends all connections go down, its peers hear of it at
  // once (a process that died) or only when they notice (its machine lost power).
  void start_node(NodeId node);
  void end_node(NodeId node, bool peers_hear);

  void cut(NodeId from, NodeId to);  // one way
  void isolate(NodeId node);         // both ways, from all
  // Both connections between the two break at once, as by a reset; they are dialled again.
  void reset(NodeId a, NodeId b);
  void heal(NodeId from, NodeId to);
  void heal_all();
  bool is_cut(NodeId from, NodeId to) const;
  // Since when frames pass between the two, both ways, on both connections; nothing while they do not. A poor
  // quality of links does not count.
  std::optional<Instant> passes_since(NodeId a, NodeId b) const;

  void set_quality(NodeId from, NodeId to, const LinkQuality& quality);
  void set_quality(const LinkQuality& quality);  // of all links
  // Frames above that size are lost, as on a path with a wrong MTU; until healed.
  void drop_frames_above(NodeId from, NodeId to, uint64_t bytes);

  // Called for every frame when it arrives or is lost: `fate` is "arrives", "lost", "refused" (by send)
  // or "too large".
  using FrameWatch = std::function<void(NodeId from, NodeId to, port::Channel channel, Bytes frame,
                                        std::string_view fate)>;
  void watch_frames(FrameWatch watch) { watch_ = std::move(watch); }
  // Called for every frame of a control channel that a node sends, lost later or not.
  using ControlWatch = std::function<void(const mem::Buffer& frame)>;
  void watch_control(ControlWatch watch) { watch_control_ = std::move(watch); }

  struct Counters {
    uint64_t sent = 0, delivered = 0, lost = 0, refused = 0, repeated = 0, overtaken = 0;
    uint64_t connected = 0, broken = 0, reset = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  class End;
  struct Direction;
  struct Connection;
  using Pair = std::pair<NodeId, NodeId>;  // ordered where it names a connection: lower first

  void watch(const Connection& connection, NodeId from, Bytes frame, std::string_view fate) const;
  Connection& connection(NodeId a, NodeId b, port::Channel channel);
  Direction& direction(NodeId from, NodeId to);
  bool passable(const Connection& connection) const;
  // Dials, notices or does nothing, as the state of its nodes and cuts wants it.
  void review(Connection& connection);
  void review_all(NodeId node);
  void note_change(NodeId a, NodeId b);
  void connect(Connection& connection);
  void break_down(Connection& connection);
  void tell(NodeId node, NodeId peer, port::Channel channel, bool up);
  bool send(NodeId from, NodeId to, port::Channel channel, std::span<const mem::Buffer> parts);
  uint64_t queued_bytes(NodeId from, NodeId to, port::Channel channel) const;
  void deliver(Connection& connection, NodeId from, NodeId to, Instant arrival, mem::Buffer frame,
               uint64_t hash);

  Scheduler& scheduler_;
  Thread& harness_;
  const NetworkOptions options_;
  Random random_;
  std::map<NodeId, std::unique_ptr<End>> ends_;
  std::map<Pair, Direction> directions_;
  std::map<std::pair<Pair, port::Channel>, std::unique_ptr<Connection>> connections_;
  std::map<Pair, Instant> changed_;  // when a cut or connection between the two last changed
  FrameWatch watch_;
  ControlWatch watch_control_;
  Counters counters_;
};

}  // namespace bop::sim

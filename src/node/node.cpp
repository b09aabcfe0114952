#include "node/node.h"

#include <algorithm>

#include "node/crossing.h"

namespace bop::node {

namespace {

Liveness::Options liveness_options(const ShardOptions& options, uint64_t epoch) {
  Liveness::Options out;
  for (const PeerSpec& peer : options.peers) out.peers.push_back(peer.id);
  out.epoch = epoch;
  out.interval = options.heartbeat_interval;
  out.timeout = options.election_timeout;
  return out;
}

}  // namespace

Node::Node(ShardOptions options, std::vector<Seat> seats, port::Transport& transport,
           std::function<const bop_machine_table*(std::string_view kind)> find_machine)
    : options_(std::move(options)),
      seats_(std::move(seats)),
      transport_(transport),
      find_machine_(std::move(find_machine)),
      transports_(seats_.size()),
      shards_(seats_.size()),
      services_(seats_.size()),
      healthy_shards_(~uint64_t{0} >> (64 - seats_.size())),
      passing_bytes_(seats_.size()) {
  BOP_ASSERT(!seats_.empty());
  BOP_ASSERT_LE(seats_.size(), 64u);
  transport_.set_receiver(this);
}

Node::~Node() { transport_.set_receiver(nullptr); }

// ---- opening ----

void Node::open(std::function<void(Status)> done) {
  opened_ = std::move(done);
  opening_ = static_cast<uint32_t>(seats_.size());
  for (uint32_t seat = 0; seat < seats_.size(); ++seat)
    seats_[seat].post.post([this, seat] { open_shard(seat); });
}

void Node::open_shard(uint32_t seat) {
  ShardOptions options = options_;
  options.shard = seat;
  options.shards = static_cast<uint32_t>(seats_.size());
  if (seat > 0) transports_[seat] = std::make_unique<CrossingTransport>(*this, seat);
  const Seat& at = seats_[seat];
  ShardPorts ports{.clock = at.clock,
                   .timers = at.timers,
                   .post = at.post,
                   .files = at.files,
                   .transport = seat == 0 ? transport_ : *transports_[seat],
                   .make_worker = at.make_worker,
                   .find_machine = find_machine_,
                   .on_heartbeat = {},
                   .pass_on = {}};
  if (seat == 0) {
    ports.on_heartbeat = [this](NodeId from, uint64_t epoch, const proto::HeartbeatItem& item) {
      heard(from, epoch, item);
    };
    ports.pass_on = [this](uint32_t to, NodeId from, const mem::Buffer& frame) {
      pass_on(to, from, frame);
    };
  }
  shards_[seat] = Shard::make(options, ports);
  if (Status opened = shards_[seat]->open(); !opened) return shard_opened(seat, std::move(opened));
  shards_[seat]->on_health([this, seat](bool healthy) { set_health(seat, healthy); });
  shards_[seat]->when_bootstrapped(
      [this, seat](Status status) { shard_opened(seat, std::move(status)); });
}

void Node::shard_opened(uint32_t seat, Status status) {
  seats_[0].post.post([this, seat, status = std::move(status)] {
    if (!status && open_status_) {
      open_status_ = fail(status.error().code,
                          "shard " + std::to_string(seat) + ": " + status.error().to_string());
    }
    if (--opening_ > 0) return;
    auto opened = std::move(opened_);
    opened(open_status_);
  });
}

void Node::start() {
  for (uint32_t seat = 0; seat < seats_.size(); ++seat)
    services_[seat] = std::make_unique<CrossingService>(*this, seat);
  liveness_ = std::make_unique<Liveness>(liveness_options(options_, epoch()), seats_[0].clock,
                                         seats_[0].timers, *this);
  liveness_->set_healthy_shards(healthy_shards_);
  started_ = true;
  for (const auto& [lane, up] : lanes_)
    if (up) tell_lane(lane.first, lane.second, true);
  for (uint32_t seat = 0; seat < seats_.size(); ++seat) {
    seats_[seat].post.post([this, seat] {
      services_[seat]->start();
      shards_[seat]->start();
    });
  }
  liveness_->start();
}

void Node::on_every_seat(const std::function<void(uint32_t seat, std::function<void()> done)>& task,
                         std::function<void()> done) {
  auto left = std::make_shared<size_t>(seats_.size());  // of the first seat's thread
  for (uint32_t seat = 0; seat < seats_.size(); ++seat) {
    seats_[seat].post.post([this, seat, task, left, done] {
      task(seat, [this, left, done] {
        seats_[0].post.post([left, done] {
          if (--*left == 0) done();
        });
      });
    });
  }
}

void Node::stop(Duration grace, std::function<void()> done) {
  const auto stop_shard = [this, grace](uint32_t seat, std::function<void()> stopped) {
    const Instant deadline = seats_[seat].clock.now() + grace;
    shards_[seat]->stop(grace, [this, seat, deadline, stopped = std::move(stopped)] {
      // What it asked of other shards may still be on its way there or back.
      services_[seat]->when_completed(deadline, stopped);
    });
  };
  const auto halt_shard = [this](uint32_t seat, const std::function<void()>& halted) {
    shards_[seat]->halt();
    halted();
  };
  on_every_seat(stop_shard,
                [this, halt_shard, done = std::move(done)] { on_every_seat(halt_shard, done); });
}

Service& Node::service(uint32_t seat) { return *services_[seat]; }

uint32_t Node::seat_of(GroupId group) const {
  for (const GroupSpec& spec : options_.groups)
    if (spec.id == group) return spec.shard;
  return static_cast<uint32_t>(seats_.size());
}

// ---- peers ----

void Node::on_frame(NodeId from, mem::Buffer frame) {
  if (!started_) return;  // lost, as any frame may be
  shards_[0]->on_frame(from, std::move(frame));
}

void Node::pass_on(uint32_t seat, NodeId from, const mem::Buffer& frame) {
  if (seat == 0 || seat >= seats_.size()) return;
  if (passing_bytes_[seat] > max_passing_bytes) return;
  passing_bytes_[seat] += frame.size();
  seats_[seat].post.post(
      [this, seat, from, bytes = std::vector<uint8_t>(frame.data(), frame.data() + frame.size())] {
        passing_bytes_[seat] -= bytes.size();
        shards_[seat]->on_frame(from, mem::Buffer::copy(bytes));
      });
}

// Peers may connect while the shards still open: they learn of it when they start.
void Node::on_lane(NodeId node, port::Lane lane, bool up) {
  lanes_[{node, lane}] = up;
  if (started_) tell_lane(node, lane, up);
}

void Node::tell_lane(NodeId node, port::Lane lane, bool up) {
  shards_[0]->on_lane(node, lane, up);
  for (uint32_t seat = 1; seat < seats_.size(); ++seat)
    seats_[seat].post.post(
        [this, seat, node, lane, up] { shards_[seat]->on_lane(node, lane, up); });
  if (!up && lane == port::Lane::control) liveness_->disconnected(node);
}

void Node::heard(NodeId from, uint64_t epoch, const proto::HeartbeatItem& item) {
  if (liveness_) liveness_->heard(from, {epoch, item.healthy_shards});
}

void Node::send_heartbeat(NodeId to, const Heartbeat& heartbeat) {
  proto::PeerHeader header;
  header.cluster = options_.cluster;
  header.from = options_.self;
  header.to = to;
  header.incarnation = options_.incarnation;
  header.epoch = heartbeat.epoch;
  heartbeat_frame_.begin(header);
  const bool added =
      heartbeat_frame_.add(proto::HeartbeatItem{.sequence = ++heartbeat_sequence_,
                                                .sent_at = seats_[0].clock.now(),
                                                .healthy_shards = heartbeat.healthy_shards});
  BOP_ASSERT(added);
  // Lost when the lane is down, as every heartbeat may be.
  (void)transport_.send(to, port::Lane::control, heartbeat_frame_.finish());
}

void Node::node_lost(NodeId node) {
  for (uint32_t seat = 0; seat < seats_.size(); ++seat)
    seats_[seat].post.post([this, seat, node] { shards_[seat]->node_lost(node); });
}

void Node::set_health(uint32_t seat, bool healthy) {
  seats_[0].post.post([this, seat, healthy] {
    const uint64_t bit = uint64_t{1} << seat;
    healthy_shards_ = healthy ? healthy_shards_ | bit : healthy_shards_ & ~bit;
    if (liveness_) liveness_->set_healthy_shards(healthy_shards_);
  });
}

}  // namespace bop::node

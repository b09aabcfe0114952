#include "node/node.h"

#include <algorithm>

#include "node/cross_shard.h"

namespace bop::node {

namespace {

// In which a reply of another shard arrives, even when all of the grace was used up before.
constexpr Duration cross_shard_time = 100 * milliseconds;

// Of conditions, and of reports to peers.
constexpr Duration check_every = 500 * milliseconds;

Liveness::Options liveness_options(const ShardOptions& options, uint64_t epoch) {
  Liveness::Options out;
  for (const PeerSpec& peer : options.peers) out.peers.push_back(peer.id);
  out.epoch = epoch;
  out.interval = options.raft.heartbeat_interval;
  out.timeout = options.raft.election_timeout;
  return out;
}

}  // namespace

Node::Node(ShardOptions options, std::vector<ShardContext> contexts, port::Transport& transport,
           std::function<const bop_machine_table*(std::string_view kind)> find_machine,
           metrics::Registry* metrics)
    : options_(std::move(options)),
      contexts_(std::move(contexts)),
      transport_(transport),
      find_machine_(std::move(find_machine)),
      metrics_(metrics),
      transports_(contexts_.size()),
      shards_(contexts_.size()),
      services_(contexts_.size()),
      healthy_shards_(~uint64_t{0} >> (64 - contexts_.size())),
      view_(options_),
      watch_(options_, contexts_.size()),
      group_reports_(contexts_.size()),
      passing_bytes_(contexts_.size()) {
  BOP_ASSERT(!contexts_.empty());
  BOP_ASSERT_LE(contexts_.size(), 64u);
  for (const GroupSpec& group : options_.groups) BOP_ASSERT_LT(group.shard, contexts_.size());
  for (const PeerSpec& peer : options_.peers) {
    BOP_ASSERT_NE(peer.id, options_.self);
    delivered_bytes_[peer.id] = 0;
  }
  transport_.set_receiver(this);
}

Node::~Node() { transport_.set_receiver(nullptr); }

// ---- opening ----

void Node::open(std::function<void(Status)> done) {
  opened_ = std::move(done);
  opening_ = static_cast<uint32_t>(contexts_.size());
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index)
    contexts_[shard_index].post.post([this, shard_index] { open_shard(shard_index); });
}

void Node::open_shard(uint32_t shard_index) {
  ShardOptions options = options_;
  options.shard = shard_index;
  options.shards = static_cast<uint32_t>(contexts_.size());
  if (shard_index > 0)
    transports_[shard_index] = std::make_unique<CrossShardTransport>(*this, shard_index);
  const ShardContext& at = contexts_[shard_index];
  ShardPorts ports{.clock = at.clock,
                   .timers = at.timers,
                   .post = at.post,
                   .files = at.files,
                   .transport = shard_index == 0 ? transport_ : *transports_[shard_index],
                   .make_worker = at.make_worker,
                   .find_machine = find_machine_,
                   .metrics = metrics_,
                   .log_write_ns = at.log_write_ns,
                   .on_heartbeat = {},
                   .pass_on = {}};
  if (shard_index == 0) {
    ports.on_heartbeat = [this](NodeId from, const proto::PeerHeader& header,
                                const proto::HeartbeatItem& item) {
      on_heartbeat(from, header, item);
    };
    ports.pass_on = [this](uint32_t to, NodeId from, const mem::Buffer& frame) {
      pass_on(to, from, frame);
    };
  }
  shards_[shard_index] = std::make_unique<Shard>(options, ports);
  if (Status opened = shards_[shard_index]->open(); !opened)
    return shard_opened(shard_index, std::move(opened));
  shards_[shard_index]->on_health(
      [this, shard_index](bool healthy) { set_health(shard_index, healthy); });
  shards_[shard_index]->when_bootstrapped(
      [this, shard_index](Status status) { shard_opened(shard_index, std::move(status)); });
}

void Node::shard_opened(uint32_t shard_index, Status status) {
  contexts_[0].post.post([this, shard_index, status = std::move(status)] {
    BOP_ASSERT_GT(opening_, 0u);
    if (!status && open_status_) {
      open_status_ = fail(status.error().code, "shard " + std::to_string(shard_index) + ": " +
                                                   status.error().to_string());
    }
    if (--opening_ > 0) return;
    if (open_status_) open_status_ = any_log_opened();
    auto opened = std::move(opened_);
    opened(open_status_);
  });
}

// When no shard with groups has its log: the error of the first.
Status Node::any_log_opened() const {
  Status status;
  for (const GroupSpec& group : options_.groups) {
    const std::optional<Error>& error = shards_[group.shard]->log_error();
    if (!error) return {};
    if (status) status = std::unexpected(*error);
  }
  return status;
}

uint64_t Node::epoch() const {
  uint64_t highest = 0;
  for (const auto& shard : shards_) highest = std::max(highest, shard->epoch());
  return highest;
}

void Node::start() {
  BOP_ASSERT(!started_);
  BOP_ASSERT_EQ(opening_, 0u);
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index)
    services_[shard_index] = std::make_unique<CrossShardService>(*this, shard_index);
  liveness_ = std::make_unique<Liveness>(liveness_options(options_, epoch()), contexts_[0].clock,
                                         contexts_[0].timers, *this);
  liveness_->set_healthy_shards(healthy_shards_);
  started_ = true;
  for (const auto& [channel, up] : channels_)
    if (up) pass_channel(channel.first, channel.second, true);
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index) {
    contexts_[shard_index].post.post([this, shard_index] {
      services_[shard_index]->start();
      shards_[shard_index]->start();
    });
  }
  liveness_->start();
  started_at_ = contexts_[0].clock.now();
  condition_timer_ = contexts_[0].timers.make_timer([this] { check_conditions(); });
  check_conditions();
}

void Node::on_every_shard(
    const std::function<void(uint32_t shard_index, std::function<void()> done)>& task,
    std::function<void()> done) {
  auto left = std::make_shared<size_t>(contexts_.size());  // of the first shard's thread
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index) {
    contexts_[shard_index].post.post([this, shard_index, task, left, done] {
      task(shard_index, [this, left, done] {
        contexts_[0].post.post([left, done] {
          if (--*left == 0) done();
        });
      });
    });
  }
}

void Node::stop(Duration grace, std::function<void()> done) {
  const auto stop_shard = [this, grace](uint32_t shard_index, std::function<void()> stopped) {
    const Instant deadline = contexts_[shard_index].clock.now() + grace;
    shards_[shard_index]->stop(grace, [this, shard_index, deadline, stopped = std::move(stopped)] {
      // What it asked of other shards may still be on its way there or back.
      const Instant soon = contexts_[shard_index].clock.now() + cross_shard_time;
      services_[shard_index]->when_completed(std::max(deadline, soon), stopped);
    });
  };
  const auto halt_shard = [this](uint32_t shard_index, const std::function<void()>& halted) {
    shards_[shard_index]->halt();
    halted();
  };
  on_every_shard(stop_shard,
                 [this, halt_shard, done = std::move(done)] { on_every_shard(halt_shard, done); });
}

void Node::set_log_max_bytes(uint64_t bytes) {
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index)
    contexts_[shard_index].post.post(
        [this, shard_index, bytes] { shards_[shard_index]->set_log_max_bytes(bytes); });
}

void Node::set_scrub_bytes_per_s(uint64_t bytes) {
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index)
    contexts_[shard_index].post.post(
        [this, shard_index, bytes] { shards_[shard_index]->set_scrub_bytes_per_s(bytes); });
}

Service& Node::service(uint32_t shard_index) { return *services_[shard_index]; }

uint32_t Node::shard_of(GroupId group) const {
  for (const GroupSpec& spec : options_.groups)
    if (spec.id == group) return spec.shard;
  return static_cast<uint32_t>(contexts_.size());
}

// ---- peers ----

Status Node::on_frame(NodeId from, mem::Buffer frame) {
  if (!started_) return {};  // lost, as any frame may be
  return shards_[0]->on_frame(from, std::move(frame));
}

void Node::pass_on(uint32_t shard_index, NodeId from, const mem::Buffer& frame) {
  if (shard_index == 0 || shard_index >= contexts_.size()) return;
  if (passing_bytes_[shard_index] > max_passing_bytes) return;
  passing_bytes_[shard_index] += frame.size();
  contexts_[shard_index].post.post(
      [this, shard_index, from,
       bytes = std::vector<uint8_t>(frame.data(), frame.data() + frame.size())] {
        passing_bytes_[shard_index] -= bytes.size();
        const Status taken = shards_[shard_index]->on_frame(from, mem::Buffer::copy(bytes));
        BOP_ASSERT(taken);  // the first shard decoded it before
      });
}

// Peers may connect while the shards still open: the shards hear of it when they start.
void Node::on_channel(NodeId node, port::Channel channel, bool up) {
  channels_[{node, channel}] = up;
  if (started_) pass_channel(node, channel, up);
}

void Node::pass_channel(NodeId node, port::Channel channel, bool up) {
  shards_[0]->on_channel(node, channel, up);
  for (uint32_t shard_index = 1; shard_index < contexts_.size(); ++shard_index)
    contexts_[shard_index].post.post([this, shard_index, node, channel, up] {
      shards_[shard_index]->on_channel(node, channel, up);
    });
  if (!up && channel == port::Channel::control) liveness_->disconnected(node);
}

void Node::on_heartbeat(NodeId from, const proto::PeerHeader& header,
                        const proto::HeartbeatItem& item) {
  if (!liveness_) return;
  liveness_->heard(from, {header.epoch, item.healthy_shards});
  view_.heard(from, header.sections, contexts_[0].clock.now());
  // The word of a node about itself counts more, while it is heard.
  for (const proto::NodeAddress& known : proto::decode_addresses(header.sections.addresses))
    if (!alive(known.node)) transport_.learn_address(known.node, std::string(known.address));
  watch_.accepted_by(from);
}

void Node::on_introduced(NodeId node, const port::Introduction& introduction) {
  view_.introduced(node, introduction);
}

void Node::on_refused(NodeId node, const Error& reason) { watch_.refused_by(node, reason); }

void Node::on_second_process(NodeId node, const std::string& address) {
  watch_.second_process(node, address, contexts_[0].clock.now());
}

void Node::send_heartbeat(NodeId to, const Heartbeat& heartbeat) {
  proto::PeerHeader header;
  header.cluster = options_.cluster;
  header.from = options_.self;
  header.to = to;
  header.incarnation = options_.incarnation;
  header.epoch = heartbeat.epoch;
  heartbeat_frame_.begin(header, sections_for(to));
  const bool added =
      heartbeat_frame_.add(proto::HeartbeatItem{.sequence = ++heartbeat_sequence_,
                                                .sent_at = contexts_[0].clock.now(),
                                                .healthy_shards = heartbeat.healthy_shards});
  BOP_ASSERT(added);
  // Dropped when the channel is down: any heartbeat may be lost.
  (void)transport_.send(to, port::Channel::control, heartbeat_frame_.finish());
  delivered_bytes_[to] = transport_.delivered_bytes(to, port::Channel::bulk);
}

// One kind a heartbeat, since their size is bounded together.
std::vector<uint8_t> Node::sections_for(NodeId peer) {
  if (report_due_.erase(peer) > 0) return report();
  if (addresses_due_.erase(peer) > 0) return addresses_for(peer);
  return {};
}

// So that two nodes that moved find each other. What does not fit comes with the next.
std::vector<uint8_t> Node::addresses_for(NodeId peer) {
  std::vector<proto::NodeAddress> known =
      view_.addresses([this, peer](NodeId node) { return node != peer && alive(node); });
  std::vector<uint8_t> out;
  if (known.empty()) return out;
  size_t& next = next_address_[peer];
  std::ranges::rotate(known, known.begin() + static_cast<ptrdiff_t>(next % known.size()));
  next = (next + proto::encode(known, out)) % known.size();
  return out;
}

uint64_t Node::delivered_bytes(NodeId peer) const { return delivered_bytes_.at(peer); }

void Node::node_lost(NodeId node) {
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index)
    contexts_[shard_index].post.post(
        [this, shard_index, node] { shards_[shard_index]->node_lost(node); });
}

void Node::node_alive(NodeId node) {
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index)
    contexts_[shard_index].post.post(
        [this, shard_index, node] { shards_[shard_index]->node_alive(node); });
}

// ---- conditions and reports ----

// Asks every shard for a report. The reports count from the next check on: none is waited for, so that a shard
// whose thread does not run delays nothing.
void Node::check_conditions() {
  const Instant now = contexts_[0].clock.now();
  const size_t most_groups = std::max<size_t>(1, proto::max_reported_groups / contexts_.size());
  for (uint32_t shard_index = 0; shard_index < contexts_.size(); ++shard_index) {
    contexts_[shard_index].post.post([this, shard_index, most_groups] {
      contexts_[0].post.post(
          [this, shard_index, report = shards_[shard_index]->report(most_groups)] {
            on_shard_report(shard_index, report);
          });
    });
  }
  conditions_ = watch_.check(view_, [this](NodeId node) { return alive(node); }, now);
  condition_log_.follow(conditions_);
  for (const PeerSpec& peer : options_.peers) {
    report_due_.insert(peer.id);
    addresses_due_.insert(peer.id);
  }
  condition_timer_->arm(now + check_every);
}

void Node::on_shard_report(uint32_t shard_index, const ShardReport& report) {
  watch_.on_shard_report(shard_index, report.conditions);
  view_.heard_own(report.groups, contexts_[0].clock.now());
  group_reports_[shard_index] = report.groups;
}

std::vector<uint8_t> Node::report() const {
  const Instant now = contexts_[0].clock.now();
  std::vector<uint8_t> out;
  encode(proto::NodeReport{.uptime_ms = static_cast<uint64_t>((now - started_at_) / milliseconds),
                           .conditions = bits_of(conditions_),
                           .second_process_of = watch_.second_process_of(now),
                           .version = options_.version},
         out);
  std::vector<proto::GroupReport> groups;
  for (const auto& of_shard : group_reports_)
    for (const proto::GroupReport& group : of_shard)
      if (groups.size() < proto::max_reported_groups) groups.push_back(group);
  encode(groups, out);
  return out;
}

NodeStatus Node::status_of(uint32_t shard_index) const {
  NodeStatus status = shards_[shard_index]->status();
  if (shard_index > 0) return status;
  const Instant now = contexts_[0].clock.now();
  status.uptime = now - started_at_;
  status.conditions = conditions_;
  status.nodes = view_.peers([this](NodeId node) { return alive(node); }, now);
  for (PeerStatus& peer : status.peers) {
    const auto known = std::ranges::find(status.nodes, peer.id, &KnownNode::id);
    if (known != status.nodes.end()) peer.address = known->address;
  }
  return status;
}

void Node::set_health(uint32_t shard_index, bool healthy) {
  contexts_[0].post.post([this, shard_index, healthy] {
    const uint64_t bit = uint64_t{1} << shard_index;
    healthy_shards_ = healthy ? healthy_shards_ | bit : healthy_shards_ & ~bit;
    if (liveness_) liveness_->set_healthy_shards(healthy_shards_);
  });
}

}  // namespace bop::node

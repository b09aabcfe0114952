#include "random_cluster.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "base/random.h"
#include "raft/change.h"
#include "raft/configuration.h"
#include "tools/cluster.h"

namespace bop::raft::test {

using namespace model;

namespace {

constexpr Duration fault_time = 12 * seconds;
constexpr Duration calm_time = 30 * seconds;

// Of those that may become members.
constexpr NodeId all_nodes = 7;

Configuration random_configuration(Random& random) {
  Configuration configuration;
  const NodeId voters = random.chance(1, 3) ? 5 : 3;
  for (NodeId id = 1; id <= voters; ++id) configuration.voters.push_back(id);
  if (random.chance(1, 4)) configuration.learners.push_back(voters + 1);
  return configuration;
}

// Small limits, so that each of them is reached.
Config random_config(Random& random) {
  Config config;
  config.election_timeout = 200 * milliseconds;
  config.heartbeat_interval = 30 * milliseconds;
  config.max_append_entries = 1 + random.below(20);
  config.max_append_bytes = 200 + random.below(2000);
  config.max_inflight_bytes = config.max_append_bytes * (1 + random.below(8));
  config.max_inflight_appends = 1 + random.below(8);
  config.max_uncommitted_bytes = 2000 + random.below(20000);
  config.cache_bytes = random.below(4000);
  config.max_pending_reads = 16;
  config.quiesce = random.chance(2, 3);
  config.handover_interval = (1 + static_cast<Duration>(random.below(2000))) * milliseconds;
  return config;
}

class RandomCluster {
 public:
  explicit RandomCluster(uint64_t seed)
      : random_(seed),
        configuration_(random_configuration(random_)),
        changes_members_(random_.chance(1, 2)),
        cluster_(configuration_, random_config(random_), seed, others()) {
    loss_ = random_.below(10);
    repeat_ = random_.below(5);
    delay_ = 1 + random_.below(20);
    disk_delay_ = 1 + random_.below(30);
    compacts_ = random_.chance(1, 2);
    switch (weather_ = static_cast<Weather>(random_.below(3))) {
      case Weather::fair: fault_every_ = (20 + time_below(1500)) * milliseconds; break;
      case Weather::storm:
        fault_every_ = (20 + time_below(60)) * milliseconds;
        disk_delay_ *= 3;
        break;
      case Weather::contest:
        fault_every_ = (40 + time_below(200)) * milliseconds;
        delay_ = 30 + random_.below(100);
        disk_delay_ = 30 + random_.below(100);
        break;
    }
  }

  RandomRun run() {
    for (auto& [id, node] : cluster_.nodes()) start(id);
    after(0, [this] { work(); });
    after(fault_every_, [this] { fault(); });
    if (changes_members_) after(random_time(1000), [this] { change_members(); });
    run_until(fault_time, [] { return false; });
    heal_all();
    if (!run_until(fault_time + calm_time, [this] { return agreed(); }))
      throw Violation("all faults are healed, but the replicas do not agree in time" + nodes());
    cluster_.check_all();
    result_.trace = cluster_.trace();
    result_.changes = cluster_.changes();
    result_.committed = cluster_.checker().highest_commit();
    result_.terms = cluster_.checker().highest_term();
    return result_;
  }

 private:
  using Action = std::function<void()>;

  std::vector<NodeId> others() const {
    std::vector<NodeId> out;
    const std::vector<NodeId> members = members_of(configuration_);
    for (NodeId id = 1; changes_members_ && id <= all_nodes; ++id)
      if (!std::ranges::binary_search(members, id)) out.push_back(id);
    return out;
  }

  // fair: the cluster makes progress between faults. storm: one election after another, entries partly
  // written. contest: several candidates in most elections, and votes lost in crashes.
  enum class Weather { fair, storm, contest };

  void after(Duration delay, Action action) {
    agenda_.emplace(std::pair(now_ + delay, ++order_), std::move(action));
  }
  Duration random_time(uint64_t up_to_milliseconds) {
    return static_cast<Duration>(random_.below(up_to_milliseconds * 1000 + 1)) * microseconds;
  }

  Duration time_below(uint64_t bound) { return static_cast<Duration>(random_.below(bound)); }
  bool fair() const { return weather_ == Weather::fair; }

  template <class Done>
  bool run_until(Instant end, Done done) {
    while (!agenda_.empty() && agenda_.begin()->first.first <= end) {
      auto next = agenda_.extract(agenda_.begin());
      now_ = next.key().first;
      next.mapped()();
      if (done()) return true;
    }
    now_ = end;
    return done();
  }

  // ---- nodes ----

  void start(NodeId id) {
    cluster_.node(id).now = now_;
    cluster_.start(id);
    after_step(id);
  }

  // Events within one millisecond share a step.
  void touch(NodeId id) {
    if (!touched_.insert(id).second) return;
    after(static_cast<Duration>(random_.below(1000)) * microseconds, [this, id] {
      touched_.erase(id);
      step(id);
    });
  }

  void step(NodeId id) {
    Node& node = cluster_.node(id);
    if (!node.up()) return;
    node.now = now_;
    cluster_.step(id);
    if (++result_.steps % 64 == 0) cluster_.check_all();
    after_step(id);
  }

  void after_step(NodeId id) {
    Node& node = cluster_.node(id);
    const uint64_t life = node.lives;
    send_flights();
    while (scheduled_writes_[id] < node.writes.size()) {
      ++scheduled_writes_[id];
      // Writes complete in order.
      disk_free_[id] = std::max(disk_free_[id], now_) + random_time(disk_delay_);
      after(disk_free_[id] - now_, [this, id, life] { complete_write(id, life); });
    }
    if (!node.loads.empty()) {
      after(random_time(5), [this, id, life] {
        if (!alive(id, life)) return;
        cluster_.load(id);
        touch(id);
      });
    }
    if (random_.chance(1, 8)) node.disk.machine = durable_at_machine(node);
    if (compacts_) use_snapshots(id);
    result_.reads += node.reads.size();
    node.reads.clear();
    node.records.clear();
    node.refused.clear();
    node.proposed.clear();
    if (node.deadline == never || node.deadline == armed_[id]) return;
    armed_[id] = node.deadline;
    const Instant deadline = node.deadline;
    after(std::max<Duration>(0, deadline - now_), [this, id, life, deadline] {
      if (armed_[id] == deadline) armed_[id] = never;
      if (alive(id, life) && cluster_.node(id).deadline <= now_) step(id);
    });
  }

  Index durable_at_machine(const Node& node) {
    const Index most = std::min(node.applied, node.core->durable());
    return std::max(node.disk.machine,
                    node.disk.machine + random_.below(most - node.disk.machine + 1));
  }

  // Logs are compacted whatever the others lack. Snapshots are taken when a peer needs one, and now and then; an install
  // may take so long that the replica is past it at the end.
  void use_snapshots(NodeId id) {
    Node& node = cluster_.node(id);
    if (random_.chance(1, 30) && node.disk.machine > node.disk.before_first.index) {
      cluster_.compact(id, node.disk.before_first.index + 1 +
                               random_.below(node.disk.machine - node.disk.before_first.index));
      touch(id);
    }
    if (node.snapshot_wanted != 0 || random_.chance(1, 200)) {
      once(taking_, id, random_time(50), [this, id] { cluster_.take_snapshot(id); });
    }
    if (node.offer) {
      const Duration time = random_.chance(1, 5) ? random_time(4000) : random_time(300);
      once(installing_, id, time, [this, id, offer = *node.offer] {
        ++result_.installs;
        cluster_.install(id, offer);
      });
      node.offer.reset();
    }
  }

  // Does it after that time, in this life of the node, unless it is already going to.
  void once(std::map<NodeId, uint64_t>& going_to, NodeId id, Duration delay, Action action) {
    const uint64_t life = cluster_.node(id).lives;
    if (std::exchange(going_to[id], life) == life) return;
    after(delay, [this, &going_to, id, life, action = std::move(action)] {
      if (!alive(id, life)) return;
      going_to[id] = 0;
      action();
      touch(id);
    });
  }

  bool alive(NodeId id, uint64_t life) {
    return cluster_.node(id).up() && cluster_.node(id).lives == life;
  }

  void complete_write(NodeId id, uint64_t life) {
    if (!alive(id, life)) return;
    cluster_.persist(id);
    --scheduled_writes_[id];
    touch(id);
  }

  // ---- network ----

  void send_flights() {
    while (!cluster_.flights().empty()) {
      Flight flight = std::move(cluster_.flights().front());
      cluster_.flights().pop_front();
      if (is_cut(flight) || (!calm_ && random_.chance(loss_, 100))) continue;
      if (!calm_ && random_.chance(repeat_, 100)) fly(flight);
      fly(std::move(flight));
    }
  }

  void fly(Flight flight) {
    const Duration delay = random_.chance(1, 50) ? random_time(40 * delay_) : random_time(delay_);
    after(delay, [this, flight = std::move(flight)] {
      if (is_cut(flight)) return;
      cluster_.deliver(flight);
      touch(flight.message.to);
    });
  }

  bool is_cut(const Flight& flight) const {
    return cut_.contains({flight.message.from, flight.message.to});
  }

  // ---- work ----

  void work() {
    if (now_ > fault_time) return;
    const NodeId id = random_node();
    if (cluster_.node(id).up()) {
      const uint64_t count = 1 + random_.below(5);
      for (uint64_t i = 0; i < count; ++i) {
        const uint64_t token = ++token_;
        if (random_.chance(1, 3))
          cluster_.read(id, token);
        else
          cluster_.propose(id, token, std::string(random_.below(60), 'x') + std::to_string(token));
      }
      touch(id);
    }
    // Sometimes long enough for the group to quiesce.
    after(random_.chance(1, 60) ? random_time(2000) : random_time(25), [this] { work(); });
  }

  // Whoever leads is asked for a change that a configuration allows; sometimes for one that it does not.
  void change_members() {
    if (now_ > fault_time) return;
    for (auto& [id, node] : cluster_.nodes()) {
      if (!node.up() || node.core->role() != Role::leader) continue;
      const auto to =
          changed(node.core->configuration(), random_changes(node.core->configuration()));
      if (!to) continue;
      cluster_.propose(id, ++token_, *to);
      touch(id);
    }
    after(random_time(random_.chance(1, 4) ? 30 : 800), [this] { change_members(); });
  }

  std::vector<Change> random_changes(const Configuration& from) {
    using Kind = Change::Kind;
    if (from.joint()) return {{random_.chance(1, 2) ? Kind::leave : Kind::cancel, 0}};
    std::vector<Change> out;
    for (uint64_t left = random_.chance(1, 2) ? 1 : 1 + random_.below(4); left > 0; --left) {
      constexpr Kind kinds[] = {Kind::add_voter, Kind::add_voter, Kind::add_learner, Kind::remove};
      out.push_back({kinds[random_.below(4)], 1 + random_.below(all_nodes)});
    }
    if (random_.chance(1, 4)) out.push_back({Kind::joint, 0});
    return out;
  }

  NodeId random_node() { return 1 + random_.below(cluster_.nodes().size()); }

  // ---- faults ----

  void fault() {
    if (now_ > fault_time) return;
    const NodeId id = random_node();
    switch (weather_ == Weather::contest ? 6 * random_.below(2) : random_.below(10)) {
      case 0:
      case 1: crash(id); break;
      case 2: isolate(id, random_.chance(1, 2)); break;
      case 3: split(); break;
      case 4: sicken(id); break;
      case 5: tell(id, Resign{}); break;
      case 6: suspect_leader(id); break;
      case 7: fill(id); break;
      case 8: hinder(id); break;
      case 9: tell(id, Transfer{random_.chance(1, 3) ? 0 : random_node(), random_time(500)}); break;
    }
    after(random_time(static_cast<uint64_t>(fault_every_ / milliseconds) * 2), [this] { fault(); });
  }

  // One or all of the others wrongly consider the leader's node lost.
  void suspect_leader(NodeId id) {
    const bool all = weather_ == Weather::contest || random_.chance(1, 2);
    for (auto& [other, node] : cluster_.nodes())
      if (node.up() && (all || other == id)) lose(other, node.core->leader());
  }

  // Liveness considers `other` lost, rightly or not, and hears it again once it can.
  void lose(NodeId id, NodeId other) {
    if (id == other || other == 0) return;
    tell(id, NodeLost{other});
    hear_again(id, other);
  }
  void hear_again(NodeId id, NodeId other) {
    after(1 * milliseconds + random_time(400), [this, id, other] {
      if (cluster_.node(other).up() && !cut_.contains({other, id}))
        tell(id, NodeAlive{other});
      else
        hear_again(id, other);
    });
  }

  void tell(NodeId id, Event event) {
    if (!cluster_.node(id).up()) return;
    cluster_.tell(id, std::move(event));
    touch(id);
  }

  void crash(NodeId id) {
    Node& node = cluster_.node(id);
    if (!node.up()) return;
    ++result_.crashes;
    cluster_.crash(id, random_.below(node.writes.size() + 1));
    scheduled_writes_[id] = 0;
    disk_free_[id] = 0;
    armed_[id] = never;
    notice_loss(id);
    after(random_time(fair() ? 1500 : 50), [this, id] {
      if (!cluster_.node(id).up()) start(id);
    });
  }

  // Liveness reports it after its own timeout.
  void notice_loss(NodeId lost) {
    after(random_time(400), [this, lost] {
      for (auto& [id, node] : cluster_.nodes())
        if (id != lost) lose(id, lost);
    });
  }

  void isolate(NodeId id, bool both_ways) {
    for (auto& [other, node] : cluster_.nodes()) {
      cut_.insert({id, other});
      if (both_ways) cut_.insert({other, id});
    }
    mend_later();
    lose_sight();
  }

  void split() {
    const uint64_t sides = random_.next();
    for (auto& [a, node] : cluster_.nodes())
      for (auto& [b, other] : cluster_.nodes())
        if ((sides >> a & 1) != (sides >> b & 1)) cut_.insert({a, b});
    mend_later();
    lose_sight();
  }

  void mend_later() {
    after(random_time(fair() ? 3000 : 100), [this] { cut_.clear(); });
  }

  void lose_sight() {
    after(random_time(400), [this] {
      for (const auto& [from, to] : std::set(cut_)) lose(to, from);
    });
  }

  void sicken(NodeId id) {
    tell(id, Health{false});
    after(random_time(1000), [this, id] { tell(id, Health{true}); });
  }

  void hinder(NodeId id) {
    tell(id, Hindered{Cause::machine_held_up});
    after(random_time(1500), [this, id] { tell(id, Hindered{}); });
  }

  void fill(NodeId id) {
    cluster_.node(id).log_capacity =
        random_.chance(1, 2) ? LogCapacity::log_full : LogCapacity::disk_full;
    after(random_time(fair() ? 1500 : 50),
          [this, id] { cluster_.node(id).log_capacity = LogCapacity::available; });
  }

  void heal_all() {
    calm_ = true;
    cut_.clear();
    for (auto& [id, node] : cluster_.nodes()) {
      if (!node.up()) start(id);
      node.log_capacity = LogCapacity::available;
      tell(id, Health{true});
      tell(id, Hindered{});
      // A restored connection counts as lost and alive again: a group that quiesced while it was
      // partitioned learns nothing else.
      for (auto& [other, unused] : cluster_.nodes())
        if (other != id) lose(id, other);
    }
    after(5 * seconds, [this] { last_proposal(); });
    if (changes_members_) after(5 * seconds, [this] { leave_joint(); });
  }

  // Those that were asked for do not leave by themselves.
  void leave_joint() {
    for (auto& [id, node] : cluster_.nodes()) {
      if (node.core->role() != Role::leader || !node.core->configuration().joint()) continue;
      const Change leave{Change::Kind::leave, 0};
      cluster_.propose(id, ++token_, *changed(node.core->configuration(), {&leave, 1}));
      touch(id);
    }
    after(1 * seconds, [this] { leave_joint(); });
  }

  // Sent to the current leader; tried again until there is one.
  void last_proposal() {
    for (auto& [id, node] : cluster_.nodes()) {
      if (!node.up() || node.core->role() != Role::leader) continue;
      cluster_.propose(id, ++token_, "last");
      touch(id);
      last_from_ = cluster_.checker().highest_commit() + 1;
      return;
    }
    after(1 * seconds, [this] { last_proposal(); });
  }

  bool agreed() {
    if (last_from_ == 0 || cluster_.checker().highest_commit() < last_from_) return false;
    // A former member is sent nothing any more.
    const Configuration* const members = leaders_configuration();
    if (members == nullptr || members->joint()) return false;
    for (const NodeId id : members_of(*members))
      if (cluster_.node(id).core->commit() != cluster_.checker().highest_commit()) return false;
    return true;
  }

  std::string nodes() {
    std::string out;
    for (auto& [id, node] : cluster_.nodes()) {
      const Core& core = *node.core;
      out += "\nnode " + std::to_string(id) + ": " + name_of(core.role()) + " of term " +
             std::to_string(core.term()) + ", leader " + std::to_string(core.leader()) +
             ", commit " + std::to_string(core.commit()) + ", last " + std::to_string(core.last()) +
             ", " + describe(core.configuration()) + " (entry " +
             std::to_string(core.configuration_index()) + ")";
    }
    return out;
  }

  const Configuration* leaders_configuration() {
    const Node* leader = nullptr;
    for (auto& [id, node] : cluster_.nodes())
      if (node.core->role() == Role::leader &&
          (leader == nullptr || node.core->term() > leader->core->term()))
        leader = &node;
    return leader != nullptr ? &leader->core->configuration() : nullptr;
  }

  Random random_;
  const Configuration configuration_;
  const bool changes_members_;
  Cluster cluster_;
  uint64_t loss_, repeat_, delay_, disk_delay_;
  Duration fault_every_;

  Instant now_ = 0;
  uint64_t order_ = 0;
  std::map<std::pair<Instant, uint64_t>, Action> agenda_;
  std::set<NodeId> touched_;
  std::map<NodeId, size_t> scheduled_writes_;
  std::map<NodeId, Instant> disk_free_;
  std::map<NodeId, Instant> armed_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  uint64_t token_ = 0;
  Weather weather_ = Weather::fair;
  bool compacts_ = false;
  std::map<NodeId, uint64_t> taking_, installing_;  // the node's life in which it does
  bool calm_ = false;
  Index last_from_ = 0;
  RandomRun result_;
};

}  // namespace

RandomRun run_random_cluster(uint64_t seed) { return RandomCluster(seed).run(); }

}  // namespace bop::raft::test

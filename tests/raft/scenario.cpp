#include "scenario.h"

#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <sstream>

#include "raft/change.h"
#include "raft/configuration.h"
#include "tools/cluster.h"

namespace bop::raft::test {

using namespace model;

namespace {

using Words = std::vector<std::string>;

uint64_t number(const std::string& text) {
  size_t end = 0;
  uint64_t value = 0;
  try {
    value = std::stoull(text, &end);
  } catch (const std::exception&) {
    throw Violation("not a number: " + text);
  }
  if (end != text.size()) throw Violation("not a number: " + text);
  return value;
}

bool yes(const std::string& text) {
  if (text != "yes" && text != "no") throw Violation("expected yes or no, got " + text);
  return text == "yes";
}

const std::string& word(const Words& words, size_t i) {
  if (i >= words.size()) throw Violation("an argument is missing");
  return words[i];
}

std::string text_from(const Words& words, size_t first) {
  std::string text;
  for (size_t i = first; i < words.size(); ++i) text += (i > first ? " " : "") + words[i];
  return text;
}

uint64_t field_of(const Message& m, const std::string& name, size_t entries) {
  if (name == "term") return m.term;
  if (name == "log_term") return m.log_term;
  if (name == "index") return m.index;
  if (name == "commit") return m.commit;
  if (name == "compact") return m.compact;
  if (name == "match") return m.match;
  if (name == "round") return m.round;
  if (name == "ok") return m.ok;
  if (name == "quiesce") return m.quiesce;
  if (name == "log_capacity") return static_cast<uint64_t>(m.log_capacity);
  if (name == "hindered") return m.hindered;
  if (name == "snapshot") return m.snapshot.high;
  if (name == "entries") return entries;
  throw Violation("no such field: " + name);
}

void set_field(Message& m, const std::string& name, uint64_t value) {
  if (name == "term")
    m.term = value;
  else if (name == "log_term")
    m.log_term = value;
  else if (name == "index")
    m.index = value;
  else if (name == "commit")
    m.commit = value;
  else if (name == "compact")
    m.compact = value;
  else if (name == "match")
    m.match = value;
  else if (name == "round")
    m.round = value;
  else if (name == "ok")
    m.ok = value != 0;
  else if (name == "quiesce")
    m.quiesce = value != 0;
  else if (name == "hindered")
    m.hindered = value != 0;
  else if (name == "snapshot")
    m.snapshot = {m.log_term, value};
  else
    throw Violation("no such field: " + name);
}

LogCapacity capacity_named(const std::string& name) {
  if (name == "available") return LogCapacity::available;
  if (name == "log_full") return LogCapacity::log_full;
  if (name == "disk_full") return LogCapacity::disk_full;
  throw Violation("no such capacity: " + name);
}

Cause cause_named(const std::string& name) {
  for (size_t i = 0; i < cause_count; ++i)
    if (name == name_of(static_cast<Cause>(i))) return static_cast<Cause>(i);
  throw Violation("no such cause: " + name);
}

MessageKind kind_named(const std::string& name) {
  for (int kind = 1; kind <= 10; ++kind)
    if (name == name_of(static_cast<MessageKind>(kind))) return static_cast<MessageKind>(kind);
  throw Violation("no such kind of message: " + name);
}

class Scenario {
 public:
  void execute(const Words& words) {
    const auto command = commands_.find(words[0]);
    if (command == commands_.end()) throw Violation("no such command: " + words[0]);
    command->second(words);
  }

 private:
  // ---- before the start ----

  void add_nodes(const Words& w) {
    for (NodeId id = 1; id <= number(word(w, 1)); ++id) configuration_.voters.push_back(id);
  }
  void add_learners(const Words& w) {
    for (size_t i = 1; i < w.size(); ++i) configuration_.learners.push_back(number(w[i]));
  }

  void add_others(const Words& w) {
    for (size_t i = 1; i < w.size(); ++i) others_.push_back(number(w[i]));
  }

  void set(const Words& w) {
    const std::string& name = word(w, 1);
    const uint64_t value = number(word(w, 2));
    if (name == "election_timeout")
      config_.election_timeout = Duration(value) * milliseconds;
    else if (name == "heartbeat_interval")
      config_.heartbeat_interval = Duration(value) * milliseconds;
    else if (name == "max_append_bytes")
      config_.max_append_bytes = value;
    else if (name == "max_queued_bytes")
      config_.max_queued_bytes = value;
    else if (name == "max_append_entries")
      config_.max_append_entries = value;
    else if (name == "max_inflight_bytes")
      config_.max_inflight_bytes = value;
    else if (name == "max_inflight_appends")
      config_.max_inflight_appends = value;
    else if (name == "max_uncommitted_bytes")
      config_.max_uncommitted_bytes = value;
    else if (name == "max_pending_reads")
      config_.max_pending_reads = value;
    else if (name == "cache_bytes")
      config_.cache_bytes = value;
    else if (name == "quiesce")
      config_.quiesce = value != 0;
    else if (name == "handover_interval")
      config_.handover_interval = Duration(value) * milliseconds;
    else
      throw Violation("no such setting: " + name);
  }

  void give_log(const Words& w) {
    Disk& disk = disks_[number(word(w, 1))];
    for (size_t i = 2; i < w.size(); ++i) {
      Entry entry;
      entry.term = number(w[i]);
      entry.index = disk.last() + 1;
      entry.kind = EntryKind::command;
      // Equal term and index give equal entries, as if one leader had made them.
      entry.payload = mem::Buffer::copy(as_bytes(w[i] + "." + std::to_string(entry.index)));
      disk.entries.push_back(entry);
    }
    if (!disk.entries.empty()) disk.hard = {disk.entries.back().term, 0};
  }
  void give_hard(const Words& w) {
    disks_[number(word(w, 1))].hard = {number(word(w, 2)), w.size() > 3 ? number(w[3]) : 0};
  }
  void give_machine(const Words& w) { disks_[number(word(w, 1))].machine = number(word(w, 2)); }

  void start(const Words&) {
    cluster_ = std::make_unique<Cluster>(configuration_, config_, 7, others_);
    for (auto& [id, disk] : disks_) cluster_->node(id).disk = disk;
    for (auto& [id, node] : cluster_->nodes()) {
      cluster_->start(id);
      complete_writes(id);
    }
  }

  Cluster& cluster() {
    if (cluster_ == nullptr) throw Violation("not started");
    return *cluster_;
  }
  NodeId id_of(const Words& w, size_t i) {
    const NodeId id = number(word(w, i));
    if (!cluster().nodes().contains(id)) throw Violation("no such node: " + w[i]);
    return id;
  }
  Node& node_of(const Words& w, size_t i) { return cluster().node(id_of(w, i)); }
  Core& core_of(const Words& w, size_t i) {
    Node& node = node_of(w, i);
    if (!node.up()) throw Violation("node " + w[i] + " is down");
    return *node.core;
  }

  // ---- steps ----

  void step(NodeId id) {
    cluster().step(id);
    complete_writes(id);
  }

  // Completes the writes and loads that the step requested, unless they are held.
  void complete_writes(NodeId id) {
    Node& node = cluster().node(id);
    drop_cut();
    while (!held_.contains(id) && !node.writes.empty()) {
      cluster().persist(id);
      step(id);
    }
    while (!held_loads_.contains(id) && !node.loads.empty()) {
      cluster().load(id);
      step(id);
    }
    cluster().check_all();
  }

  void timeout(const Words& w) {
    Node& node = node_of(w, 1);
    if (node.deadline == never) throw Violation("node " + w[1] + " has no deadline");
    node.now = std::max(node.now, node.deadline);
    step(node.id);
  }

  void advance(NodeId id, Duration time) {
    Node& node = cluster().node(id);
    const Instant end = node.now + time;
    while (node.up() && node.deadline <= end) {
      node.now = std::max(node.now, node.deadline);
      step(id);
    }
    node.now = end;
  }
  void tick(const Words& w) {
    advance(id_of(w, 1), static_cast<Duration>(number(word(w, 2))) * milliseconds);
  }
  void live(const Words& w) {
    for (uint64_t i = 0; i < number(word(w, 1)); ++i) {
      now_ += 1 * milliseconds;
      for (auto& [id, node] : cluster().nodes()) advance(id, 1 * milliseconds);
      if (latency_ == 0)
        run({});
      else
        deliver_due();
    }
  }
  void set_latency(const Words& w) {
    latency_ = static_cast<Duration>(number(word(w, 1))) * milliseconds;
  }

  void deliver_due() {
    std::deque<Flight> flights;
    flights.swap(cluster().flights());
    for (Flight& flight : flights) {
      if (flight.due == never) flight.due = now_ + latency_;
      if (flight.due > now_) {
        cluster().flights().push_back(std::move(flight));
        continue;
      }
      cluster().deliver(flight);
      step(flight.message.to);
    }
  }

  // ---- network ----

  void run(const Words&) {
    for (int i = 0; !cluster().flights().empty(); ++i) {
      if (i == 100000) throw Violation("messages are still sent after 100000 deliveries");
      const Flight flight = std::move(cluster().flights().front());
      cluster().flights().pop_front();
      cluster().deliver(flight);
      step(flight.message.to);
    }
  }

  // Removes and returns all messages in flight from A to B.
  std::deque<Flight> take_flights(const Words& w, bool must_be) {
    std::deque<Flight> taken;
    std::deque<Flight> rest;
    for (Flight& flight : cluster().flights()) {
      const Message& m = flight.message;
      const bool all = w.size() > 1 && w[1] == "all";
      const bool wanted = all || (m.from == id_of(w, 1) && m.to == id_of(w, 2) &&
                                  (w.size() < 4 || m.kind == kind_named(w[3])));
      (wanted ? taken : rest).push_back(std::move(flight));
    }
    if (taken.empty() && must_be) throw Violation("nothing of that is in flight");
    cluster().flights() = std::move(rest);
    return taken;
  }

  void deliver_each(const std::deque<Flight>& flights) {
    for (const Flight& flight : flights) {
      cluster().deliver(flight);
      step(flight.message.to);
    }
  }
  void deliver(const Words& w) { deliver_each(take_flights(w, true)); }
  void deliver_one(const Words& w) {
    std::deque<Flight> flights = take_flights(w, true);
    deliver_each({flights.front()});
    flights.pop_front();
    cluster().flights().insert(cluster().flights().begin(), flights.begin(), flights.end());
  }
  void drop(const Words& w) { take_flights(w, word(w, 1) != "all"); }
  void together(const Words& w) {
    for (const Flight& flight : take_flights(w, true)) cluster().deliver(flight);
    step(id_of(w, 2));
  }
  void last_first(const Words& w) {
    std::deque<Flight> flights = take_flights(w, true);
    std::reverse(flights.begin(), flights.end());
    deliver_each(flights);
  }
  void repeat(const Words& w) {
    const std::deque<Flight> flights = take_flights(w, true);
    deliver_each(flights);
    for (const Flight& flight : flights) cluster().flights().push_back(flight);
  }

  void cut_link(NodeId a, NodeId b) {
    cut_.insert({a, b});
    cut_.insert({b, a});
    drop_cut();
  }
  void drop_cut() {
    std::erase_if(cluster().flights(), [this](const Flight& flight) {
      const std::pair link(flight.message.from, flight.message.to);
      return cut_.contains(link) || (cut_entries_.contains(link) && !flight.entries.empty());
    });
  }
  void cut_entries(const Words& w) {
    cut_entries_.insert({id_of(w, 1), id_of(w, 2)});
    drop_cut();
  }
  void cut(const Words& w) { cut_link(id_of(w, 1), id_of(w, 2)); }
  void isolate(const Words& w) {
    for (auto& [id, node] : cluster().nodes()) cut_link(id_of(w, 1), id);
  }
  void mend(const Words&) {
    cut_.clear();
    cut_entries_.clear();
  }

  void forge(const Words& w) {
    Flight flight;
    Message& m = flight.message;
    m.kind = kind_named(word(w, 1));
    m.from = number(word(w, 2));
    m.to = id_of(w, 3);
    size_t i = 4;
    for (; i < w.size() && w[i] != "entries"; i += 2) set_field(m, w[i], number(word(w, i + 1)));
    for (++i; i < w.size(); ++i) {
      const size_t colon = w[i].find(':');
      Entry entry;
      entry.term = number(w[i].substr(0, colon));
      entry.index = number(w[i].substr(colon + 1));
      entry.kind = EntryKind::command;
      flight.entries.push_back(entry);
    }
    cluster().deliver(flight);
    step(m.to);
  }

  // ---- disks ----

  void hold(const Words& w) { held_.insert(number(word(w, 1))); }
  void persist(const Words& w) {
    const uint64_t count = w.size() > 2 ? number(w[2]) : 1;
    for (uint64_t i = 0; i < count; ++i) {
      cluster().persist(id_of(w, 1));
      step(id_of(w, 1));
    }
  }
  void release(const Words& w) {
    held_.erase(id_of(w, 1));
    complete_writes(id_of(w, 1));
  }
  void capacity(const Words& w) { node_of(w, 1).log_capacity = capacity_named(word(w, 2)); }
  void hold_loads(const Words& w) { held_loads_.insert(number(word(w, 1))); }
  void load(const Words& w) {
    if (node_of(w, 1).loads.empty()) throw Violation("no load was requested");
    cluster().load(id_of(w, 1));
    step(id_of(w, 1));
  }

  // ---- events ----

  void propose(const Words& w) {
    const std::string text = text_from(w, 3);
    cluster().propose(id_of(w, 1), number(word(w, 2)), text);
    step(id_of(w, 1));
  }
  void transfer(const Words& w) {
    const Duration within = static_cast<Duration>(number(word(w, 3))) * milliseconds;
    tell(id_of(w, 1), Transfer{number(word(w, 2)), within});
  }
  void change(const Words& w) {
    std::vector<Change> changes;
    for (size_t i = 3; i < w.size(); ++i) {
      const std::optional<Change::Kind> kind = change_named(w[i]);
      if (!kind) throw Violation("no such change: " + w[i]);
      changes.push_back({*kind, names_a_node(*kind) ? number(word(w, ++i)) : 0});
    }
    const Result<Configuration> to = changed(core_of(w, 1).configuration(), changes);
    if (!to) throw Violation(to.error().to_string());
    cluster().propose(id_of(w, 1), number(word(w, 2)), *to);
    step(id_of(w, 1));
  }
  void configure(const Words& w) {
    Configuration configuration;
    for (size_t i = 3; i < w.size(); ++i) configuration.voters.push_back(number(w[i]));
    cluster().propose(id_of(w, 1), number(word(w, 2)), configuration);
    step(id_of(w, 1));
  }
  void read(const Words& w) {
    cluster().read(id_of(w, 1), number(word(w, 2)));
    step(id_of(w, 1));
  }
  void tell(NodeId id, Event event) {
    cluster().tell(id, std::move(event));
    step(id);
  }
  void lost(const Words& w) { tell(id_of(w, 1), NodeLost{number(word(w, 2))}); }
  void alive(const Words& w) { tell(id_of(w, 1), NodeAlive{number(word(w, 2))}); }
  void forward_failed(const Words& w) { tell(id_of(w, 1), ForwardFailed{number(word(w, 2))}); }
  void forward_denied(const Words& w) {
    tell(id_of(w, 1), ForwardDenied{number(word(w, 2)), number(word(w, 3))});
  }
  void delivered(const Words& w) { tell(id_of(w, 1), Delivered{id_of(w, 2), number(word(w, 3))}); }
  void health(const Words& w) { tell(id_of(w, 1), Health{yes(word(w, 2))}); }
  void resign(const Words& w) { tell(id_of(w, 1), Resign{}); }
  void hinder(const Words& w) { tell(id_of(w, 1), Hindered{cause_named(word(w, 2))}); }
  void snapshot(const Words& w) {
    cluster().take_snapshot(id_of(w, 1));
    step(id_of(w, 1));
  }
  void compact(const Words& w) {
    Node& node = node_of(w, 1);
    node.disk.machine = std::max(node.disk.machine, std::min(node.applied, node.core->durable()));
    cluster().compact(node.id, number(word(w, 2)));
    step(node.id);
  }
  void install(const Words& w) {
    Node& node = node_of(w, 1);
    if (!node.offer) throw Violation("no snapshot was offered");
    installed_[node.id] = *std::exchange(node.offer, std::nullopt);
    install_again(w);
  }
  void install_again(const Words& w) {
    cluster().install(id_of(w, 1), installed_.at(id_of(w, 1)));
    step(id_of(w, 1));
  }
  void crash(const Words& w) {
    core_of(w, 1);
    cluster().crash(id_of(w, 1), w.size() > 2 ? number(w[2]) : 0);
  }
  void restart(const Words& w) {
    if (node_of(w, 1).up()) throw Violation("node " + w[1] + " is up");
    cluster().start(id_of(w, 1));
    complete_writes(id_of(w, 1));
  }

  // ---- expectations ----

  void expect(const Words& w) {
    if (word(w, 1) == "sent") return expect_sent(w);
    if (w[1] == "nothing") return expect_nothing(w);
    Core& core = core_of(w, 1);
    const std::string& what = word(w, 2);
    if (w.size() == 3) return expect_same("role", name_of(core.role()), what);
    if (what == "members")
      return expect_same("members", bop::raft::describe(core.configuration()), text_from(w, 3));
    if (what == "terms") return expect_terms(core, w);
    if (what == "tells") return expect_record(w);
    if (what == "tells_times") return expect_records(w);
    if (what == "proposal" || what == "read") return expect_outcome(w);
    if (what == "quiesced") return expect_same("quiesced", core.quiesced(), yes(w[3]));
    if (what == "hands_over") return expect_same("hands_over", core.hands_over(), yes(w[3]));
    if (what == "deadline")
      return expect_same("deadline", node_of(w, 1).deadline != never, yes(w[3]));
    expect_same(what, value_of(w, core, what), number(w[3]));
  }

  uint64_t value_of(const Words& w, const Core& core, const std::string& what) {
    if (what == "term") return core.term();
    if (what == "vote") return node_of(w, 1).disk.hard.vote;
    if (what == "leader") return core.leader();
    if (what == "commit") return core.commit();
    if (what == "first") return core.first();
    if (what == "last") return core.last();
    if (what == "durable") return core.durable();
    if (what == "cached") return core.first_cached();
    if (what == "compact") return node_of(w, 1).compact;
    if (what == "snapshot_wanted") return node_of(w, 1).snapshot_wanted;
    if (what == "offered") {
      const auto& offer = node_of(w, 1).offer;
      return offer ? offer->snapshot.at.index : 0;
    }
    throw Violation("unknown expectation: " + what);
  }

  template <class A, class B>
  void expect_same(const std::string& what, const A& is, const B& expected) {
    if (is == expected) return;
    std::ostringstream text;
    text << what << " is " << is << ", not " << expected;
    throw Violation(text.str());
  }

  void expect_terms(const Core& core, const Words& w) {
    std::string is;
    std::string expected;
    for (Index i = core.first(); i <= core.last(); ++i) is += " " + std::to_string(core.term_at(i));
    for (size_t i = 3; i < w.size(); ++i) expected += " " + w[i];
    expect_same("terms", is, expected);
  }

  void expect_record(const Words& w) {
    const std::string text = text_from(w, 3);
    std::string others;
    for (const Record& record : node_of(w, 1).records) {
      if (bop::raft::describe(record).starts_with(text)) return;
      others += "\n  " + bop::raft::describe(record);
    }
    throw Violation("there are only" + others);
  }

  void expect_records(const Words& w) {
    const std::string text = text_from(w, 4);
    uint64_t count = 0;
    for (const Record& record : node_of(w, 1).records)
      if (bop::raft::describe(record).starts_with(text)) ++count;
    expect_same("the number of such records", count, number(word(w, 3)));
  }

  std::string outcome(const Node& node, bool read, uint64_t token) {
    for (const auto& refused : node.refused)
      if (refused.token == token && refused.read == read)
        return std::string("refused ") + bop_error_name(refused.error);
    for (const auto& ready : node.reads)
      if (read && ready.token == token) return "at " + std::to_string(ready.index);
    for (const auto& proposed : node.proposed)
      if (!read && proposed.token == token) return "at " + std::to_string(proposed.id.index);
    return "open";
  }
  void expect_outcome(const Words& w) {
    std::string expected = word(w, 4);
    if (w.size() > 5) expected += (w[4] == "refused" ? " BOP_E_" : " ") + w[5];
    expect_same(w[2], outcome(node_of(w, 1), w[2] == "read", number(word(w, 3))), expected);
  }

  void expect_sent(const Words& w) {
    std::string others;
    for (const Flight& flight : cluster().flights()) {
      const Message& m = flight.message;
      if (m.from != id_of(w, 2) || m.to != id_of(w, 3)) continue;
      bool same = m.kind == kind_named(word(w, 4));
      for (size_t i = 5; i < w.size(); i += 2)
        same = same && field_of(m, w[i], flight.entries.size()) == number(word(w, i + 1));
      if (same) return;
      others += "\n  " + describe_flight(flight);
    }
    throw Violation("no such message is in flight; in flight are" +
                    (others.empty() ? " none" : others));
  }
  void expect_nothing(const Words& w) {
    for (const Flight& flight : cluster().flights()) {
      const Message& m = flight.message;
      if (m.from == id_of(w, 2) && m.to == id_of(w, 3) &&
          (w.size() < 5 || m.kind == kind_named(w[4])))
        throw Violation("in flight: " + describe_flight(flight));
    }
  }

  std::string describe_flight(const Flight& flight) {
    Message message = flight.message;
    message.entries = flight.entries;
    return describe(message);
  }

  void show(const Words&) {
    for (auto& [id, node] : cluster().nodes()) {
      std::cout << "node " << id;
      if (!node.up()) {
        std::cout << " down\n";
        continue;
      }
      const Core& core = *node.core;
      std::cout << " " << name_of(core.role()) << " term " << core.term() << " leader "
                << core.leader() << " last " << core.last() << " durable " << core.durable()
                << " commit " << core.commit() << (core.quiesced() ? " quiesced" : "") << " writes "
                << node.writes.size() << " at " << node.now / milliseconds << " ms\n";
    }
    for (const Flight& flight : cluster().flights())
      std::cout << "  " << describe_flight(flight) << "\n";
  }

  using Command = std::function<void(const Words&)>;
  Command bind(void (Scenario::*member)(const Words&)) {
    return [this, member](const Words& words) { (this->*member)(words); };
  }

  const std::map<std::string, Command> commands_ = {
      {"nodes", bind(&Scenario::add_nodes)},
      {"others", bind(&Scenario::add_others)},
      {"learners", bind(&Scenario::add_learners)},
      {"set", bind(&Scenario::set)},
      {"log", bind(&Scenario::give_log)},
      {"hard", bind(&Scenario::give_hard)},
      {"machine", bind(&Scenario::give_machine)},
      {"start", bind(&Scenario::start)},
      {"timeout", bind(&Scenario::timeout)},
      {"tick", bind(&Scenario::tick)},
      {"live", bind(&Scenario::live)},
      {"latency", bind(&Scenario::set_latency)},
      {"run", bind(&Scenario::run)},
      {"deliver", bind(&Scenario::deliver)},
      {"deliver_one", bind(&Scenario::deliver_one)},
      {"together", bind(&Scenario::together)},
      {"last_first", bind(&Scenario::last_first)},
      {"repeat", bind(&Scenario::repeat)},
      {"drop", bind(&Scenario::drop)},
      {"cut", bind(&Scenario::cut)},
      {"cut_entries", bind(&Scenario::cut_entries)},
      {"isolate", bind(&Scenario::isolate)},
      {"mend", bind(&Scenario::mend)},
      {"forge", bind(&Scenario::forge)},
      {"hold", bind(&Scenario::hold)},
      {"persist", bind(&Scenario::persist)},
      {"release", bind(&Scenario::release)},
      {"capacity", bind(&Scenario::capacity)},
      {"hold_loads", bind(&Scenario::hold_loads)},
      {"load", bind(&Scenario::load)},
      {"propose", bind(&Scenario::propose)},
      {"change", bind(&Scenario::change)},
      {"configure", bind(&Scenario::configure)},
      {"read", bind(&Scenario::read)},
      {"snapshot", bind(&Scenario::snapshot)},
      {"compact", bind(&Scenario::compact)},
      {"install", bind(&Scenario::install)},
      {"install_again", bind(&Scenario::install_again)},
      {"crash", bind(&Scenario::crash)},
      {"restart", bind(&Scenario::restart)},
      {"lost", bind(&Scenario::lost)},
      {"alive", bind(&Scenario::alive)},
      {"forward_failed", bind(&Scenario::forward_failed)},
      {"forward_denied", bind(&Scenario::forward_denied)},
      {"delivered", bind(&Scenario::delivered)},
      {"health", bind(&Scenario::health)},
      {"resign", bind(&Scenario::resign)},
      {"transfer", bind(&Scenario::transfer)},
      {"hinder", bind(&Scenario::hinder)},
      {"expect", bind(&Scenario::expect)},
      {"show", bind(&Scenario::show)},
  };

  Configuration configuration_;
  std::vector<NodeId> others_;
  Config config_;
  std::map<NodeId, Disk> disks_;
  std::unique_ptr<Cluster> cluster_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::set<std::pair<NodeId, NodeId>> cut_entries_;
  std::set<NodeId> held_;
  Instant now_ = 0;  // of `live`
  Duration latency_ = 0;
  std::set<NodeId> held_loads_;
  std::map<NodeId, Update::Offer> installed_;  // by node: the last one
};

Words split(const std::string& line) {
  std::istringstream stream(line.substr(0, line.find('#')));
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace

void run_scenario(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Violation("cannot read " + path);
  Scenario scenario;
  std::string line;
  for (int at = 1; std::getline(file, line); ++at) {
    const Words words = split(line);
    if (words.empty()) continue;
    try {
      scenario.execute(words);
    } catch (const Violation& violation) {
      throw Violation(path + ":" + std::to_string(at) + ": " + line + ": " + violation.what());
    }
  }
}

}  // namespace bop::raft::test

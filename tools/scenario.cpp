#include "tools/scenario.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/assert.h"
#include "base/random.h"
#include "raft/change.h"
#include "raft/configuration.h"
#include "tools/cluster.h"

namespace bop::tools {

namespace {

using raft::Change;
using raft::Configuration;
using raft::Role;
using raft::model::Cluster;
using raft::model::Flight;
using raft::model::Node;
using raft::model::Violation;
using Ids = std::vector<NodeId>;
using Words = std::vector<std::string>;

constexpr uint64_t longest_time_ms = 24 * 3600 * 1000;
constexpr int most_deliveries = 200000;  // of one line: more means that messages never end

Words split(std::string_view text) {
  std::istringstream stream{std::string(text)};
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string join(const Words& words, size_t first = 0) {
  std::string text;
  for (size_t i = first; i < words.size(); ++i) text += (i > first ? " " : "") + words[i];
  return text;
}

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

uint64_t number(std::string_view text) {
  const std::optional<uint64_t> value = number_of(text);
  if (!value) throw ScenarioSyntax("\"" + std::string(text) + "\" is not a number");
  return *value;
}

const std::string& word(const Words& words, size_t i) {
  if (i >= words.size()) throw ScenarioSyntax("an argument is missing");
  return words[i];
}

void expect_end(const Words& words, size_t count) {
  if (words.size() > count) throw ScenarioSyntax("\"" + words[count] + "\" is too much");
}

// "1,2,3", "(1,2,3)" or "1 2 3", as several words.
Ids ids_of(std::string text) {
  for (char& c : text)
    if (c == ',' || c == '(' || c == ')') c = ' ';
  Ids ids;
  for (const std::string& id : split(text)) {
    ids.push_back(number(id));
    if (ids.back() == 0) throw ScenarioSyntax("0 is not a node id");
  }
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  return ids;
}

std::string text_of(const Ids& ids) {
  std::string text;
  for (const NodeId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

std::string text_of(const Configuration& configuration) {
  std::string text = "voters " + text_of(configuration.voters);
  if (configuration.joint()) text += " joint " + text_of(configuration.outgoing);
  if (!configuration.learners.empty()) text += " learners " + text_of(configuration.learners);
  return text;
}

std::string name_of_error(bop_status error) {
  return std::string(bop_error_name(error)).substr(std::string("BOP_E_").size());
}

// Outputs are compared without regard to spaces, parentheses and empty lists.
std::string normalized(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += c == '(' || c == ')' ? ' ' : c;
  Words words = split(plain);
  const auto opens_list = [](const std::string& word) {
    return word == "learners" || word == "joint";
  };
  for (size_t i = 0; i < words.size();) {
    const bool empty_list =
        opens_list(words[i]) && (i + 1 == words.size() || opens_list(words[i + 1]));
    if (empty_list)
      words.erase(words.begin() + static_cast<ptrdiff_t>(i));
    else
      ++i;
  }
  return join(words);
}

bool matches(const std::string& output, std::string_view expected) {
  const std::string want = normalized(expected);
  const std::string have = normalized(output);
  if (want == have) return true;
  if (!want.starts_with(">= ")) return false;
  const auto at_least = number_of(std::string_view(want).substr(3));
  const auto value = number_of(have);
  return at_least && value && *value >= *at_least;
}

}  // namespace

struct Scenario::Impl {
  // ---- before the start ----

  void set_nodes(const Words& w) {
    if (cluster != nullptr || !nodes.empty()) throw ScenarioSyntax("nodes stands first, and once");
    nodes = ids_of(join(w, 1));
    if (nodes.empty()) throw ScenarioSyntax("an argument is missing");
  }

  void set_configuration(const Words& w) {
    if (cluster != nullptr) throw ScenarioSyntax("config stands before what the nodes do");
    Configuration out;
    Ids* list = nullptr;
    for (size_t i = 1; i < w.size(); ++i) {
      if (w[i] == "voters")
        list = &out.voters;
      else if (w[i] == "learners")
        list = &out.learners;
      else if (w[i] == "joint")
        list = &out.outgoing;
      else if (list != nullptr)
        for (const NodeId id : ids_of(w[i])) list->push_back(id);
      else
        throw ScenarioSyntax("\"" + w[i] + "\" is neither voters nor learners");
    }
    for (Ids* ids : {&out.voters, &out.learners, &out.outgoing}) std::ranges::sort(*ids);
    if (const auto valid = raft::check_configuration(out); !valid)
      throw ScenarioSyntax(valid.error().detail);
    for (const NodeId id : raft::members_of(out))
      if (!raft::includes(nodes, id))
        throw ScenarioSyntax("there is no node " + std::to_string(id));
    configuration = out;
  }

  void set_option(const Words& w) {
    if (cluster != nullptr) throw ScenarioSyntax("set stands before what the nodes do");
    const std::string& name = word(w, 1);
    const uint64_t value = number(word(w, 2));
    expect_end(w, 3);
    if (name == "election-timeout" && value > 0)
      config.election_timeout = static_cast<Duration>(value) * milliseconds;
    else if (name == "heartbeat-interval" && value > 0)
      config.heartbeat_interval = static_cast<Duration>(value) * milliseconds;
    else if (name == "quiesce")
      config.quiesce = value != 0;
    else
      throw ScenarioSyntax("there is no such setting");
    if (2 * config.heartbeat_interval > config.election_timeout)
      throw ScenarioSyntax("the election timeout is shorter than two heartbeat intervals");
  }

  Cluster& started() {
    if (cluster != nullptr) return *cluster;
    if (nodes.empty()) throw ScenarioSyntax("nodes stands first");
    if (!configuration) configuration = Configuration{.voters = nodes, .learners = {}};
    cluster = std::make_unique<Cluster>(*configuration, config, 1, nodes);
    for (const NodeId id : nodes) {
      cluster->start(id);
      complete(id);
    }
    return *cluster;
  }

  NodeId node_id(const Words& w, size_t i) {
    if (word(w, i) == "leader") {
      const NodeId leading = highest_leader();
      if (leading == 0) throw ScenarioFailure("there is no leader");
      return leading;
    }
    const NodeId id = number(word(w, i));
    if (!raft::includes(nodes, id)) throw ScenarioSyntax("there is no node " + w[i]);
    return id;
  }
  Node& node(const Words& w, size_t i) {
    const NodeId id = node_id(w, i);
    return started().node(id);
  }
  Node& up(const Words& w, size_t i) {
    Node& n = node(w, i);
    if (!n.up()) throw ScenarioSyntax("node " + w[i] + " is down");
    return n;
  }

  // ---- steps ----

  void step(NodeId id) {
    cluster->step(id);
    complete(id);
  }

  // What the step asked for, except for writes that are held.
  void complete(NodeId id) {
    drop_cut();
    Node& n = cluster->node(id);
    while (n.up()) {
      if (!n.writes.empty() && !held.contains(id))
        cluster->persist(id);
      else if (!n.loads.empty())
        cluster->load(id);
      else if (n.snapshot_wanted > n.disk.snapshot.index && n.applied >= n.snapshot_wanted)
        cluster->take_snapshot(id);
      else if (n.offer && n.offer->snapshot.at.index > n.core->commit())
        cluster->install(id, *std::exchange(n.offer, std::nullopt));
      else
        return;
      cluster->step(id);
      drop_cut();
    }
  }

  void tell(NodeId id, raft::Event event) {
    cluster->tell(id, std::move(event));
    step(id);
  }

  void advance(NodeId id, Duration time) {
    Node& n = cluster->node(id);
    const Instant end = n.now + time;
    while (n.up() && n.deadline <= end) {
      n.now = std::max(n.now, n.deadline);
      step(id);
    }
    n.now = end;
  }

  static uint64_t time_ms(const std::string& text) {
    const uint64_t value = number(text);
    if (value > longest_time_ms) throw ScenarioSyntax("more than a day");
    return value;
  }

  void tick(const Words& w) {
    expect_end(w, 3);
    Node& n = node(w, 1);
    advance(n.id, static_cast<Duration>(time_ms(word(w, 2))) * milliseconds);
  }
  void tick_all(const Words& w) {
    expect_end(w, 2);
    const uint64_t time = time_ms(word(w, 1));
    started();
    for (uint64_t i = 0; i < time; ++i)
      for (const NodeId id : nodes) advance(id, 1 * milliseconds);
  }

  // Time passes for all, and everything is delivered, until `done` or so many milliseconds are over.
  template <class Done>
  bool live_until(uint64_t time, Done done) {
    started();
    for (uint64_t i = 0;; ++i) {
      deliver_all();
      if (done()) return true;
      if (i == time) return false;
      for (const NodeId id : nodes) advance(id, 1 * milliseconds);
    }
  }
  void live(const Words& w) {
    expect_end(w, 2);
    live_until(time_ms(word(w, 1)), [] { return false; });
  }

  // ---- network ----

  bool is_cut(NodeId from, NodeId to) const { return cut.contains({from, to}); }
  void drop_cut() {
    std::erase_if(cluster->flights(), [this](const Flight& flight) {
      return is_cut(flight.message.from, flight.message.to);
    });
  }
  void cut_both(NodeId a, NodeId b) {
    cut.insert({a, b});
    cut.insert({b, a});
  }

  Flight take_next() {
    auto& flights = cluster->flights();
    const size_t at = shuffled ? order.below(flights.size()) : 0;
    Flight flight = std::move(flights[at]);
    flights.erase(flights.begin() + static_cast<ptrdiff_t>(at));
    return flight;
  }
  void deliver_one(const Flight& flight) {
    cluster->deliver(flight);
    step(flight.message.to);
  }
  void deliver_all() {
    for (int i = 0; !cluster->flights().empty(); ++i) {
      if (i == most_deliveries)
        throw ScenarioFailure("messages are still sent after " + std::to_string(i) + " deliveries");
      deliver_one(take_next());
    }
  }
  // Those in flight now.
  std::vector<Flight> take(NodeId from, NodeId to) {
    std::vector<Flight> taken;
    std::erase_if(cluster->flights(), [&](Flight& flight) {
      const bool wanted = flight.message.from == from && flight.message.to == to;
      if (wanted) taken.push_back(std::move(flight));
      return wanted;
    });
    if (shuffled)
      for (size_t i = taken.size(); i > 1; --i) std::swap(taken[i - 1], taken[order.below(i)]);
    return taken;
  }

  void deliver(const Words& w) {
    started();
    if (w.size() == 1) return deliver_all();
    expect_end(w, 3);
    for (const Flight& flight : take(node_id(w, 1), node_id(w, 2))) deliver_one(flight);
  }
  void drop(const Words& w) {
    expect_end(w, 3);
    started();
    take(node_id(w, 1), node_id(w, 2));
  }
  void partition(const Words& w) {
    started();
    std::vector<Ids> sides;
    std::istringstream stream(join(w, 1));
    for (std::string side; std::getline(stream, side, '|');) sides.push_back(ids_of(side));
    if (sides.size() < 2) throw ScenarioSyntax("the sides are separated by |");
    std::map<NodeId, size_t> side_of;  // nodes that are not named make another side
    for (size_t i = 0; i < sides.size(); ++i)
      for (const NodeId id : sides[i]) {
        if (!raft::includes(nodes, id))
          throw ScenarioSyntax("there is no node " + std::to_string(id));
        side_of[id] = i + 1;
      }
    for (const NodeId a : nodes)
      for (const NodeId b : nodes)
        if (side_of[a] != side_of[b]) cut.insert({a, b});
    drop_cut();
  }
  void isolate(const Words& w) {
    expect_end(w, 2);
    started();
    for (const NodeId id : nodes) cut_both(node_id(w, 1), id);
    drop_cut();
  }
  void heal(const Words& w) {
    expect_end(w, 1);
    started();
    cut.clear();
  }
  void shuffle(const Words& w) {
    expect_end(w, 2);
    order = Random(number(word(w, 1)));
    shuffled = true;
  }

  // ---- events ----

  std::string propose(const Words& w) {
    Node& n = up(w, 1);
    word(w, 2);
    cluster->propose(n.id, ++token, join(w, 2));
    step(n.id);
    return refusal(n, token);
  }
  std::string read(const Words& w) {
    Node& n = up(w, 1);
    expect_end(w, 2);
    latest_read[n.id] = ++token;
    cluster->read(n.id, token);
    step(n.id);
    return refusal(n, token);
  }
  static std::string refusal(const Node& n, uint64_t token) {
    for (const auto& refused : n.refused)
      if (refused.token == token) return "refused " + name_of_error(refused.error);
    return "";
  }
  std::string read_result(const Words& w) {
    Node& n = up(w, 1);
    const auto token_of = latest_read.find(n.id);
    if (token_of == latest_read.end()) return "none";
    for (const auto& ready : n.reads)
      if (ready.token == token_of->second) return "at " + std::to_string(ready.index);
    const std::string refused = refusal(n, token_of->second);
    return refused.empty() ? "pending" : refused;
  }

  std::string change(const Words& w) {
    Node& n = up(w, 1);
    std::string rest = join(w, 2);
    std::ranges::replace(rest, ',', ' ');
    const Words words = split(rest);
    std::vector<Change> changes;
    for (size_t i = 0; i < words.size(); ++i) {
      const auto kind = raft::change_named(words[i]);
      if (!kind) throw ScenarioSyntax("\"" + words[i] + "\" is not a change");
      const NodeId id = raft::names_a_node(*kind) ? number(word(words, ++i)) : 0;
      if (id != 0 && !raft::includes(nodes, id))
        throw ScenarioSyntax("there is no node " + words[i]);
      changes.push_back({*kind, id});
    }
    if (changes.empty()) throw ScenarioSyntax("an argument is missing");
    const auto to = raft::changed(n.core->configuration(), changes);
    if (!to) return "refused " + name_of_error(to.error().code);
    cluster->propose(n.id, ++token, *to);
    step(n.id);
    return refusal(n, token);
  }

  void transfer(const Words& w) {
    expect_end(w, 3);
    Node& n = up(w, 1);
    tell(n.id, raft::Transfer{node_id(w, 2), config.election_timeout});
  }

  // Its clock advances to the end of its election timeout. Without one, it believes in a leader of a quiesced group,
  // whose loss it is told.
  void campaign(const Words& w) {
    expect_end(w, 2);
    Node& n = up(w, 1);
    if (n.core->role() == Role::leader) return;
    if (n.deadline == never) {
      const NodeId leader = n.core->leader();
      if (leader == 0) throw ScenarioSyntax("node " + w[1] + " does not vote");
      tell(n.id, raft::NodeLost{leader});
      tell(n.id, raft::NodeAlive{leader});
    }
    for (int i = 0; i < 4 && n.deadline != never; ++i) {
      n.now = std::max(n.now, n.deadline);
      step(n.id);
      if (n.core->role() != Role::follower && n.core->role() != Role::learner) return;
    }
  }

  void hold_persist(const Words& w) {
    expect_end(w, 2);
    held.insert(node(w, 1).id);
  }
  void persist(const Words& w) {
    expect_end(w, 2);
    Node& n = up(w, 1);
    for (size_t count = n.writes.size(); count > 0; --count) {
      cluster->persist(n.id);
      step(n.id);
    }
  }
  void release_persist(const Words& w) {
    expect_end(w, 2);
    held.erase(up(w, 1).id);
    complete(node_id(w, 1));
  }

  void crash(const Words& w) {
    expect_end(w, 2);
    Node& n = up(w, 1);
    cluster->crash(n.id, 0);
    held.erase(n.id);
    latest_read.erase(n.id);
    for (const NodeId id : nodes)
      if (id != n.id && cluster->node(id).up()) tell(id, raft::NodeLost{n.id});
  }
  void restart(const Words& w) {
    expect_end(w, 2);
    Node& n = node(w, 1);
    if (n.up()) throw ScenarioSyntax("node " + w[1] + " is up");
    cluster->start(n.id);
    complete(n.id);
    for (const NodeId id : nodes)
      if (id != n.id && cluster->node(id).up()) tell(id, raft::NodeAlive{n.id});
  }

  std::string snapshot(const Words& w) {
    expect_end(w, 2);
    Node& n = up(w, 1);
    if (n.applied == 0) return "refused NOT_FOUND";
    cluster->take_snapshot(n.id);
    step(n.id);
    return "";
  }
  std::string compact(const Words& w) {
    expect_end(w, 3);
    Node& n = up(w, 1);
    const Index through = number(word(w, 2));
    if (through > n.applied) return "refused INVALID_ARGUMENT";
    if (n.disk.machine < through) cluster->take_snapshot(n.id), step(n.id);
    if (through > n.disk.machine) return "refused UNAVAILABLE";  // a write is held
    cluster->compact(n.id, through);
    step(n.id);
    return "";
  }

  // ---- what is asked for ----

  std::string role(const Words& w) {
    expect_end(w, 2);
    Node& n = node(w, 1);
    return n.up() ? raft::name_of(n.core->role()) : "down";
  }
  template <class Value>
  std::string value(const Words& w, Value value) {
    expect_end(w, 2);
    return std::to_string(value(*up(w, 1).core));
  }
  NodeId highest_leader() {
    started();
    NodeId leader = 0;
    Term term = 0;
    for (const NodeId id : nodes) {
      const Node& n = cluster->node(id);
      if (!n.up() || n.core->role() != Role::leader || n.core->term() <= term) continue;
      leader = id;
      term = n.core->term();
    }
    return leader;
  }
  std::string leader(const Words& w) {
    expect_end(w, 1);
    const NodeId id = highest_leader();
    return id == 0 ? "none" : std::to_string(id);
  }
  std::string log(const Words& w) {
    expect_end(w, 2);
    const Node& n = up(w, 1);
    std::string text;
    for (Index i = n.core->first(); i <= n.core->last(); ++i)
      text += (text.empty() ? "" : " ") + entry_text(n, i);
    return text.empty() ? "empty" : text;
  }
  static std::string entry_text(const Node& n, Index index) {
    const raft::Entry* entry = n.core->entry(index);
    if (entry == nullptr) entry = n.disk.find(index);
    const std::string id = std::to_string(n.core->term_at(index)) + ":" + std::to_string(index);
    if (entry == nullptr) return id + ":?";
    switch (entry->kind) {
      case raft::EntryKind::noop: return id + ":noop";
      case raft::EntryKind::configuration: return id + ":config";
      case raft::EntryKind::command: break;
    }
    std::string payload(as_text(entry->payload.bytes()));
    std::ranges::replace(payload, ' ', '_');
    return id + ":" + payload;
  }
  std::string configuration_of(const Words& w) {
    expect_end(w, 2);
    return text_of(up(w, 1).core->configuration());
  }

  // Members that are up hold the leader's log, all of it committed. (They learn the latter a little later.)
  std::string all_agree(const Words& w) {
    expect_end(w, 1);
    const NodeId leading = highest_leader();
    if (leading == 0) return "no: there is no leader";
    const raft::Core& core = *started().node(leading).core;
    for (const NodeId id : raft::members_of(core.configuration())) {
      const Node& n = cluster->node(id);
      if (!n.up()) continue;
      const std::string name = "no: node " + std::to_string(id);
      if (n.core->last() != core.last() ||
          n.core->term_at(core.last()) != core.term_at(core.last()))
        return name + " does not end with entry " + std::to_string(core.last()) + " of the leader";
      if (n.core->leader() != leading)
        return name + " does not follow the leader, node " + std::to_string(leading);
    }
    if (core.commit() != core.last())
      return "no: entry " + std::to_string(core.last()) + " is not committed";
    return "yes";
  }

  // ---- checks ----

  bool holds(const Words& check) {
    const auto query = queries.find(word(check, 0));
    if (query == queries.end()) throw ScenarioSyntax("\"" + check[0] + "\" cannot be checked");
    const size_t arguments = query->second.arguments;
    const std::string output = query->second.run(
        Words(check.begin(),
              check.begin() + static_cast<ptrdiff_t>(std::min(check.size(), 1 + arguments))));
    size_t at = 1 + arguments;
    if (at < check.size() && (check[at] == "is" || check[at] == "=")) ++at;
    last_output = output;
    if (at < check.size()) return matches(output, join(check, at));
    return output != "none" && output != "pending" && output != "down" &&
           !output.starts_with("no:");
  }

  void eventually(const Words& w) {
    const auto within = std::ranges::find(w, "within");
    if (within == w.end()) throw ScenarioSyntax("eventually CHECK within MS");
    const Words check(w.begin() + 1, within);
    const Words rest(within + 1, w.end());
    const uint64_t time = time_ms(word(rest, 0));
    expect_end(rest, 1);
    if (live_until(time, [&] { return holds(check); })) return;
    throw ScenarioFailure("not within " + rest[0] + " ms: " + join(check) + "; at the end it is " +
                          last_output);
  }

  struct Query {
    size_t arguments;
    std::function<std::string(const Words&)> run;
  };

  std::string execute(const Words& w) {
    if (const auto action = actions.find(w[0]); action != actions.end()) return action->second(w);
    const auto query = queries.find(w[0]);
    if (query == queries.end()) throw ScenarioSyntax("there is no line \"" + w[0] + "\"");
    return query->second.run(w);
  }

  using Action = std::function<std::string(const Words&)>;
  Action silent(void (Impl::*member)(const Words&)) {
    return [this, member](const Words& w) {
      (this->*member)(w);
      return std::string();
    };
  }
  Action speaking(std::string (Impl::*member)(const Words&)) {
    return [this, member](const Words& w) { return (this->*member)(w); };
  }

  const std::map<std::string, Action> actions = {
      {"nodes", silent(&Impl::set_nodes)},
      {"config-at-start", silent(&Impl::set_configuration)},
      {"set", silent(&Impl::set_option)},
      {"tick", silent(&Impl::tick)},
      {"tick-all", silent(&Impl::tick_all)},
      {"live", silent(&Impl::live)},
      {"deliver", silent(&Impl::deliver)},
      {"drop", silent(&Impl::drop)},
      {"partition", silent(&Impl::partition)},
      {"heal", silent(&Impl::heal)},
      {"isolate", silent(&Impl::isolate)},
      {"shuffle", silent(&Impl::shuffle)},
      {"propose", speaking(&Impl::propose)},
      {"read", speaking(&Impl::read)},
      {"change", speaking(&Impl::change)},
      {"transfer", silent(&Impl::transfer)},
      {"campaign", silent(&Impl::campaign)},
      {"hold-persist", silent(&Impl::hold_persist)},
      {"persist", silent(&Impl::persist)},
      {"release-persist", silent(&Impl::release_persist)},
      {"crash", silent(&Impl::crash)},
      {"restart", silent(&Impl::restart)},
      {"compact", speaking(&Impl::compact)},
      {"snapshot", speaking(&Impl::snapshot)},
      {"eventually", silent(&Impl::eventually)},
  };

  const std::map<std::string, Query> queries = {
      {"role", {1, speaking(&Impl::role)}},
      {"term",
       {1, [this](const Words& w) { return value(w, [](const auto& c) { return c.term(); }); }}},
      {"leader", {0, speaking(&Impl::leader)}},
      {"commit",
       {1, [this](const Words& w) { return value(w, [](const auto& c) { return c.commit(); }); }}},
      {"first",
       {1, [this](const Words& w) { return value(w, [](const auto& c) { return c.first(); }); }}},
      {"last",
       {1, [this](const Words& w) { return value(w, [](const auto& c) { return c.last(); }); }}},
      {"log", {1, speaking(&Impl::log)}},
      {"config", {1, speaking(&Impl::configuration_of)}},
      {"read-result", {1, speaking(&Impl::read_result)}},
      {"all-agree", {0, speaking(&Impl::all_agree)}},
  };

  Ids nodes;
  std::optional<Configuration> configuration;
  raft::Config config;
  std::unique_ptr<Cluster> cluster;
  std::set<std::pair<NodeId, NodeId>> cut;
  std::set<NodeId> held;
  Random order{0};
  bool shuffled = false;
  uint64_t token = 0;
  std::map<NodeId, uint64_t> latest_read;
  std::string last_output;
};

Scenario::Scenario() : impl_(std::make_unique<Impl>()) {}
Scenario::~Scenario() = default;

std::string Scenario::run(std::string_view line) {
  Words words = split(line);
  if (words.empty()) return "";
  // `config voters ...` gives the configuration, `config NODE` asks for it.
  if (words[0] == "config" && words.size() > 1 && words[1] == "voters")
    words[0] = "config-at-start";
  try {
    const std::string output = impl_->execute(words);
    if (impl_->cluster != nullptr) impl_->cluster->check_all();
    return output;
  } catch (const Violation& violation) {
    throw ScenarioFailure(std::string("invariant violated: ") + violation.what());
  }
}

namespace {

std::string_view without_comment(std::string_view line) { return line.substr(0, line.find('#')); }

// An output that nobody expects is a check of its own where its name says so.
bool must_be_yes(const Words& words, const std::string& output) {
  return !words.empty() && words[0] == "all-agree" && output != "yes";
}

class Runner {
 public:
  Runner(std::string& printed, std::string* rewritten) : printed_(printed), rewritten_(rewritten) {}

  void line(std::string_view line) {
    const std::string_view code = without_comment(line);
    Words words = split(code);
    if (!words.empty() && words[0] == "expect") return expect(line, join(words, 1));
    if (!words.empty()) end_pending();
    if (rewritten_ != nullptr) *rewritten_ += std::string(line) + "\n";
    if (words.empty()) return;
    output_ = scenario_.run(code);
    words_ = std::move(words);
    pending_ = !output_.empty();
    asked_ = pending_;
    if (pending_) printed_ += output_ + "\n";
  }
  // The line after the last.
  void end() { end_pending(); }

 private:
  void expect(std::string_view line, const std::string& expected) {
    if (!asked_) throw ScenarioSyntax("expect follows a line that prints something");
    pending_ = false;
    const bool same = matches(output_, expected);
    if (rewritten_ != nullptr) {
      const size_t comment = line.find('#');
      const std::string rest = comment == std::string_view::npos
                                   ? std::string()
                                   : "  " + std::string(line.substr(comment));
      *rewritten_ += same ? std::string(line) + "\n" : "expect " + output_ + rest + "\n";
      return;
    }
    if (!same) throw ScenarioFailure("expected " + expected + ", got " + output_);
  }

  void end_pending() {
    if (!std::exchange(pending_, false)) return;
    if (rewritten_ != nullptr)
      *rewritten_ += "expect " + output_ + "\n";
    else if (must_be_yes(words_, output_))
      throw ScenarioFailure(output_);
  }

  Scenario scenario_;
  std::string& printed_;
  std::string* rewritten_;
  Words words_;         // of the line that printed last
  std::string output_;  // what it printed
  bool asked_ = false;
  bool pending_ = false;  // no expectation followed it yet
};

}  // namespace

void run_scenario(std::string_view text, std::string& printed, std::string* rewritten) {
  Runner runner(printed, rewritten);
  size_t number = 0;
  const auto with_place = [&number](const std::string& what) {
    return "line " + std::to_string(number) + ": " + what;
  };
  try {
    while (!text.empty()) {
      ++number;
      const size_t end = std::min(text.find('\n'), text.size());
      runner.line(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    runner.end();
  } catch (const ScenarioFailure& failure) {
    throw ScenarioFailure(with_place(failure.what()));
  } catch (const ScenarioSyntax& error) {
    throw ScenarioSyntax(with_place(error.what()));
  }
}

}  // namespace bop::tools

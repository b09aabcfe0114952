// Rules that concern several keys, and the conversion to Settings.
#include <algorithm>
#include <iterator>
#include <set>

#include "base/assert.h"
#include "capi/config.h"
#include "net/address.h"

namespace bop::capi {
namespace {

// Reads values by key, and reports invalid ones with their source.
class Checker {
 public:
  explicit Checker(const Config& config) : config_(config) {}

  template <class T>
  const T& get(std::string_view name) const {
    return std::get<T>(config_.value(index(name)));
  }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  int64_t number(std::string_view name) const { return get<int64_t>(name); }
  uint64_t bytes(std::string_view name) const { return static_cast<uint64_t>(number(name)); }

  // A default is invalid only if the document, or else any source, had to set the key.
  std::unexpected<Error> bad(std::string_view name, const std::string& what) const {
    const size_t key = index(name);
    const bool unset = config_.origin(key) == Origin::fallback;
    const std::string& where = unset ? config_.document() : config_.source(key);
    return fail(BOP_E_BAD_CONFIG,
                (where.empty() ? "" : where + ": ") + std::string(name) + ": " + what);
  }

 private:
  static size_t index(std::string_view name) {
    const Key* key = find_key(name);
    BOP_ASSERT(key != nullptr);
    return static_cast<size_t>(key - config_keys().data());
  }

  const Config& config_;
};

Status check_loopback(const Checker& keys, std::string_view name, const std::string& text) {
  if (text.empty() || keys.get<bool>("insecure")) return {};
  const Result<net::Address> address = net::parse_address(text);
  BOP_ASSERT(address.has_value());  // read_address() validated it
  if (address->is_local()) return {};
  if (const Status known = net::check_host(*address); !known) {
    return keys.bad(name, text + ": " + known.error().detail);
  }
  return keys.bad(name, text +
                            " is not on loopback. Nothing is encrypted or authenticated yet: set "
                            "`insecure = true` only if something else protects the network");
}

Status check_listeners(const Checker& keys) {
  std::set<std::string> used;
  for (const char* name : {"listen.native", "listen.resp", "listen.http", "listen.peer"}) {
    const std::string& address = keys.text(name);
    BOP_TRY(check_loopback(keys, name, address));
    if (address.empty() || address.ends_with(":0")) continue;
    if (!used.insert(address).second)
      return keys.bad(name, address + " is already used by another listener");
  }
  return {};
}

Result<std::vector<Peer>> checked_peers(const Checker& keys) {
  const auto self = static_cast<NodeId>(keys.number("node_id"));
  std::vector<Peer> peers = keys.get<std::vector<Peer>>("peers");
  if (peers.empty()) {
    return std::vector<Peer>{{self, keys.text("listen.peer"), keys.text("listen.native")}};
  }

  std::sort(peers.begin(), peers.end(), [](const Peer& a, const Peer& b) { return a.id < b.id; });
  std::set<std::string> addresses;
  for (size_t i = 0; i < peers.size(); ++i) {
    const std::string id = std::to_string(peers[i].id);
    if (i > 0 && peers[i].id == peers[i - 1].id)
      return keys.bad("peers", "id " + id + " appears twice");
    if (peers[i].address.empty()) return keys.bad("peers", "peer " + id + " has no address");
    BOP_TRY(check_loopback(keys, "peers", peers[i].address));
    BOP_TRY(check_loopback(keys, "peers", peers[i].native));
    if (!addresses.insert(peers[i].address).second) {
      return keys.bad("peers", "address " + peers[i].address + " appears twice");
    }
  }
  if (std::ranges::none_of(peers, [&](const Peer& peer) { return peer.id == self; })) {
    return keys.bad("peers", "no peer has the id of this node, node_id = " + std::to_string(self));
  }
  if (peers.size() > 1 && keys.text("listen.peer").empty()) {
    return keys.bad("listen.peer", "must be set, because there are other nodes");
  }
  return peers;
}

bool is_group_name(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

Status fill_voters(const Checker& keys, GroupSpec& group, const std::vector<Peer>& peers) {
  if (group.voters.empty()) {
    for (const Peer& peer : peers) group.voters.push_back(peer.id);
  }
  for (const NodeId voter : group.voters) {
    if (std::ranges::none_of(peers, [&](const Peer& peer) { return peer.id == voter; })) {
      return keys.bad("groups", "voter " + std::to_string(voter) + " of group " + group.name +
                                    " is not in peers");
    }
  }
  return {};
}

Result<std::vector<GroupSpec>> checked_groups(const Checker& keys, const std::vector<Peer>& peers) {
  std::vector<GroupSpec> groups = keys.get<std::vector<GroupSpec>>("groups");
  if (groups.empty()) return keys.bad("groups", "must have at least one group");
  std::sort(groups.begin(), groups.end(),
            [](const GroupSpec& a, const GroupSpec& b) { return a.id < b.id; });
  std::set<std::string> names;
  for (size_t i = 0; i < groups.size(); ++i) {
    GroupSpec& group = groups[i];
    if (!is_group_name(group.name)) {
      return keys.bad("groups", "a name must have 1 to 64 letters, digits, '.', '_' or '-', is \"" +
                                    group.name + "\"");
    }
    if (!names.insert(group.name).second)
      return keys.bad("groups", "group " + group.name + " appears twice");
    if (i > 0 && group.id == groups[i - 1].id) {
      return keys.bad("groups", "id " + std::to_string(group.id) + " appears twice");
    }
    if (group.machine.empty()) return keys.bad("groups", "group " + group.name + " has no machine");
    if (group.shard >= keys.number("shards")) {
      return keys.bad("groups", "group " + group.name + ": shard must be below shards = " +
                                    std::to_string(keys.number("shards")) + ", is " +
                                    std::to_string(group.shard));
    }
    BOP_TRY(fill_voters(keys, group, peers));
  }
  return groups;
}

// Divides the memory equally among the kv machines of this node.
void share_memory(node::ShardOptions& node, uint64_t bytes) {
  constexpr uint64_t least = 64 << 10;  // minimum of a machine (kv's table.cpp)
  uint64_t sharers = 0;
  for (const GroupSpec& group : node.groups) {
    const bool kept = std::ranges::binary_search(group.voters, node.self);
    if (kept && group.machine == "kv") ++sharers;
  }
  const uint64_t share = std::max(least, bytes / std::max<uint64_t>(1, sharers));
  for (GroupSpec& group : node.groups)
    if (group.machine == "kv") group.machine_options.memory_bytes = share;
}

Status check_numbers(const Checker& keys) {
  if (keys.number("raft.heartbeat_ms") * 3 > keys.number("raft.election_timeout_ms")) {
    return keys.bad("raft.heartbeat_ms", "must be at most a third of raft.election_timeout_ms");
  }
  if (keys.bytes("log.segment_bytes") % 4096 != 0) {
    return keys.bad("log.segment_bytes", "must be a multiple of 4096");
  }
  if (keys.bytes("log.max_bytes") < 4 * keys.bytes("log.segment_bytes")) {
    return keys.bad("log.max_bytes", "must hold at least four segments");
  }
  return {};
}

}  // namespace

Result<Settings> Config::settings() const {
  const Checker keys(*this);
  if (keys.text("data_directory").empty()) return keys.bad("data_directory", "must be set");
  if (keys.text("cluster_id").empty()) return keys.bad("cluster_id", "must be set");
  BOP_TRY(check_listeners(keys));
  BOP_TRY(check_numbers(keys));
  Settings settings;
  for (size_t i = 0; i < config_keys().size(); ++i)
    if (const auto store = config_keys()[i].store) store(settings, value(i));
  BOP_TRY_ASSIGN(settings.peers, checked_peers(keys));
  node::ShardOptions& node = settings.node;
  std::ranges::copy_if(settings.peers, std::back_inserter(node.peers),
                       [&](const Peer& peer) { return peer.id != node.self; });
  BOP_TRY_ASSIGN(node.groups, checked_groups(keys, settings.peers));
  share_memory(node, keys.bytes("kv.memory_bytes"));
  return settings;
}

}  // namespace bop::capi

#include "node/cluster_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace bop::node {

namespace {

KnownGroup known_group(const proto::GroupReport& from, const std::string& name) {
  KnownGroup out;
  out.name = name;
  out.id = from.id;
  out.role = role_name(from.role);
  out.term = from.term;
  out.commit = from.commit;
  out.applied = from.applied;
  out.last = from.last;
  out.ready = (from.flags & proto::GroupReport::ready) != 0;
  out.halted = (from.flags & proto::GroupReport::halted) != 0;
  out.suspect = (from.flags & proto::GroupReport::suspect) != 0;
  out.has_hash = from.hash_index != 0;
  out.hash_index = from.hash_index;
  out.hash_low = from.hash_low;
  out.hash_high = from.hash_high;
  return out;
}

}  // namespace

const char* role_name(uint8_t role) {
  switch (role) {
    case 1:
    case 2: return "candidate";
    case 3: return "leader";
    case 4: return "learner";
    default: return "follower";
  }
}

ClusterView::ClusterView(const ShardOptions& options) : self_(options.self) {
  for (const GroupSpec& group : options.groups) names_[group.id] = group.name;
  for (const PeerSpec& peer : options.peers) {
    peers_[peer.id].address = peer.address;
    peers_[peer.id].native = peer.native;
  }
}

void ClusterView::introduced(NodeId peer, const port::Introduction& introduction) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  if (!introduction.address.empty()) {
    found->second.address = introduction.address;
    found->second.introduced = true;
  }
  if (!introduction.native.empty()) found->second.native = introduction.native;
}

std::vector<proto::NodeAddress> ClusterView::addresses(
    const std::function<bool(NodeId)>& alive) const {
  std::vector<proto::NodeAddress> out;
  for (const auto& [id, peer] : peers_)
    if (peer.introduced && alive(id)) out.push_back({id, peer.address});
  return out;
}

void ClusterView::heard(NodeId from, const proto::PeerSections& sections, Instant now) {
  const auto found = peers_.find(from);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  peer.heard_at = now;
  if (!sections.node) return;
  peer.reported = true;
  peer.reported_at = now;
  peer.uptime_ms = sections.node->uptime_ms;
  peer.conditions = sections.node->conditions;
  peer.second_process_of = sections.node->second_process_of;
  peer.version = sections.node->version;
  for (const proto::GroupReport& group : proto::decode_group_reports(sections.groups)) {
    if (!names_.contains(group.id)) continue;
    peer.groups[group.id] = group;
    note_commit(group.id, group.commit);
  }
}

void ClusterView::note_commit(GroupId group, Index commit) {
  Mark& mark = marks_[group];
  mark.commit = std::max(mark.commit, commit);
}

// A mark is reached, or it is not: then the machine is behind since the mark was set.
void ClusterView::heard_own(const std::vector<proto::GroupReport>& groups, Instant now) {
  for (const proto::GroupReport& group : groups) {
    note_commit(group.id, group.commit);
    Mark& mark = marks_[group.id];
    mark.applied = group.applied;
    if (mark.applied < mark.index) continue;
    mark.index = mark.commit;
    mark.since = now;
  }
}

std::vector<ActiveCondition> ClusterView::behind(Duration limit, Instant now) const {
  std::vector<ActiveCondition> out;
  for (const auto& [group, mark] : marks_) {
    if (mark.applied >= mark.index || now - mark.since < limit) continue;
    out.push_back(
        {Condition::behind, group, names_.at(group),
         fmt::format("the machine applied entry {}, entry {} was committed {} s ago, {} by now",
                     mark.applied, mark.index, (now - mark.since) / seconds, mark.commit)});
  }
  return out;
}

std::vector<NodeId> ClusterView::who_sees_a_second_process(Instant from) const {
  std::vector<NodeId> out;
  for (const auto& [id, peer] : peers_)
    if (peer.second_process_of == self_ && peer.reported && peer.reported_at >= from)
      out.push_back(id);
  return out;
}

std::vector<KnownNode> ClusterView::peers(const std::function<bool(NodeId)>& alive,
                                          Instant now) const {
  std::vector<KnownNode> out;
  for (const auto& [id, peer] : peers_) {
    KnownNode node;
    node.id = id;
    node.address = peer.address;
    node.native = peer.native;
    node.version = peer.version;
    node.reachable = alive(id);
    node.reported = peer.reported;
    if (peer.heard_at != never) node.heard_ago = now - peer.heard_at;
    if (peer.reported) {
      // A node that is heard runs on since its report.
      node.uptime = static_cast<Duration>(peer.uptime_ms) * milliseconds;
      if (node.reachable) node.uptime += now - peer.reported_at;
      node.conditions = conditions_of(peer.conditions);
    }
    for (const auto& [group, report] : peer.groups)
      node.groups.push_back(known_group(report, names_.at(group)));
    out.push_back(std::move(node));
  }
  return out;
}

}  // namespace bop::node

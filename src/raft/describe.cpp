// Records and messages as text for people.
#include <string>
#include <tuple>

#include "raft/record.h"

namespace bop::raft {

namespace {

std::string numbered(const char* text, uint64_t number) {
  return std::string(text) + std::to_string(number);
}

std::string node(NodeId id) { return numbered("node ", id); }

std::string because(Cause cause) { return std::string(": ") + text_of(cause); }

// With the record's node, if there is one.
std::string because(const Record& record) {
  std::string text = because(record.cause);
  if (record.node != 0) text += " (" + node(record.node) + ")";
  return text;
}

std::string describe_step_down(const Record& record) {
  const std::string text = numbered("stepped down as leader of term ", record.before.term);
  const bool names_successor = record.node != 0 && record.now.term == record.before.term;
  if (!names_successor) return text + because(record);
  return text + because(record.cause) + "; " + node(record.node) + " should take over";
}

std::string describe_role(const Record& record) {
  const auto& [before, now] = std::tie(record.before, record.now);
  if (now.role == Role::leader) return numbered("leader of term ", now.term) + because(record);
  if (before.role == Role::leader) return describe_step_down(record);
  if (now.leader != 0) return "following " + node(now.leader);
  if (now.role == Role::pre_candidate) {
    const std::string lost =
        before.leader != 0 ? "lost its leader, " + node(before.leader) + "; " : "";
    return lost + numbered("asks for pre-votes for term ", now.term + 1) + because(record);
  }
  if (now.role == Role::candidate)
    return numbered("candidate in term ", now.term) + ", asks for votes" + because(record);
  if (before.leader != 0) return "lost its leader, " + node(before.leader) + because(record);
  if (before.role != now.role) return "gave up its campaign" + because(record);
  return numbered("entered term ", now.term) + because(record);
}

std::string describe_vote(const Record& record) {
  const std::string what = record.pre_vote ? "pre-vote" : "vote";
  const std::string candidate = node(record.node) + numbered(" in term ", record.entry.term);
  if (record.granted) return "granted its " + what + " to " + candidate;
  return "refused its " + what + " to " + candidate + because(record.cause);
}

std::string join(const std::vector<NodeId>& nodes) {
  std::string text;
  for (const NodeId id : nodes) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

}  // namespace

const char* name_of(Cause cause) {
  switch (cause) {
#define BOP_RAFT_CAUSE(name, text) \
  case Cause::name: return #name;
    BOP_RAFT_CAUSES(BOP_RAFT_CAUSE)
#undef BOP_RAFT_CAUSE
  }
  return "?";
}

const char* text_of(Cause cause) {
  switch (cause) {
#define BOP_RAFT_CAUSE(name, text) \
  case Cause::name: return text;
    BOP_RAFT_CAUSES(BOP_RAFT_CAUSE)
#undef BOP_RAFT_CAUSE
  }
  return "?";
}

const char* name_of(Role role) {
  switch (role) {
    case Role::follower: return "follower";
    case Role::pre_candidate: return "pre_candidate";
    case Role::candidate: return "candidate";
    case Role::leader: return "leader";
    case Role::learner: return "learner";
  }
  return "?";
}

const char* name_of(MessageKind kind) {
  switch (kind) {
    case MessageKind::pre_vote_request: return "pre_vote_request";
    case MessageKind::pre_vote_reply: return "pre_vote_reply";
    case MessageKind::vote_request: return "vote_request";
    case MessageKind::vote_reply: return "vote_reply";
    case MessageKind::append_request: return "append_request";
    case MessageKind::append_reply: return "append_reply";
    case MessageKind::read_request: return "read_request";
    case MessageKind::read_reply: return "read_reply";
    case MessageKind::step_down_notice: return "step_down_notice";
    case MessageKind::snapshot_offer: return "snapshot_offer";
  }
  return "?";
}

std::string describe(const Configuration& configuration) {
  std::string text = "voters " + join(configuration.voters);
  if (configuration.joint()) text += ", jointly with " + join(configuration.outgoing);
  if (!configuration.learners.empty()) text += ", learners " + join(configuration.learners);
  return text;
}

std::string describe(const Record& record) {
  const Index index = record.entry.index;
  switch (record.kind) {
    case RecordKind::configuration: return "configuration in force";
    case RecordKind::role: return describe_role(record);
    case RecordKind::vote: return describe_vote(record);
    case RecordKind::vote_received:
      return node(record.node) + (record.granted ? " grants its " : " refuses its ") +
             (record.pre_vote ? "pre-vote" : "vote");
    case RecordKind::append_rejected:
      return "rejected an append of " + node(record.node) + numbered(" after entry ", index) +
             because(record.cause);
    case RecordKind::append_refused:
      return node(record.node) + numbered(" rejected an append, the next begins at entry ", index);
    case RecordKind::first_commit:
      return numbered("committed entry ", index) + ", the first of the term";
    case RecordKind::quiesced: return "quiesced";
    case RecordKind::woke:
      return "woke" + (record.cause == Cause::none ? ": a message arrived" : because(record));
    case RecordKind::needs_snapshot:
      return node(record.node) + " needs a snapshot: it lacks entries up to " +
             std::to_string(index) + ", which this log no longer has";
    case RecordKind::has_snapshot:
      return node(record.node) + numbered(" holds entry ", index) +
             " now, and needs no snapshot any more";
    case RecordKind::snapshot_offered:
      return node(record.node) + numbered(" offers a snapshot as of entry ", index);
    case RecordKind::installed:
      return numbered("installed a snapshot as of entry ", index) + ", after which its log begins";
    case RecordKind::install_ignored:
      return numbered("did not install a snapshot as of entry ", index) +
             ": this replica is past it";
  }
  return "?";
}

std::string describe(const Message& m) {
  return std::to_string(m.from) + " -> " + std::to_string(m.to) + " " + describe_content(m);
}

std::string describe_content(const Message& m) {
  std::string out = std::string(name_of(m.kind)) + " term " + std::to_string(m.term);
  const auto add = [&out](const char* name, uint64_t value) {
    if (value != 0) out += std::string(" ") + name + " " + std::to_string(value);
  };
  add("log_term", m.log_term);
  add("index", m.index);
  add("entries", m.entries.size());
  add("match", m.match);
  add("commit", m.commit);
  add("compact", m.compact);
  add("round", m.round);
  if (m.ok) out += " ok";
  if (m.quiesce) out += " quiesce";
  add("log_capacity", static_cast<uint64_t>(m.log_capacity));
  if (m.hindered) out += " hindered";
  return out;
}

}  // namespace bop::raft

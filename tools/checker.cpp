#include "tools/checker.h"

#include <algorithm>

#include "base/checksum.h"

namespace bop::raft::model {

namespace {

std::string operator+(const std::string& text, uint64_t number) {
  return text + std::to_string(number);
}

}  // namespace

void throw_on_assert(const char* file, int line, const char* text) {
  throw Violation(std::string(file) + ":" + uint64_t(line) + ": " + text);
}

void Checker::sent(const Message& m, const HardState& hard, Index last) {
  const std::string node = std::string("node ") + m.from;
  if (m.kind == MessageKind::vote_reply && m.ok) {
    if (hard != HardState{m.term, m.to})
      throw Violation(node + " gives a vote in term " + m.term + " that is not durable");
    const auto [vote, first] = votes_.try_emplace({m.term, m.from}, m.to);
    if (vote->second != m.to) throw Violation(node + " votes twice in term " + m.term);
  }
  if (m.kind == MessageKind::vote_request && hard != HardState{m.term, m.from})
    throw Violation(node + " campaigns in term " + m.term + " before that is durable");
  if (m.kind == MessageKind::append_reply && m.ok && (hard.term != m.term || last < m.match))
    throw Violation(node + " acknowledges entry " + m.match + " before it is durable");
}

void Checker::led(NodeId node, const Core& core) {
  auto [leader, first] = leaders_.try_emplace(core.term(), node);
  if (leader->second != node)
    throw Violation(std::string("two leaders in term ") + core.term() + ": " + leader->second +
                    " and " + node);
  if (!first || log_.empty()) return;
  // By Log Matching it is enough to look at the last committed entry.
  if (core.term_at(log_.size()) != log_.back().term)
    throw Violation(std::string("leader ") + node + " of term " + core.term() +
                    " lacks committed entry " + log_.size());
}

void Checker::committed(NodeId node, const Entry& entry, bool durable) {
  const Committed now{entry.term, hash64(entry.payload.bytes()), entry.time_ns};
  if (entry.index <= log_.size()) {
    if (log_[entry.index - 1] == now) return;
    throw Violation(std::string("node ") + node + " committed another entry " + entry.index +
                    ": of term " + entry.term + ", before of " + log_[entry.index - 1].term);
  }
  if (entry.index != log_.size() + 1)
    throw Violation(std::string("node ") + node + " skipped to entry " + entry.index);
  if (!durable)
    throw Violation(std::string("node ") + node + " committed entry " + entry.index +
                    ", which is not durable on a quorum");
  if (!log_.empty() && entry.time_ns < log_.back().time_ns)
    throw Violation(std::string("the time of entry ") + entry.index + " goes back");
  log_.push_back(now);
}

void Checker::installed(NodeId node, Index applied, EntryId at) const {
  const std::string what = std::string("node ") + node + " installed a snapshot as of entry ";
  if (at.index <= applied) throw Violation(what + at.index + ", but had applied " + applied);
  if (at.index > log_.size() || log_[at.index - 1].term != at.term)
    throw Violation(what + at.index + " of term " + at.term + ", which was not committed");
}

void Checker::compare(const Core& a, const Core& b) const {
  // Backwards: once one index agrees, all lower ones must.
  bool agreed = false;
  for (Index i = std::min(a.last(), b.last()); i > 0; --i) {
    const Term ours = a.term_at(i);
    const Term theirs = b.term_at(i);
    if (ours == 0 || theirs == 0) return;
    if (agreed && ours != theirs)
      throw Violation(std::string("logs agree after entry ") + i + ", but not there");
    agreed = agreed || ours == theirs;
  }
}

void Checker::served(uint64_t token, Index floor, Index index) const {
  if (index < floor)
    throw Violation(std::string("read ") + token + " was served at " + index + ", when entry " +
                    floor + " had been committed before it was asked");
}

}  // namespace bop::raft::model

// Checks the properties that must hold among replicas (paper, figure 3) and of reads; throws Violation.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "raft/core.h"

namespace bop::raft::model {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Turns a failed assert into a Violation. For set_assert_handler.
[[noreturn]] void throw_on_assert(const char* file, int line, const char* text);

class Checker {
 public:
  struct Committed {
    Term term = 0;
    uint64_t hash = 0;  // of the payload
    int64_t time_ns = 0;
    friend bool operator==(const Committed&, const Committed&) = default;
  };

  // What a message promises must survive a crash: `hard` and the entries up to `last` are on its sender's disk.
  void sent(const Message& message, const HardState& hard, Index last);
  // Election Safety, Leader Completeness.
  void led(NodeId node, const Core& core);
  // State Machine Safety. A newly committed entry is durable on a quorum of voters.
  void committed(NodeId node, const Entry& entry, bool durable);
  // Of a replica that had applied `applied`: a snapshot has the state after a committed entry, and takes nothing back.
  void installed(NodeId node, Index applied, EntryId at) const;
  int64_t time_of(Index index) const { return log_.at(index - 1).time_ns; }
  // Log Matching.
  void compare(const Core& a, const Core& b) const;
  // A read that began when `floor` entries were committed.
  void served(uint64_t token, Index floor, Index index) const;

  Index highest_commit() const { return log_.size(); }
  Term highest_term() const { return leaders_.empty() ? 0 : leaders_.rbegin()->first; }

 private:
  std::map<Term, NodeId> leaders_;
  std::map<std::pair<Term, NodeId>, NodeId> votes_;  // by term and voter
  std::vector<Committed> log_;                       // entry i at i - 1
};

}  // namespace bop::raft::model

// Checks the properties that must hold among replicas (paper, figure 3) and of reads; throws Violation.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "raft/core.h"

namespace bop::raft::test {

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
    friend bool operator==(const Committed&, const Committed&) = default;
  };

  // What a message promises must survive a crash: `hard` and `entries` are on its sender's disk.
  void sent(const Message& message, const HardState& hard, size_t entries);
  // Election Safety, Leader Completeness.
  void led(NodeId node, const Core& core);
  // State Machine Safety. `copies`: voters that hold the entry durably; a newly committed one needs `quorum`.
  void committed(NodeId node, const Entry& entry, size_t copies, size_t quorum);
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
  int64_t last_time_ns_ = 0;
};

}  // namespace bop::raft::test

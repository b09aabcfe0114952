// The configurations that a log has: the newest that is known to be committed, and those of later entries. The last one is in
// force (paper §6: "a server always uses the latest configuration in its log, regardless of whether the entry is
// committed"), until its entry is truncated.
#pragma once

#include <span>
#include <vector>

#include "raft/types.h"

namespace bop::raft {

class Configurations {
 public:
  // `later` follow `base` and ascend.
  Configurations(ConfigurationAt base, std::vector<ConfigurationAt> later);

  const Configuration& in_force() const { return stack_.back().configuration; }
  Index index() const { return stack_.back().index; }  // of the entry of the one in force
  // From the newest that is known to be committed to the one in force.
  std::span<const ConfigurationAt> all() const { return stack_; }
  // The one that was in force before; nullptr: it is not known any more.
  const Configuration* previous() const;

  void append(Index index, Configuration configuration);
  // The entries from `index` on are gone. Returns whether another configuration is in force now.
  bool truncate(Index index);
  // The entries up to `index` are committed. Returns whether the newest committed configuration is another one now.
  bool commit(Index index);
  // The log restarts after an entry at which this one is in force.
  void restart(ConfigurationAt base);

 private:
  std::vector<ConfigurationAt> stack_;  // never empty
};

}  // namespace bop::raft

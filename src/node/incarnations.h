// The incarnations of the peers' data directories as this node knows them: a peer that comes back with
// another incarnation was reformatted, has forgotten its votes and entries, and is refused under its
// old node id. Byte table: docs/formats/directory.md.
#pragma once

#include <map>
#include <vector>

#include "base/assert.h"
#include "base/ids.h"
#include "base/result.h"
#include "port/file.h"

namespace bop::node {

class Incarnations {
 public:
  // What an earlier run saved; empty when there was none. DAMAGED, NEWER_FORMAT, IO.
  static Result<Incarnations> load(port::FileSystem& files);

  // WRONG_INCARNATION when another one is known. A node that was not known is known from now on: then
  // changed() holds until a save of it succeeded.
  Status verify(NodeId node, uint64_t incarnation);
  bool changed() const { return known_.size() != saved_; }

  // Writes what is known, durably. Blocks: on a worker, with a copy, between begin_save() and
  // end_save(), so that what is learned meanwhile, or not written, remains changed.
  Status save(port::FileSystem& files) const;
  void begin_save() { saving_ = known_.size(); }
  void end_save(bool succeeded) {
    BOP_ASSERT_GE(saving_, saved_);
    if (succeeded) saved_ = saving_;
  }

 private:
  std::map<NodeId, uint64_t> known_;  // nodes are added, never changed or removed
  size_t saved_ = 0;                  // how many of them are durable
  size_t saving_ = 0;
};

}  // namespace bop::node

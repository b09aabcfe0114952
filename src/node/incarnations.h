// What this node remembers of its peers' data directories: a peer that comes back with another
// incarnation was formatted anew, has forgotten its votes and entries, and is refused under its old
// name. Byte table: docs/formats/directory.md.
#pragma once

#include <map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "port/file.h"

namespace bop::node {

class Incarnations {
 public:
  // What an earlier run remembered; nothing when there was none. DAMAGED, NEWER_FORMAT, IO.
  static Result<Incarnations> load(port::FileSystem& files);

  // WRONG_INCARNATION when another one is known. A node that was not known is remembered from now on:
  // then changed() holds until save().
  Status verify(NodeId node, uint64_t incarnation);
  bool changed() const { return changed_; }

  // Writes what is known, durably. Blocks: on a worker, with a copy.
  Status save(port::FileSystem& files) const;
  void saved() { changed_ = false; }

 private:
  std::map<NodeId, uint64_t> known_;
  bool changed_ = false;
};

}  // namespace bop::node

// Reads the whole contents of a group's machine through a node's Service as a client would, page by
// page.
#pragma once

#include <functional>
#include <string>

#include "port/requests.h"
#include "sim/model.h"
#include "sim/node.h"

namespace bop::sim {

class ContentsReader : public port::Completion {
 public:
  ContentsReader(Thread& harness, Node& node, GroupId group);

  // Asks again after a refusal, until the whole was read.
  void start() { ask(); }
  bool complete() const { return complete_; }
  const KvModel::Records& records() const { return records_; }
  // "", or which of the expected records is missing or differs.
  std::string difference(const KvModel::Records& expected) const;

  void complete(uint64_t token, const port::Outcome& answer) override;
  // The process of that node ended, and with it the open request.
  void node_ended(NodeId node);

 private:
  void ask();
  void ask_later();

  Thread& harness_;
  Node& node_;
  const GroupId group_;
  mem::Arena arena_;
  KvModel::Records records_;
  uint64_t token_ = 0;
  bool asked_ = false;  // and not answered
  bool complete_ = false;
};

}  // namespace bop::sim

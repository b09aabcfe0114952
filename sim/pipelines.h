// Simulated connections that send commands without waiting for replies, several at a time, to one node. The
// checker is told their order: they have to take effect in it, whatever becomes of the leaders.
#pragma once

#include <memory>
#include <vector>

#include "sim/node.h"
#include "sim/state_checker.h"

namespace bop::sim {

class Pipelines {
 public:
  Pipelines(Scheduler& scheduler, Thread& harness, StateChecker& checker,
            std::vector<std::unique_ptr<Node>>& nodes, const std::vector<GroupId>& groups,
            uint32_t connections);
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;
  ~Pipelines();

  void start();
  // No further commands are sent; open ones are still answered.
  void stop() { stopped_ = true; }
  bool idle() const;
  // The process of that node ended: its unanswered commands have an unknown outcome.
  void node_ended(NodeId node);

 private:
  class Connection;

  std::vector<std::unique_ptr<Connection>> connections_;
  bool stopped_ = false;
};

}  // namespace bop::sim

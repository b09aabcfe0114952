// A Service without a cluster: a model of kv (include/bop/kv.h) on a std::map, written apart from the
// machine, which answers when, and in the order in which, the test wants.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "node/service.h"
#include "port/post.h"
#include "port/timer.h"

namespace bop::serve {

// The model alone: a command or question in, status and body out.
class ModelKv {
 public:
  struct Outcome {
    bop_status status = BOP_OK;
    std::vector<uint8_t> body;
  };
  Outcome apply(Bytes command, Index index);
  Outcome query(Bytes question) const;
  size_t size() const { return records_.size(); }

 private:
  struct Record {
    std::string value;
    uint64_t revision = 0;
  };
  using Records = std::map<std::string, Record>;
  struct Operation;

  static bool read_operation(Reader& reader, Operation& operation);
  static bool condition_holds(const Record* record, const Operation& operation);
  static bop_status change(Records& records, const Operation& operation, Index index,
                           std::string& answer);

  Records records_;
  Index applied_ = 0;
};

class ModelService final : public node::Service {
 public:
  Result<GroupId> find_group(std::string_view name) const override;
  std::string_view machine_of(GroupId group) const override;
  void propose(node::Request request) override;
  void query(node::Request request) override;
  void status(std::function<void(node::NodeStatus)> done) override;
  void snapshots(GroupId group, node::SnapshotAction action, SnapshotsDone done) override {
    snapshot_requests.push_back({group, action});
    snapshots_.push_back(std::move(done));
  }
  Instant now() const override { return time; }

  // Answers what waits, as it is at that moment. False: nothing waited.
  bool run();
  // Answers the request at `position` of those that wait.
  void answer(size_t position);
  void answer_with(size_t position, bop_status status, std::string_view detail = {});
  size_t waiting() const { return waiting_.size(); }
  const node::Request& request(size_t position) const { return waiting_[position].request; }
  bool is_proposal(size_t position) const { return waiting_[position].proposal; }

  ModelKv kv;
  Instant time = 1 * seconds;
  bop_status refuse_with = BOP_OK;  // every request from now on
  std::string machine = "kv";       // reported for group 1, which is kv in any case
  node::NodeStatus node_status;
  std::vector<std::pair<GroupId, node::SnapshotAction>> snapshot_requests;
  Result<std::vector<node::SnapshotStatus>> snapshots_result;

 private:
  struct Waiting {
    node::Request request;
    bool proposal = false;
  };
  std::deque<Waiting> waiting_;
  std::deque<std::function<void(node::NodeStatus)>> statuses_;
  std::deque<SnapshotsDone> snapshots_;
  Index last_ = 0;
};

class ModelTimers final : public port::Timers {
 public:
  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override;
  // Calls what is due.
  void run(Instant now);

 private:
  class ModelTimer;
  std::vector<ModelTimer*> timers_;
};

class ModelPost final : public port::Post {
 public:
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void at_end_of_turn(port::Phase, std::function<void()> task) override {
    tasks_.push_back(std::move(task));
  }
  bool run();

 private:
  std::deque<std::function<void()>> tasks_;
};

}  // namespace bop::serve

#include "sim/pipelines.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "port/requests.h"
#include "proto/kv.h"

namespace bop::sim {

namespace {

constexpr Duration way = 100 * microseconds;  // between a client and a node
constexpr Duration longest_pause = 60 * milliseconds;
constexpr uint64_t largest_burst = 4;
constexpr size_t most_open = 12;
constexpr Duration shortest_deadline = 20 * milliseconds;
constexpr Duration longest_deadline = 3 * seconds;

}  // namespace

class Pipelines::Connection : public port::Completion {
 public:
  Connection(Pipelines& all, Scheduler& scheduler, Thread& harness, StateChecker& checker,
             std::vector<std::unique_ptr<Node>>& nodes, const std::vector<GroupId>& groups,
             uint64_t number)
      : all_(all),
        harness_(harness),
        checker_(checker),
        nodes_(nodes),
        groups_(groups),
        random_(scheduler.random("pipeline", number)),
        // The ids of clients' connections are below, those of later ones of this client in between.
        id_(number << 32) {}

  void send_burst() {
    if (all_.stopped_) return;
    if (node_ == nullptr || random_.chance(1, 100)) connect();
    const uint64_t count = 1 + random_.below(largest_burst);
    const uint32_t shard = shard_;
    if (node_->serving()) {
      // In one event, since events of equal delay may have another order.
      node_->thread(shard).after(
          way, "pipeline",
          [this, node = node_, shard, count, id = id_] {
            if (id != id_ || !node->serving()) return;
            for (uint64_t i = 0; i < count && open_.size() < most_open; ++i) propose(*node, shard);
          },
          id_);
    } else {
      node_ = nullptr;
    }
    harness_.after(random_.between(0, longest_pause), "pipeline", [this] { send_burst(); }, id_);
  }

  void complete(uint64_t token, const port::Outcome& answer) override {
    const auto found = open_.find(token);
    if (found == open_.end())
      return checker_.report("promise: a command of a pipeline was answered more than once");
    const uint64_t content = found->second;
    open_.erase(found);
    if (answer.status == BOP_OK) return checker_.acknowledged(group_, answer.index, content);
    if (answer.status == BOP_E_OUTCOME_UNKNOWN) return checker_.order_is_open(group_, content);
    checker_.refused(group_, content);
  }

  void node_ended(NodeId node) {
    if (node_ == nullptr || node_->id() != node) return;
    for (const auto& [token, content] : std::exchange(open_, {}))
      checker_.order_is_open(group_, content);
    node_ = nullptr;
  }

  bool idle() const { return open_.empty(); }

 private:
  // A connection that is left has no open commands, so that its order does not depend on the next one's.
  void connect() {
    if (node_ != nullptr && !open_.empty()) return;
    ++id_;
    node_ = nodes_[random_.below(nodes_.size())].get();
    shard_ = static_cast<uint32_t>(random_.below(node_->shard_count()));
    group_ = groups_[random_.below(groups_.size())];
  }

  void propose(Node& node, uint32_t shard) {
    const std::string key = "pipeline." + std::to_string(id_ >> 32);
    const std::string value = std::to_string(id_) + "." + std::to_string(++tokens_);
    proto::KvOperation put;
    put.op = BOP_KV_PUT;
    put.key = as_bytes(key);
    put.value = as_bytes(value);
    port::Request request;
    request.group = group_;
    request.payload = proto::encode_kv_command(arena_, {&put, 1});
    request.deadline =
        node.service(shard).now() + random_.between(shortest_deadline, longest_deadline);
    request.completion = this;
    request.token = tokens_;
    request.connection = id_;
    const uint64_t content = hash_of_command(request.payload.bytes());
    open_[tokens_] = content;
    checker_.proposed(group_, content);
    checker_.has_order(group_, content, id_, tokens_);
    node.service(shard).propose(std::move(request));
  }

  Pipelines& all_;
  Thread& harness_;
  StateChecker& checker_;
  std::vector<std::unique_ptr<Node>>& nodes_;
  const std::vector<GroupId>& groups_;
  Random random_;
  mem::Arena arena_;
  uint64_t id_;
  Node* node_ = nullptr;
  uint32_t shard_ = 0;
  GroupId group_ = 0;
  uint64_t tokens_ = 0;
  std::map<uint64_t, uint64_t> open_;  // the content of commands without an answer, by token
};

Pipelines::Pipelines(Scheduler& scheduler, Thread& harness, StateChecker& checker,
                     std::vector<std::unique_ptr<Node>>& nodes, const std::vector<GroupId>& groups,
                     uint32_t connections) {
  for (uint64_t number = 1; number <= connections; ++number)
    connections_.push_back(
        std::make_unique<Connection>(*this, scheduler, harness, checker, nodes, groups, number));
}

Pipelines::~Pipelines() = default;

void Pipelines::start() {
  for (const auto& connection : connections_) connection->send_burst();
}

bool Pipelines::idle() const {
  return std::ranges::all_of(connections_, [](const auto& each) { return each->idle(); });
}

void Pipelines::node_ended(NodeId node) {
  for (const auto& connection : connections_) connection->node_ended(node);
}

}  // namespace bop::sim

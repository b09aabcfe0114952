#include "sim/workload.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "proto/kv.h"
#include "sim/history.h"

namespace bop::sim {

namespace {

using Kind = Operation::Kind;
using Condition = Operation::Condition;
using Outcome = Operation::Outcome;

constexpr Duration shortest_way = 20 * microseconds;  // between a client and a node
constexpr Duration longest_way = 200 * microseconds;
// After its deadline a request is answered within this, unless its node stood still.
constexpr Duration grace = 5 * seconds;
constexpr uint32_t longest_range = 1000;
// A key with dozens of unknown outcomes could take minutes. It is left undecided instead: the other checks
// see what most wrong answers come from.
constexpr CheckLimits limits{.max_configurations = 3000};

std::string key_prefix(GroupId group) { return "g" + std::to_string(group) + "."; }

}  // namespace

class Workload::Client : public port::Completion {
 public:
  Client(Workload& workload, uint64_t number)
      : workload_(workload),
        number_(number),
        random_(workload.scheduler_.random("client", number)),
        home_(random_.below(workload.nodes_.size())) {}

  void ask();
  void complete(uint64_t token, const port::Outcome& answer) override;
  void node_ended(NodeId node);
  bool waits() const { return request_.has_value(); }

 private:
  struct Asked {
    uint64_t token = 0;
    NodeId node = 0;
    GroupId group = 0;
    bool reached = false;  // the node has it
    bool command = false;
    bool range = false;  // of all keys in use
    uint64_t payload_hash = 0;
    Index last_command = 0;  // executed anywhere when the node got it
    Instant deadline = 0;    // of the simulation's time, about
    Instant asked = 0;       // when the node got it
    bool counts = false;     // a majority could serve it then
    std::vector<Operation> operations;
    std::vector<uint8_t> flags;  // of kv.h, of what the answer should tell
    std::vector<std::shared_ptr<Key>> keys;
  };

  Node& pick_node();
  Operation new_operation(Key& key, bool write);
  void add_operation(Asked& asked, const std::shared_ptr<Key>& key);
  void make_write(Key& key, Operation& operation);
  void add_condition(const Key& key, Operation& operation);
  std::string new_value(const Key& key);
  mem::Buffer encode(const Asked& asked);
  mem::Buffer encode_command(const Asked& asked);
  mem::Buffer encode_range(const Asked& asked);
  void send(Node& node, mem::Buffer payload, Duration time);
  void watch_deadline(Node& node, Instant since);
  void understand(const port::Outcome& answer);
  void understand_command(const port::Outcome& answer);
  void understand_get(const port::Outcome& answer);
  void understand_range(const port::Outcome& answer);
  void saw_state(Index index);
  void saw(Index index, const std::string& key, const Operation::Seen& seen);
  void end(Outcome outcome);  // of all operations, when the answer tells no more
  void drop();                // nothing was executed, and never will be
  void forget();              // nothing was changed
  void record();
  void think();

  Workload& workload_;
  const uint64_t number_;
  Random random_;
  size_t home_;
  mem::Arena arena_;
  uint64_t tokens_ = 0;
  uint64_t values_ = 0;
  std::optional<Asked> request_;
};

namespace {

// What the answer to a write should tell besides its outcome.
uint8_t wanted(Kind kind, Random& random) {
  if (kind != Kind::put && kind != Kind::remove) return 0;
  switch (random.below(3)) {
    case 0: return BOP_KV_RETURN_PREVIOUS;
    case 1: return BOP_KV_WANT_EXISTED;
    default: return 0;
  }
}

}  // namespace

// ---- asking ----

Node& Workload::Client::pick_node() {
  if (random_.chance(1, 50)) home_ = random_.below(workload_.nodes_.size());
  const size_t node = random_.chance(3, 4) ? home_ : random_.below(workload_.nodes_.size());
  return *workload_.nodes_[node];
}

std::string Workload::Client::new_value(const Key& key) {
  if (key.number && random_.chance(19, 20)) return std::to_string(random_.between(-50, 50));
  std::string value = "c" + std::to_string(number_) + "." + std::to_string(++values_);
  const WorkloadOptions& options = workload_.options_;
  size_t size = options.value_bytes;
  if (random_.chance(1, 40)) size = random_.below(options.largest_value_bytes + 1);
  if (random_.chance(1, 100)) size = options.largest_value_bytes;
  if (random_.chance(1, 50)) return {};
  if (value.size() < size) value.append(size - value.size(), '.');
  return value;
}

void Workload::Client::add_condition(const Key& key, Operation& operation) {
  switch (random_.below(5)) {
    case 0: operation.condition = Condition::absent; break;
    case 1: operation.condition = Condition::present; break;
    case 2:
      operation.condition = Condition::revision;
      operation.expected_revision = random_.chance(1, 8) ? 0 : key.revision;
      break;
    default:
      if (key.values.empty()) break;
      operation.condition = Condition::value;
      operation.expected = key.values[random_.below(key.values.size())];
  }
}

void Workload::Client::make_write(Key& key, Operation& operation) {
  const uint64_t choice = random_.below(100);
  if (choice < 10) {
    operation.kind = Kind::remove;
  } else if (choice < (key.number ? 70u : 12u)) {
    operation.kind = Kind::add;
    operation.delta = random_.chance(1, 60) ? INT64_MAX : random_.between(-5, 5);
  } else if (choice < (key.number ? 71u : 25u)) {
    operation.kind = Kind::append;
    operation.value = new_value(key).substr(0, 64);
  } else {
    operation.kind = Kind::put;
    operation.value = new_value(key);
  }
  if (random_.chance(2, 5)) add_condition(key, operation);
  if (!operation.value.empty() && operation.kind == Kind::put) {
    constexpr size_t remembered = 4;
    if (key.values.size() < remembered) key.values.emplace_back();
    key.values[random_.below(key.values.size())] = operation.value;
  }
}

Operation Workload::Client::new_operation(Key& key, bool write) {
  Operation operation;
  operation.client = number_;
  operation.key = key.name;
  operation.invoked = workload_.scheduler_.now();
  if (write) make_write(key, operation);
  return operation;
}

void Workload::Client::add_operation(Asked& asked, const std::shared_ptr<Key>& key) {
  if (std::ranges::find(asked.keys, key) != asked.keys.end()) return;
  asked.keys.push_back(key);
  asked.operations.push_back(new_operation(*key, asked.command));
  asked.flags.push_back(asked.command ? wanted(asked.operations.back().kind, random_) : 0);
  ++key->asked;
  ++key->open;
}

void Workload::Client::ask() {
  if (workload_.stopped_) return;
  Asked asked;
  asked.token = ++tokens_;
  const WorkloadOptions& options = workload_.options_;
  asked.group = workload_.pick_group(random_);
  asked.command = !random_.chance(workload_.calm_ ? 50 : options.reads_percent, 100);
  asked.range = !asked.command && random_.chance(options.ranges_percent, 100);
  if (asked.range) {
    ++workload_.counters_.ranges;
    for (uint32_t slot = 0; slot < options.keys; ++slot)
      add_operation(asked, workload_.keys_.at({asked.group, slot}));
  } else {
    const bool several = random_.chance(options.several_percent, 100);
    const uint64_t count = several ? random_.between(2, 8) : 1;
    for (uint64_t i = 0; i < count; ++i)
      add_operation(asked, workload_.pick_key(asked.group, random_));
  }
  mem::Buffer payload = encode(asked);
  asked.payload_hash = hash_of_command(payload.bytes());
  if (asked.command) workload_.checker_.proposed(asked.group, asked.payload_hash);
  Node& node = pick_node();
  asked.node = node.id();
  const Duration time = random_.between(options.deadline_shortest, options.deadline_longest);
  asked.deadline = workload_.scheduler_.now() + time;
  request_ = std::move(asked);
  ++workload_.counters_.asked;
  send(node, std::move(payload), time);
}

void Workload::Client::send(Node& node, mem::Buffer payload, Duration time) {
  const auto shard = static_cast<uint32_t>(random_.below(node.shard_count()));
  const Duration way = random_.between(shortest_way, longest_way);
  if (!node.serving()) {
    workload_.harness_.after(way, "refused", [this, token = tokens_] {
      if (request_ && request_->token == token) drop();
    });
    return;
  }
  const uint64_t content = request_->payload_hash;
  node.thread(shard).after(
      way, "request",
      [this, &node, shard, time, token = tokens_, payload = std::move(payload)]() mutable {
        if (!request_ || request_->token != token) return;
        if (!node.serving()) return drop();
        request_->reached = true;
        request_->asked = workload_.scheduler_.now();
        request_->counts = workload_.availability_.counts(request_->group, node.id(), time);
        request_->last_command = workload_.checker_.last_command(request_->group);
        port::Request request;
        request.group = request_->group;
        request.payload = std::move(payload);
        request.deadline = node.service(shard).now() + time;
        request.completion = this;
        request.token = token;
        if (request_->command) return node.service(shard).propose(std::move(request));
        node.service(shard).query(std::move(request));
      },
      content);
  watch_deadline(node, request_->deadline);
}

// A node that stood still has the same time again.
void Workload::Client::watch_deadline(Node& node, Instant since) {
  workload_.harness_.at(
      since + grace, "deadline check", [this, &node, since, token = request_->token] {
        if (!request_ || request_->token != token) return;
        if (node.stood_still_since(since)) return watch_deadline(node, workload_.scheduler_.now());
        workload_.checker_.report(
            "promise: node " + std::to_string(node.id()) +
            " did not answer long after the deadline: " + describe(request_->operations.front()));
      });
}

// ---- encoding ----

namespace {

proto::KvOperation encoded(const Operation& operation, uint8_t flags) {
  proto::KvOperation out;
  out.flags = flags;
  out.key = as_bytes(operation.key);
  switch (operation.kind) {
    case Kind::get: break;
    case Kind::put: out.op = BOP_KV_PUT; break;
    case Kind::remove: out.op = BOP_KV_DELETE; break;
    case Kind::add: out.op = BOP_KV_ADD; break;
    case Kind::append: out.op = BOP_KV_APPEND; break;
  }
  out.value = as_bytes(operation.value);
  out.delta = operation.delta;
  switch (operation.condition) {
    case Condition::none: break;
    case Condition::absent: out.flags |= BOP_KV_IF_ABSENT; break;
    case Condition::present: out.flags |= BOP_KV_IF_PRESENT; break;
    case Condition::value:
      out.flags |= BOP_KV_IF_VALUE;
      out.expected = as_bytes(operation.expected);
      break;
    case Condition::revision:
      out.flags |= BOP_KV_IF_REVISION;
      out.revision = operation.expected_revision;
      break;
  }
  return out;
}

}  // namespace

mem::Buffer Workload::Client::encode(const Asked& asked) {
  if (asked.command) return encode_command(asked);
  if (asked.range) return encode_range(asked);
  std::vector<Bytes> keys;
  for (const Operation& operation : asked.operations) keys.push_back(as_bytes(operation.key));
  return proto::encode_kv_get(arena_, keys);
}

mem::Buffer Workload::Client::encode_range(const Asked& asked) {
  proto::KvRange range;
  range.flags = BOP_KV_PREFIX;
  range.limit = longest_range;
  const std::string prefix = key_prefix(asked.group);
  range.first = as_bytes(prefix);
  return proto::encode_kv_range(arena_, range);
}

mem::Buffer Workload::Client::encode_command(const Asked& asked) {
  std::vector<proto::KvOperation> operations;
  for (size_t i = 0; i < asked.operations.size(); ++i) {
    operations.push_back(encoded(asked.operations[i], asked.flags[i]));
  }
  return proto::encode_kv_command(arena_, operations);
}

// ---- answers ----

void Workload::Client::complete(uint64_t token, const port::Outcome& answer) {
  std::vector<uint8_t> content;
  Writer writer(content);
  writer.u64(token);
  writer.u32(static_cast<uint32_t>(answer.status));
  writer.u64(answer.index);
  workload_.scheduler_.trace().note(workload_.scheduler_.now(), static_cast<uint32_t>(number_),
                                    "answer", hash64(content, hash64(answer.body)));
  if (!request_ || request_->token != token) {
    workload_.checker_.report("promise: client " + std::to_string(number_) +
                              " was answered more than once");
    return;
  }
  for (Operation& operation : request_->operations) {
    operation.returned = workload_.scheduler_.now();
  }
  workload_.availability_.answered(request_->group, request_->node, request_->asked, answer.status,
                                   request_->counts);
  understand(answer);
}

void Workload::Client::understand(const port::Outcome& answer) {
  switch (answer.status) {
    case BOP_OK:
    case BOP_E_CONDITION_FAILED:
      return request_->command ? understand_command(answer) : understand_get(answer);
    case BOP_E_WRONG_TYPE:
    case BOP_E_OVERFLOW:
      workload_.checker_.acknowledged(request_->group, answer.index, request_->payload_hash);
      // Of two, the answer does not tell which; neither changed anything.
      if (request_->operations.size() > 1) return forget();
      return end(answer.status == BOP_E_OVERFLOW ? Outcome::overflow : Outcome::wrong_type);
    case BOP_E_TOO_LARGE:
      ++workload_.counters_.too_large;
      // Of an append whose entry is committed, the new value; else the command itself.
      if (!request_->command || answer.index == 0) return drop();
      workload_.checker_.acknowledged(request_->group, answer.index, request_->payload_hash);
      return forget();
    case BOP_E_OUTCOME_UNKNOWN: return end(Outcome::unknown);
    case BOP_E_TIMEOUT:
    case BOP_E_UNAVAILABLE:
    case BOP_E_OVERLOADED:
    case BOP_E_LOG_FULL:
    case BOP_E_DISK_FULL:
    case BOP_E_SUSPECT:
    case BOP_E_LATCHED:
    case BOP_E_DAMAGED:
    case BOP_E_IO:  // its log could not be read
    case BOP_E_MACHINE:
    case BOP_E_STOPPED: return drop();
    default:
      workload_.checker_.report("promise: a client was answered with " +
                                std::string(bop_error_name(answer.status)) + " " +
                                std::string(answer.detail));
      return drop();
  }
}

void Workload::Client::understand_command(const port::Outcome& answer) {
  workload_.checker_.acknowledged(request_->group, answer.index, request_->payload_hash);
  const bool done = answer.status == BOP_OK;
  proto::KvItems items(answer.body);
  for (size_t i = 0; i < request_->operations.size(); ++i) {
    Operation& operation = request_->operations[i];
    proto::KvItem item;
    if (!items.next(item)) {
      workload_.checker_.report("promise: a malformed answer to " + describe(operation));
      return drop();
    }
    const Operation::Seen whole{item.present, std::string(as_text(item.value)), item.revision};
    if (!done && request_->operations.size() > 1) {
      // Some condition did not hold; the answer tells both records as they are.
      Operation read;
      read.client = operation.client;
      read.key = operation.key;
      read.invoked = operation.invoked;
      read.returned = operation.returned;
      operation = read;
    }
    operation.outcome =
        done || operation.kind == Kind::get ? Outcome::ok : Outcome::condition_failed;
    if (!done || (request_->flags[i] & BOP_KV_RETURN_PREVIOUS)) {
      operation.seen = whole;
    } else if ((request_->flags[i] & BOP_KV_WANT_EXISTED) || operation.kind == Kind::remove) {
      operation.seen = Operation::Seen{item.present, {}, 0};
    }
    if (!done) continue;
    request_->keys[i]->revision = items.position();
    if (operation.kind != Kind::remove) operation.revision = items.position();
    if (operation.kind == Kind::append && item.value.size() == 8) {
      operation.result = load_le<int64_t>(item.value.data());
    }
    if (operation.kind == Kind::add) operation.result = std::atoll(whole.value->c_str());
  }
  if (done) workload_.last_write_[request_->group] = workload_.scheduler_.now();
  ++workload_.counters_.ok;
  record();
}

void Workload::Client::understand_get(const port::Outcome& answer) {
  if (request_->range) return understand_range(answer);
  proto::KvItems items(answer.body);
  saw_state(items.position());
  for (Operation& operation : request_->operations) {
    proto::KvItem item;
    if (!items.next(item)) {
      workload_.checker_.report("promise: a malformed answer to " + describe(operation));
      return drop();
    }
    operation.outcome = Outcome::ok;
    operation.seen = Operation::Seen{item.present, std::string(as_text(item.value)), item.revision};
    saw(items.position(), operation.key, *operation.seen);
  }
  ++workload_.counters_.ok;
  record();
}

// The state at that index, whatever the key: linearizability is checked for each key alone.
void Workload::Client::saw_state(Index index) {
  workload_.checker_.read_answered(request_->node, request_->group, request_->last_command, index);
}

void Workload::Client::saw(Index index, const std::string& key, const Operation::Seen& seen) {
  workload_.checker_.read_shows(
      request_->node, request_->group, index, key,
      seen.present ? KvModel::version(seen.revision, as_bytes(*seen.value)) : KvModel::Version{});
}

// Of each key in use a read; of those behind an answer that was cut short, none.
void Workload::Client::understand_range(const port::Outcome& answer) {
  proto::KvRecords records(answer.body);
  saw_state(records.applied());
  std::map<std::string, Operation::Seen> seen;
  Bytes key;
  proto::KvItem item;
  while (records.next(key, item)) {
    seen[std::string(as_text(key))] = {true, std::string(as_text(item.value)), item.revision};
  }
  if (!records.ok()) {
    workload_.checker_.report("promise: a malformed answer to a range");
    return forget();
  }
  const std::string last = seen.empty() ? std::string() : seen.rbegin()->first;
  std::vector<Operation> operations;
  std::vector<std::shared_ptr<Key>> keys;
  for (size_t i = 0; i < request_->operations.size(); ++i) {
    Operation operation = request_->operations[i];
    if (records.more() && operation.key > last) {
      --request_->keys[i]->open;
      workload_.conclude(*request_->keys[i]);
      continue;
    }
    operation.outcome = Outcome::ok;
    const auto found = seen.find(operation.key);
    operation.seen = found == seen.end() ? Operation::Seen{} : found->second;
    saw(records.applied(), operation.key, *operation.seen);
    operations.push_back(std::move(operation));
    keys.push_back(request_->keys[i]);
  }
  request_->operations = std::move(operations);
  request_->keys = std::move(keys);
  ++workload_.counters_.ok;
  record();
}

void Workload::Client::end(Outcome outcome) {
  for (Operation& operation : request_->operations) {
    operation.outcome = outcome;
    if (outcome == Outcome::unknown) operation.returned = never;
  }
  ++(outcome == Outcome::unknown ? workload_.counters_.unknown : workload_.counters_.other);
  record();
}

void Workload::Client::drop() {
  ++workload_.counters_.refused;
  if (request_->command) workload_.checker_.refused(request_->group, request_->payload_hash);
  forget();
}

void Workload::Client::forget() {
  request_->operations.clear();
  record();
}

void Workload::Client::record() {
  const Asked asked = std::move(*request_);
  request_.reset();
  for (size_t i = 0; i < asked.keys.size(); ++i) {
    if (i < asked.operations.size()) asked.keys[i]->history.push_back(asked.operations[i]);
    --asked.keys[i]->open;
    workload_.conclude(*asked.keys[i]);
  }
  think();
}

void Workload::Client::think() {
  const WorkloadOptions& options = workload_.options_;
  const Duration time = random_.between(options.think_shortest, options.think_longest);
  workload_.harness_.after(time, "client", [this] { ask(); }, number_);
}

void Workload::Client::node_ended(NodeId node) {
  if (!request_ || request_->node != node) return;
  if (request_->reached) return end(Outcome::unknown);
  drop();
}

// ---- the workload ----

Workload::Workload(Scheduler& scheduler, Thread& harness, StateChecker& checker,
                   Availability& availability, std::vector<std::unique_ptr<Node>>& nodes,
                   std::vector<GroupId> groups, const WorkloadOptions& options)
    : scheduler_(scheduler),
      harness_(harness),
      checker_(checker),
      availability_(availability),
      nodes_(nodes),
      groups_(std::move(groups)),
      options_(options) {
  for (const GroupId group : groups_) {
    for (uint32_t slot = 0; slot < options_.keys; ++slot) replace(slot, group);
  }
  for (uint32_t i = 0; i < options_.clients; ++i) {
    clients_.push_back(std::make_unique<Client>(*this, 1'000'000 + i));
  }
}

Workload::~Workload() = default;

void Workload::start() {
  for (const auto& client : clients_) client->ask();
}

bool Workload::idle() const {
  return std::none_of(clients_.begin(), clients_.end(),
                      [](const auto& client) { return client->waits(); });
}

void Workload::node_ended(NodeId node) {
  for (const auto& client : clients_) client->node_ended(node);
}

GroupId Workload::pick_group(Random& random) const {
  const std::vector<uint32_t>& shares = options_.group_shares;
  if (calm_ || shares.empty()) return groups_[random.below(groups_.size())];
  uint64_t all = 0;
  for (const uint32_t share : shares) all += share;
  uint64_t at = random.below(all);
  size_t group = 0;
  while (at >= shares[group]) at -= shares[group++];
  return groups_[group];
}

std::shared_ptr<Workload::Key> Workload::pick_key(GroupId group, Random& random) {
  const auto slot = static_cast<uint32_t>(random.below(options_.keys));
  std::shared_ptr<Key> key = keys_.at({group, slot});
  if (key->asked >= options_.operations_a_key) {
    retired_.push_back(key);
    replace(slot, group);
    conclude(*key);
    key = keys_.at({group, slot});
  }
  return key;
}

void Workload::replace(uint32_t slot, GroupId group) {
  auto key = std::make_shared<Key>();
  key->group = group;
  key->number = slot % 2 == 1;
  key->name = key_prefix(group) + std::to_string(slot) + "." + std::to_string(++generation_);
  keys_[{group, slot}] = std::move(key);
}

void Workload::conclude(const Key& key) {
  if (key.open > 0) return;
  const auto done = std::find_if(retired_.begin(), retired_.end(),
                                 [&](const auto& retired) { return retired.get() == &key; });
  if (done == retired_.end()) return;
  check(**done);
  retired_.erase(done);
}

void Workload::check_all() {
  BOP_ASSERT(idle());
  BOP_ASSERT(retired_.empty());
  for (const auto& [slot, key] : keys_) check(*key);
}

void Workload::check(const Key& key) {
  ++counters_.keys;
  if (history_file_ != nullptr) {
    for (const Operation& operation : key.history) {
      std::fprintf(history_file_, "%s\n", to_json_line(operation).c_str());
    }
  }
  const CheckResult result = check_history(key.history, limits);
  counters_.peak_configurations =
      std::max<uint64_t>(counters_.peak_configurations, result.peak_configurations);
  if (result.verdict == Verdict::undecided) ++counters_.undecided;
  if (result.verdict == Verdict::violated) {
    checker_.report("linearizability: key " + key.name + ": " + result.why);
  }
}

Instant Workload::last_write(GroupId group) const {
  const auto found = last_write_.find(group);
  return found == last_write_.end() ? 0 : found->second;
}

}  // namespace bop::sim

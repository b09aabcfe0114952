// bop/node.h.
#include "bop/node.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/logging.h"
#include "bop/kv.h"
#include "capi/handles.h"
#include "capi/node/calls.h"
#include "capi/node/runtime.h"
#include "capi/queue.h"
#include "capi/shell.h"
#include "serve/status_json.h"

using bop::Result;
using bop::Status;
using bop::capi::Completions;
using bop::capi::guarded;
using bop::capi::known;
using bop::capi::Runtime;
using bop::capi::Settings;
using bop::capi::ShardCalls;

namespace {

constexpr uint32_t default_timeout_ms = 5000;
constexpr uint32_t max_calls = 65536;  // in flight, even if the queue has a larger capacity
constexpr size_t max_payload_bytes = 4u << 20;  // above the limit of any machine

using Machines = std::map<std::string, const bop_machine_table*, std::less<>>;

Result<Machines> read_machines(const bop_node_options& options) {
  Machines machines{{"kv", bop_kv_machine()}};
  for (size_t i = 0; i < options.machine_count; ++i) {
    const bop_machine_table* table = options.machines[i];
    if (table == nullptr || table->kind == nullptr || table->abi != BOP_MACHINE_ABI) {
      return bop::fail(
          BOP_E_INVALID_ARGUMENT,
          "machine " + std::to_string(i) + " has no kind, or its abi is not BOP_MACHINE_ABI");
    }
    if (!machines.emplace(table->kind, table).second) {
      return bop::fail(BOP_E_INVALID_ARGUMENT,
                       std::string("the machine kind ") + table->kind + " appears twice");
    }
  }
  return machines;
}

// For nodes that are used only through their sockets.
void drop_completion(void*, const bop_completion*) {}

Result<Completions> read_completions(const bop_node_options& options) {
  if (options.queue == nullptr && options.callback == nullptr) {
    return Completions::of(nullptr, drop_completion, nullptr);
  }
  return Completions::of(options.queue, options.callback, options.context);
}

// Whether the node is ready, as of the latest answer of a shard.
class Readiness {
 public:
  using Clock = std::chrono::steady_clock;

  // Returns the latest answer and asks again. A question that stays unanswered for `patience` means that no shard
  // runs: not ready.
  bool look(Runtime& runtime) {
    const bool overdue = asking_ && Clock::now() - asked_at_.load() > patience;
    if (!asking_.exchange(true)) {
      asked_at_ = Clock::now();
      runtime.on_any_shard([this](bop::node::Service& service) {
        service.status([this](const bop::node::NodeStatus& status) {
          ready_ = bop::node::not_ready_reasons(status).empty();
          asking_ = false;
        });
      });
    }
    return ready_ && !overdue;
  }

 private:
  static constexpr auto patience = std::chrono::seconds(3);
  std::atomic<bool> ready_ = false;
  std::atomic<bool> asking_ = false;
  std::atomic<Clock::time_point> asked_at_ = Clock::time_point();
};

}  // namespace

struct bop_node {
  explicit bop_node(const Completions& given) : completions(given) {}

  // Reserves a completion, in the queue and within max_calls.
  Status reserve();
  void cancel_reservation();

  Status submit(const bop_request& request, bool command);
  Status ask_status(uint64_t tag);
  void stop(bop::Duration grace);

  // Releases the node's part of the reservation, then completes the call.
  static void on_complete(void* context, const bop_completion* completion) {
    auto* node = static_cast<bop_node*>(context);
    node->under_way.fetch_sub(1, std::memory_order_relaxed);
    node->completions.complete(*completion);
  }

  const Completions completions;  // the caller's
  const Completions counting = *Completions::of(nullptr, on_complete, this);
  std::atomic<uint32_t> under_way = 0;  // calls in flight
  std::atomic<bool> stopping = false;
  mutable Readiness readiness;
  std::unique_ptr<Runtime> runtime;
  std::vector<std::unique_ptr<ShardCalls>> shards;  // outlive the runtime, which answers them
  std::mutex status_mutex;
  std::multiset<uint64_t> status_tags;  // of status calls in flight

 private:
  void complete_status(uint64_t tag, int32_t status, const std::string& text);
};

Status bop_node::reserve() {
  if (stopping) return bop::fail(BOP_E_STOPPED);
  if (under_way.fetch_add(1, std::memory_order_relaxed) >= max_calls || !completions.reserve()) {
    under_way.fetch_sub(1, std::memory_order_relaxed);
    return bop::fail(BOP_E_OVERLOADED, "too many calls in flight");
  }
  return {};
}

void bop_node::cancel_reservation() {
  under_way.fetch_sub(1, std::memory_order_relaxed);
  completions.cancel_reservation();
}

Status bop_node::submit(const bop_request& request, bool command) {
  if (request.payload.data == nullptr && request.payload.size > 0) {
    return bop::fail(BOP_E_INVALID_ARGUMENT);
  }
  if (request.payload.size > max_payload_bytes) return bop::fail(BOP_E_TOO_LARGE);
  bop::capi::NodeCall call;
  call.group = request.group;
  if (call.group == 0) {
    BOP_TRY_ASSIGN(call.group,
                   runtime->find_group(request.group_name == nullptr ? "kv" : request.group_name));
  }
  const uint32_t shard = runtime->shard_of(call.group);
  if (shard >= shards.size()) return bop::fail(BOP_E_NO_GROUP);
  call.tag = request.tag;
  call.command = command;
  call.timeout =
      (request.timeout_ms == 0 ? default_timeout_ms : request.timeout_ms) * bop::milliseconds;
  BOP_TRY(reserve());
  call.payload = bop::mem::Buffer::copy({request.payload.data, request.payload.size});
  Status submitted = shards[shard]->submit(std::move(call));
  if (!submitted) cancel_reservation();
  return submitted;
}

Status bop_node::ask_status(uint64_t tag) {
  BOP_TRY(reserve());
  {
    const std::lock_guard lock(status_mutex);
    status_tags.insert(tag);
  }
  runtime->on_any_shard([this, tag](bop::node::Service& service) {
    service.status([this, tag](const bop::node::NodeStatus& status) {
      {
        const std::lock_guard lock(status_mutex);
        status_tags.erase(status_tags.find(tag));
      }
      complete_status(tag, BOP_OK, bop::serve::status_json(status));
    });
  });
  return {};
}

void bop_node::complete_status(uint64_t tag, int32_t status, const std::string& text) {
  bop_completion completion{};
  completion.tag = tag;
  completion.status = status;
  completion.attempts = 1;
  completion.body = {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  completion.detail = "";
  on_complete(this, &completion);
}

void bop_node::stop(bop::Duration grace) {
  stopping = true;
  for (const auto& shard : shards) shard->close();
  runtime->stop(grace);
  runtime.reset();
  for (const auto& shard : shards) shard->abandon();
  for (const uint64_t tag : status_tags) complete_status(tag, BOP_E_STOPPED, {});
}

namespace {

// Checks that the program has the machines of this node's groups.
Status check_machines(const Settings& settings, const Machines& machines) {
  for (const bop::capi::GroupSpec& group : settings.node.groups) {
    const bool here = std::ranges::binary_search(group.voters, settings.node.self);
    if (!here || machines.contains(group.machine)) continue;
    std::string known;
    for (const auto& [kind, table] : machines) known += (known.empty() ? "" : ", ") + kind;
    return bop::fail(BOP_E_BAD_CONFIG, "groups: group " + group.name + ": unknown machine \"" +
                                           group.machine + "\"; this program has: " + known);
  }
  return {};
}

Status check_node(const bop_config& config, const bop_node_options& options) {
  BOP_TRY_ASSIGN(const Settings settings, config.config.settings());
  BOP_TRY_ASSIGN(const Machines machines, read_machines(options));
  return check_machines(settings, machines);
}

Status start_node(const bop_config& config, const bop_node_options& options, bop_node** out) {
  BOP_TRY_ASSIGN(const Settings settings, config.config.settings());
  BOP_TRY_ASSIGN(Machines machines, read_machines(options));
  BOP_TRY(check_machines(settings, machines));
  BOP_TRY_ASSIGN(const Completions completions, read_completions(options));
  if (settings.insecure) {
    bop::logging::warning("insecure: nothing is encrypted or authenticated on any address");
  }
  auto node = std::make_unique<bop_node>(completions);
  BOP_TRY_ASSIGN(node->runtime,
                 Runtime::start(settings, [machines = std::move(machines)](std::string_view kind) {
                   const auto found = machines.find(kind);
                   return found == machines.end() ? nullptr : found->second;
                 }));
  for (uint32_t shard = 0; shard < node->runtime->shards(); ++shard) {
    node->shards.push_back(std::make_unique<ShardCalls>(*node->runtime, shard, node->counting));
  }
  *out = node.release();
  return {};
}

int32_t submit(bop_node* node, const bop_request* request, bool command) {
  if (node == nullptr || request == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&]() -> int32_t {
    const Status submitted = node->submit(known(request), command);
    return submitted ? static_cast<int32_t>(BOP_OK) : submitted.error().code;
  });
}

}  // namespace

int32_t bop_node_check(const bop_config* config, const bop_node_options* options, char* error,
                       size_t error_capacity) {
  if (config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    return bop::capi::give(check_node(*config, known(options)), error, error_capacity);
  });
}

int32_t bop_node_reload(bop_node* node, const bop_config* config, char* error,
                        size_t error_capacity) {
  if (node == nullptr || config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&]() -> int32_t {
    const auto settings = config->config.settings();
    if (!settings) return bop::capi::give(settings.error(), error, error_capacity);
    node->runtime->reload(*settings);
    return BOP_OK;
  });
}

int32_t bop_node_format(const bop_config* config, char* error, size_t error_capacity) {
  if (config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    const auto settings = config->config.settings();
    const Status formatted =
        settings ? Runtime::format(*settings) : Status(std::unexpected(settings.error()));
    return bop::capi::give(formatted, error, error_capacity);
  });
}

int32_t bop_node_start(const bop_config* config, const bop_node_options* options, bop_node** node,
                       char* error, size_t error_capacity) {
  if (config == nullptr || node == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    return bop::capi::give(start_node(*config, known(options), node), error, error_capacity);
  });
}

void bop_node_stop(bop_node* node, uint32_t timeout_ms) {
  if (node == nullptr) return;
  (void)guarded([&] {
    node->stop((timeout_ms == 0 ? default_timeout_ms : timeout_ms) * bop::milliseconds);
    return BOP_OK;
  });
  delete node;
}

int32_t bop_node_group(const bop_node* node, const char* name, uint64_t* group) {
  if (node == nullptr || name == nullptr || group == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&]() -> int32_t {
    const auto found = node->runtime->find_group(name);
    if (!found) return found.error().code;
    *group = *found;
    return BOP_OK;
  });
}

int32_t bop_node_propose(bop_node* node, const bop_request* request) {
  return submit(node, request, true);
}

int32_t bop_node_query(bop_node* node, const bop_request* request) {
  return submit(node, request, false);
}

int32_t bop_node_status(bop_node* node, uint64_t tag) {
  if (node == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&]() -> int32_t {
    const Status asked = node->ask_status(tag);
    return asked ? static_cast<int32_t>(BOP_OK) : asked.error().code;
  });
}

int32_t bop_node_ready(const bop_node* node) {
  if (node == nullptr) return 0;
  return guarded([&] { return node->readiness.look(*node->runtime) ? 1 : 0; });
}

const char* bop_node_address(const bop_node* node, const char* listener) {
  if (node == nullptr || listener == nullptr) return nullptr;
  const std::string& address = node->runtime->address(listener);
  return address.empty() ? nullptr : address.c_str();
}

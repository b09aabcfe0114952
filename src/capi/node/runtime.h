// A running node: wires io and net to node and serve.
//
//   thread 0: loop ─ files ─ shard 0 ─ connections      peers, listeners, liveness
//   thread k: loop ─ files ─ shard k ─ connections
//
// start() performs everything that blocks before it returns. If it fails, no thread, socket or lock remains.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "bop/machine.h"
#include "capi/settings.h"
#include "node/service.h"

namespace bop::capi {

using FindMachine = std::function<const bop_machine_table*(std::string_view kind)>;

class Runtime {
 public:
  // Creates the data directory and its format file, durably. ALREADY_FORMATTED if it is formatted for this
  // configuration; FOREIGN_DIRECTORY, NEWER_FORMAT, DAMAGED, BAD_CONFIG if it is formatted otherwise;
  // DIRECTORY_IN_USE, IO.
  static Status format(const Settings& settings);

  static Result<std::unique_ptr<Runtime>> start(const Settings& settings, FindMachine find_machine);
  // Without stop() it ends the node as a crash would.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Refuses new requests, transfers leaderships, completes requests in flight, lets machines sync and closes client
  // connections, all within about `grace`. Blocks.
  void stop(Duration grace);

  // Applies the keys that can change while the node runs (config_keys.cpp). They take effect soon. Any thread.
  void reload(const Settings& settings);

  uint32_t shards() const;
  // Runs `task` on the shard's thread with the shard's service. Any thread.
  void on_shard(uint32_t shard, std::function<void(node::Service&)> task);
  // Runs `task` once, on whichever shard's thread runs it first: a thread that is stuck delays nothing. Any
  // thread.
  void on_any_shard(std::function<void(node::Service&)> task);
  // The shard of a group; shards() if the node has no such group. Any thread.
  uint32_t shard_of(GroupId group) const;
  Result<GroupId> find_group(std::string_view name) const;

  // HOST:PORT of the listener "native", "resp", "http" or "peer"; empty: no such listener.
  const std::string& address(std::string_view listener) const;
  metrics::Registry& registry();

 private:
  struct State;
  explicit Runtime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bop::capi

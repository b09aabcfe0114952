// A node at work in this process: where io and net are wired to node and serve, visibly.
//
//   thread 0: loop ─ files ─ shard 0 ─ connections      peers, listeners, liveness
//   thread k: loop ─ files ─ shard k ─ connections
//
// start() does everything that blocks before it returns. What goes wrong there leaves no thread, no
// socket and no lock behind.
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
  // Makes the data directory and its format file, durably. ALREADY_FORMATTED when it is there
  // for this configuration, else as start; DIRECTORY_IN_USE, IO.
  static Status format(const Settings& settings);

  static Result<std::unique_ptr<Runtime>> start(const Settings& settings, FindMachine find_machine);
  // As a crash does, when stop() was not called.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Refuses new requests, gives up leading, answers what is under way, lets machines sync and closes
  // the clients' connections, all within about `grace`. Blocks.
  void stop(Duration grace);

  uint32_t shards() const;
  // Runs `task` on that shard's thread, with its service. Any thread.
  void on_shard(uint32_t shard, std::function<void(node::Service&)> task);
  // Where a group lives; shards() when it is not here. Any thread.
  uint32_t shard_of(GroupId group) const;
  Result<GroupId> find_group(std::string_view name) const;

  // "127.0.0.1:7100" of "native", "resp", "http" or "peer"; empty: not served.
  const std::string& address(std::string_view listener) const;
  metrics::Registry& registry();

 private:
  struct State;
  explicit Runtime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bop::capi

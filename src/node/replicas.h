// The replicas of one shard, each with the workers of its machine: how they are opened and found.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <vector>

#include "group/replica.h"
#include "group/token_bucket.h"
#include "log/log.h"
#include "node/shard.h"

namespace bop::node {

class Replicas {
 public:
  Replicas(const ShardOptions& options, const ShardPorts& ports, log::Log& log, group::Host& host)
      : options_(options), ports_(ports), log_(log), host_(host) {}

  // Opens those of this shard's groups, blocking. A replica that cannot be opened is halted, and the others
  // serve; an error that ends the start is returned.
  Status open();
  // Instead of open(), when the log could not be opened: all of the shard's groups are halted with `reason`.
  Status halt_all(const Error& reason);

  // nullptr: no group of this shard has that id.
  group::Replica* find(GroupId group) const;
  // All of them, by id of the group.
  auto all() const {
    return hosted_ | std::views::values |
           std::views::transform(
               [](const Hosted& hosted) -> group::Replica& { return *hosted.replica; });
  }
  size_t size() const { return hosted_.size(); }
  // The next `count` of them behind the group `last`, and again from the first.
  std::vector<group::Replica*> next(GroupId last, size_t count) const;
  bool idle() const;

  // Nothing while the first entry of a new group is not durable yet, or a machine is being restored; else whether the
  // node may start.
  std::optional<Status> opened() const;

  void check_invariants() const;

 private:
  // Destroyed in the reverse order: the replica uses the workers.
  struct Hosted {
    std::unique_ptr<machine::Offload> offload;
    std::unique_ptr<group::Replica> replica;
  };

  Status open_one(const GroupSpec& spec);
  Result<group::ReplicaOptions> options_of(const GroupSpec& spec) const;
  Status take_machine(group::ReplicaOptions& options, const GroupSpec& spec) const;
  std::string directory_of(GroupId group, uint64_t instance) const;
  void remove_other_instances(const group::ReplicaOptions& options) const;
  group::ReplicaPorts ports_for(machine::Offload& offload);
  Result<std::unique_ptr<machine::Offload>> make_offload() const;
  void take(Hosted hosted);
  Result<std::unique_ptr<group::Replica>> recover(const group::ReplicaOptions& options,
                                                  const group::ReplicaPorts& ports);
  const log::RecoveredGroup* recovered(GroupId group) const;

  const ShardOptions& options_;
  const ShardPorts& ports_;
  log::Log& log_;
  group::Host& host_;
  std::unique_ptr<port::Worker> bulk_;                 // of all machines, for their snapshots
  std::optional<group::TokenBucket> snapshot_budget_;  // of this shard's groups
  std::map<GroupId, Hosted> hosted_;
  std::vector<const group::Replica*> opening_;  // those that were not opened() when open() returned
};

// Whether the error ends the start of the node: the operator has to act before it serves at all. Other errors
// concern one store or one log, and the rest of the node serves without it.
bool store_error_ends_start(const ShardOptions& options, bop_status error);
bool log_error_ends_start(const ShardOptions& options, bop_status error);

}  // namespace bop::node

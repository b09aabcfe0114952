// Scrubs the stored state of a shard's machines, one after the other, within the node's budget of bytes per second: one
// timer a shard, however many groups it has.
#pragma once

#include <memory>

#include "node/replicas.h"
#include "node/shard.h"

namespace bop::node {

class Scrubber {
 public:
  Scrubber(const ShardOptions& options, const ShardPorts& ports, const Replicas& replicas);

  void start();
  void stop();                           // final
  void set_bytes_per_s(uint64_t bytes);  // of the whole node

 private:
  void tick();
  void arm();
  uint64_t share() const;  // of this shard, in bytes per second
  Duration interval() const;

  const uint32_t shards_;
  const port::Clock& clock_;
  const Replicas& replicas_;
  std::unique_ptr<port::Timer> timer_;
  uint64_t bytes_per_s_;
  bool running_ = false;
  GroupId group_ = 0;          // whose machine is scrubbed
  uint64_t passes_ = 0;        // of it, when its turn began
  bool turn_is_over_ = false;  // it has nothing to scrub
};

}  // namespace bop::node

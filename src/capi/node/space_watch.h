// Measures the free space of the data directory's file system and the size of each group's store every 5 s on a worker
// thread, and publishes them as metrics. The node is told the free space.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "io/loop.h"
#include "port/post.h"
#include "port/timer.h"

namespace bop::capi {

class SpaceWatch {
 public:
  struct Store {
    std::string group;  // its name
    uint32_t shard = 0;
    std::string directory;  // of the group, with its machine's instances
  };

  // `heard` is called on the loop's thread after each measurement. The worker must be destroyed before this object.
  SpaceWatch(io::Loop& loop, port::Worker& worker, metrics::Registry& registry,
             std::string data_directory, std::vector<Store> stores,
             std::function<void(uint64_t free_bytes)> heard);

  void start();

 private:
  struct Measured {
    bool known = false;  // the sizes of the file system could be read
    uint64_t free_bytes = 0, size_bytes = 0;
    std::vector<uint64_t> stores;  // bytes, in the order of stores_
  };

  void measure();
  void take(const Measured& measured);

  io::Loop& loop_;
  port::Worker& worker_;
  metrics::Registry& registry_;
  const std::string data_directory_;
  const std::vector<Store> stores_;
  const std::function<void(uint64_t)> heard_;
  std::unique_ptr<port::Timer> timer_;
};

}  // namespace bop::capi

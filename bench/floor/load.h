// A closed loop over some connections: each keeps `pipeline` requests under way.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench_floor {

struct LoadOptions {
  uint16_t port = 0;
  size_t clients = 1;
  size_t pipeline = 1;
  size_t value_bytes = 256;
  double seconds = 5;
  std::vector<pid_t> servers;  // whose CPU time is counted
};

// {"clients":64,"pipeline":1,"value_bytes":256,"ops":…,"ops_per_s":…,"p50_us":…,"p99_us":…,"max_us":…,
//  "cpu_us_per_op":…}; the last is null without servers.
std::string run_load(const LoadOptions& options);

}  // namespace bench_floor

// A leader and its two followers: the simplest durable replication there is.
//
//   client  → leader    u32 size, bytes           leader → client    u64 count of commits, in order
//   leader  → follower  u64 number, u32 size, the requests gathered as they came
//   follower → leader   u64 number of the last batch on its disk
//
// While one write is under way the next batch gathers. A batch is answered when two of the three have it
// on disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench_floor {

struct ServerOptions {
  uint16_t port = 0;                // of the clients, or of the leader
  std::vector<uint16_t> followers;  // their ports; none: this is a follower
  std::string path;
  uint64_t file_bytes = 64u << 20;
};

[[noreturn]] void run_leader(const ServerOptions& options);
[[noreturn]] void run_follower(const ServerOptions& options);

}  // namespace bench_floor

// The three processes, started and stopped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bench_floor {

class Cluster {
 public:
  // Files go to `directory`/floor-1..3; ports are base_port (of the clients) and the two above.
  Cluster(const std::string& directory, uint16_t base_port, uint64_t file_bytes);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  const std::vector<pid_t>& processes() const { return processes_; }

 private:
  std::vector<pid_t> processes_;
  std::vector<std::string> paths_;
};

}  // namespace bench_floor

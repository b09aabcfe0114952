#include "cluster.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "server.h"
#include "sockets.h"

namespace bench_floor {

namespace {

pid_t start(const ServerOptions& options) {
  const pid_t process = fork();
  if (process < 0) die("fork");
  if (process > 0) return process;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (options.followers.empty()) run_follower(options);
  run_leader(options);
}

}  // namespace

Cluster::Cluster(const std::string& directory, uint16_t base_port, uint64_t file_bytes) {
  refuse_tmpfs(directory);
  for (int node = 1; node <= 3; ++node) {
    paths_.push_back(directory + "/floor-" + std::to_string(node));
    ServerOptions options{.port = static_cast<uint16_t>(base_port + node - 1),
                          .followers = {},
                          .path = paths_.back(),
                          .file_bytes = file_bytes};
    if (node == 1) {
      options.followers = {static_cast<uint16_t>(base_port + 1),
                           static_cast<uint16_t>(base_port + 2)};
    }
    processes_.push_back(start(options));
  }
}

Cluster::~Cluster() {
  for (const pid_t process : processes_) kill(process, SIGKILL);
  for (const pid_t process : processes_) waitpid(process, nullptr, 0);
  for (const std::string& path : paths_) unlink(path.c_str());
}

}  // namespace bench_floor

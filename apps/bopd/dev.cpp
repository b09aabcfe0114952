// bopd dev: a cluster on this machine, in the foreground.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bop/bop.h"
#include "cluster.h"
#include "signals.h"

namespace {

namespace fs = std::filesystem;

constexpr int poll_ms = 20;
// How long a cluster that serves requests waits for its remaining nodes.
constexpr std::chrono::seconds grace(5);

// A cluster in the foreground also ends when its terminal closes.
bool ends(int signal) { return is_stop(signal) || signal == SIGHUP; }

// The directory of the cluster. A temporary one is removed at the end.
class DevDirectory {
 public:
  explicit DevDirectory(const std::string& given) {
    std::error_code error;
    if (!given.empty()) {
      path_ = fs::absolute(given, error).lexically_normal();
      return;
    }
    std::string name = (fs::temp_directory_path(error) / "bop-dev-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) return;
    path_ = name;
    temporary_ = true;
  }
  ~DevDirectory() {
    std::error_code error;
    if (temporary_) fs::remove_all(path_, error);
    if (error) std::fprintf(stderr, "bopd dev: cannot remove %s\n", path_.c_str());
  }
  const fs::path& path() const { return path_; }
  bool temporary() const { return temporary_; }

 private:
  fs::path path_;
  bool temporary_ = false;
};

// The file of --ready-file: exists while the cluster serves requests.
class ReadyFile {
 public:
  explicit ReadyFile(const std::string& path) : path_(path) { remove(); }
  ~ReadyFile() { remove(); }

  // Called before the cluster is started.
  bool can_be_written() const {
    if (path_.empty()) return true;
    const std::string aside = path_ + ".new";
    const bool can = std::ofstream(aside).good();
    if (can) unlink(aside.c_str());
    return can;
  }

  bool write(const Cluster& cluster) const {
    if (path_.empty()) return true;
    nlohmann::ordered_json nodes = nlohmann::ordered_json::array();
    for (const DevNode& node : cluster.nodes()) {
      nodes.push_back({{"id", node.id},
                       {"pid", node.pid},
                       {"dir", node.directory.string()},
                       {"native", node.native},
                       {"resp", node.resp},
                       {"http", node.http},
                       {"peer", node.peer}});
    }
    const nlohmann::ordered_json document{{"cluster", cluster.cluster_id()}, {"nodes", nodes}};
    const std::string aside = path_ + ".new";
    {
      std::ofstream file(aside, std::ios::trunc);
      file << document.dump() << "\n";
      file.flush();
      if (!file) return false;
    }
    return std::rename(aside.c_str(), path_.c_str()) == 0;
  }

 private:
  void remove() const {
    if (!path_.empty()) unlink(path_.c_str());
  }
  const std::string path_;
};

void print_welcome(const Cluster& cluster, const DevDirectory& directory) {
  std::printf("bop %s: %zu node%s, cluster %s\ndata in %s%s\n", bop_version(),
              cluster.nodes().size(), cluster.nodes().size() == 1 ? "" : "s",
              cluster.cluster_id().c_str(), directory.path().c_str(),
              directory.temporary() ? " (temporary, removed at the end)" : "");
  for (const DevNode& node : cluster.nodes()) {
    std::printf("  node %u  native %s  resp %s  http %s  peer %s  pid %d\n", node.id,
                node.native.c_str(), node.resp.c_str(), node.http.c_str(), node.peer.c_str(),
                node.pid);
  }
  const DevNode& first = cluster.nodes().front();
  const DevNode& last = cluster.nodes().back();
  const std::string port = first.resp.substr(first.resp.rfind(':') + 1);
  std::printf(
      "try:\n"
      "  redis-cli -p %s set greeting hello\n"
      "  curl http://%s/v1/kv/greeting\n"
      "  bop --endpoint %s status\n"
      "Ctrl-C stops all nodes\n",
      port.c_str(), last.http.c_str(), first.native.c_str());
  std::fflush(stdout);
}

// Prints the last log messages of each node that exited: they have the reason.
void print_last_lines(const Cluster& cluster) {
  for (const DevNode& node : cluster.nodes()) {
    if (node.pid != 0) continue;
    std::ifstream file(cluster.log_of(node));
    file.seekg(static_cast<std::streamoff>(node.log_begin));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
    const size_t first = lines.size() > 5 ? lines.size() - 5 : 0;
    for (size_t i = first; i < lines.size(); ++i) {
      std::fprintf(stderr, "  node %u: %s\n", node.id, lines[i].c_str());
    }
  }
}

// ok if the cluster serves requests or a signal ended the wait (`stopped`); otherwise the exit code of a node that
// exited.
Exit wait_until_ready(Cluster& cluster, const sigset_t& signals, bool& stopped) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point not_serving = Clock::now();
  for (int polls = 1;; ++polls) {
    const int signal = wait_for_signal(signals, poll_ms);
    if (ends(signal)) {
      stopped = true;
      return ok;
    }
    if (const std::optional<int> ended = cluster.reap()) {
      print_last_lines(cluster);
      return *ended == ok ? failed : static_cast<Exit>(*ended);
    }
    const Cluster::Standing standing = cluster.standing();
    if (!standing.serves) not_serving = Clock::now();
    const bool ready = standing.serves && (standing.whole || Clock::now() - not_serving > grace);
    if (ready || polls == 500) {
      if (!ready) std::fputs("bopd dev: still waiting for the cluster to serve requests\n", stderr);
      for (const std::string& problem : standing.problems)
        std::fprintf(stderr, "bopd dev: %s\n", problem.c_str());
    }
    if (ready) return ok;
  }
}

}  // namespace

Exit dev(const DevArguments& arguments) {
  const sigset_t signals = block_signals();
  if (arguments.base_port + 10 * (arguments.nodes - 1) + 3 > UINT16_MAX) {
    return complain(BOP_E_INVALID_ARGUMENT,
                    "--base-port: the ports of the last node would be above 65535");
  }
  const DevDirectory directory(arguments.data);
  if (directory.path().empty()) return complain(BOP_E_IO, "cannot create a temporary directory");
  const ReadyFile ready_file(arguments.ready_file);
  if (!ready_file.can_be_written())
    return complain(BOP_E_IO, arguments.ready_file + " cannot be written");
  Cluster cluster(arguments, directory.path());
  if (const int32_t status = cluster.check_ports(); status != BOP_OK) return exit_of(status);
  if (const int32_t status = cluster.configure(); status != BOP_OK) return exit_of(status);
  if (const int32_t status = cluster.spawn(); status != BOP_OK) return exit_of(status);

  bool stopped = false;
  const Exit waited = wait_until_ready(cluster, signals, stopped);
  if (waited != ok) return waited;
  if (!stopped) {
    print_welcome(cluster, directory);
    if (!ready_file.write(cluster)) {
      return complain(BOP_E_IO, arguments.ready_file + " cannot be written");
    }
  }
  while (!stopped) {
    stopped = ends(wait_for_signal(signals, 1000));
    cluster.reap();  // a node that died is not restarted
  }
  cluster.stop();
  return ok;
}

#include "cluster.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "bop/node.h"
#include "durable_file.h"

namespace {

namespace fs = std::filesystem;

std::string loopback(uint32_t port) { return "127.0.0.1:" + std::to_string(port); }

std::string new_cluster_id() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(device()));
    id += digits;
  }
  return id;
}

bool is_free(uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return true;  // the node will report the error
  const int yes = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int bound = bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address);
  const bool in_use = bound != 0 && errno == EADDRINUSE;
  close(descriptor);
  return !in_use;
}

// How a node's process is started: signal mask, process group, standard streams.
class SpawnPlan {
 public:
  explicit SpawnPlan(const fs::path& log) {
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setpgroup(&attributes_,
                              0);  // Ctrl-C signals only the parent, which stops the nodes
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // Starts bopd. 0, or an errno.
  int run(std::vector<std::string> arguments, pid_t& pid) const {
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    return posix_spawn(&pid, "/proc/self/exe", &actions_, &attributes_, pointers.data(), environ);
  }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

}  // namespace

Cluster::Cluster(const DevArguments& arguments, fs::path directory)
    : arguments_(arguments), directory_(std::move(directory)) {
  for (uint32_t k = 1; k <= arguments.nodes; ++k) {
    const uint32_t port = arguments.base_port + 10 * (k - 1);
    nodes_.push_back({k, directory_ / std::to_string(k), loopback(port), loopback(port + 1),
                      loopback(port + 2), loopback(port + 3)});
  }
}

Cluster::~Cluster() {
  stop();
  bop_client_close(client_);
  bop_queue_destroy(queue_);
}

int32_t Cluster::check_ports() const {
  for (const DevNode& node : nodes_) {
    for (const std::string& address : {node.native, node.resp, node.http, node.peer}) {
      if (is_free(static_cast<uint16_t>(std::stoul(address.substr(address.rfind(':') + 1))))) {
        continue;
      }
      complain(
          BOP_E_ADDRESS_IN_USE,
          address +
              " is in use by another process; stop it, or choose other ports with --base-port");
      return BOP_E_ADDRESS_IN_USE;
    }
  }
  return BOP_OK;
}

std::string Cluster::peers() const {
  std::string list;
  for (const DevNode& node : nodes_) {
    list += (list.empty() ? "[" : ", ") + std::string("{id = ") + std::to_string(node.id) +
            ", address = \"" + node.peer + "\", native = \"" + node.native + "\"}";
  }
  return list + "]";
}

// Takes the cluster id from an existing cluster in the directory, if there is one: from the first file that lists its
// nodes. One that does not, as an empty file that a power failure left, is written again if another has the id.
int32_t Cluster::adopt() {
  std::string incomplete;
  for (const DevNode& node : nodes_) {
    const fs::path file = node.directory / "bopd.toml";
    if (!fs::exists(file)) continue;
    Sources sources;
    sources.file = file.string();
    const Loaded there = load(sources);
    if (there.status != BOP_OK) {
      complain(there.status, there.error);
      return there.status;
    }
    const std::string all = text_of(there.config.get(), "peers");
    size_t count = 0;
    for (size_t at = 0; (at = all.find("address", at)) != std::string::npos; ++at) ++count;
    if (count == 0) {
      if (incomplete.empty()) incomplete = file.string();
      continue;
    }
    cluster_id_ = text_of(there.config.get(), "cluster_id");
    if (count == nodes_.size()) return BOP_OK;
    complain(BOP_E_INVALID_ARGUMENT, directory_.string() + " contains a cluster of " +
                                         std::to_string(count) + " nodes, not " +
                                         std::to_string(nodes_.size()) + "; see --nodes");
    return BOP_E_INVALID_ARGUMENT;
  }
  if (incomplete.empty()) {
    cluster_id_ = new_cluster_id();
    return BOP_OK;
  }
  complain(BOP_E_BAD_CONFIG,
           incomplete +
               " lists no nodes: it is empty or was not written by bopd dev; remove it and "
               "start again (with --set cluster_id=ID to keep the data beside it)");
  return BOP_E_BAD_CONFIG;
}

int32_t Cluster::configure() {
  if (const int32_t status = adopt(); status != BOP_OK) return status;
  std::vector<Config> configs;
  for (const DevNode& node : nodes_) {
    Loaded loaded = load(sources_of(node));
    if (loaded.status != BOP_OK) {
      complain(loaded.status, loaded.error);
      return loaded.status;
    }
    char error[4096] = "";
    const int32_t checked = bop_node_check(loaded.config.get(), nullptr, error, sizeof error);
    if (checked != BOP_OK) {
      complain(checked, error);
      return checked;
    }
    configs.push_back(std::move(loaded.config));
    if (!fs::exists(node.directory / "format")) continue;
    if (const int32_t status = format(node, configs.back().get()); status != BOP_OK) return status;
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (const int32_t status = write(nodes_[i], configs[i].get()); status != BOP_OK) return status;
    if (const int32_t status = format(nodes_[i], configs[i].get()); status != BOP_OK) return status;
  }
  return BOP_OK;
}

// Keys that a user changed in the file are kept; identity and addresses follow from the command line.
Sources Cluster::sources_of(const DevNode& node) const {
  const fs::path file = node.directory / "bopd.toml";
  Sources sources;
  if (fs::exists(file)) sources.file = file.string();
  sources.sets = {"data_directory=.",
                  "cluster_id=" + cluster_id_,
                  "node_id=" + std::to_string(node.id),
                  "peers=" + peers(),
                  "listen.native=" + node.native,
                  "listen.resp=" + node.resp,
                  "listen.http=" + node.http,
                  "listen.peer=" + node.peer};
  sources.sets.insert(sources.sets.end(), arguments_.sets.begin(), arguments_.sets.end());
  return sources;
}

int32_t Cluster::write(const DevNode& node, bop_config* config) {
  const fs::path file = node.directory / "bopd.toml";
  size_t size = 0;
  bop_config_write(config, nullptr, 0, &size);
  std::string text(size + 1, '\0');
  bop_config_write(config, text.data(), text.size(), &size);
  text.resize(size);
  std::error_code error = make_directories(node.directory);
  if (!error) error = write_durably(file, text);
  if (!error) return BOP_OK;
  complain(BOP_E_IO, file.string() + " cannot be written: " + error.message());
  return BOP_E_IO;
}

// If the directory is already formatted, checks that it is this node's.
int32_t Cluster::format(const DevNode& node, bop_config* config) {
  char error[4096] = "";
  set(config, "data_directory", node.directory.string());
  const int32_t formatted = bop_node_format(config, error, sizeof error);
  set(config, "data_directory", ".");  // relative to the file
  if (formatted == BOP_OK || formatted == BOP_E_ALREADY_FORMATTED) return BOP_OK;
  complain(formatted, error);
  return formatted;
}

int32_t Cluster::spawn() {
  // The files have the values of the environment now; BOP_NODE_ID and others must not override them.
  forget_environment();
  unsetenv("NOTIFY_SOCKET");  // nodes must not notify the supervisor of `bopd dev`
  std::string endpoints;
  for (DevNode& node : nodes_) {
    if (const int32_t status = spawn(node); status != BOP_OK) return status;
    endpoints += (endpoints.empty() ? "" : ",") + node.native;
  }
  int32_t status = bop_queue_create(0, &queue_);
  if (status == BOP_OK) {
    bop_client_options options{};
    options.size = sizeof options;
    options.endpoints = endpoints.c_str();
    options.cluster_id = cluster_id_.c_str();
    options.queue = queue_;
    status = bop_client_open(&options, &client_, nullptr, 0);
  }
  if (status != BOP_OK) complain(status, "cannot create a client for the cluster");
  return status;
}

int32_t Cluster::spawn(DevNode& node) {
  const SpawnPlan plan(log_of(node));
  std::error_code none;
  node.log_begin = fs::file_size(log_of(node), none);
  if (none) node.log_begin = 0;
  const int error = plan.run({"bopd", "start", "--config", (node.directory / "bopd.toml").string(),
                              "--die-with", std::to_string(getpid())},
                             node.pid);
  if (error == 0) return BOP_OK;
  node.pid = 0;
  complain(BOP_E_IO,
           "node " + std::to_string(node.id) + " cannot be started: " + std::strerror(error));
  return BOP_E_IO;
}

// Null if the node does not answer.
nlohmann::json Cluster::status_of(const DevNode& node) {
  bop_request request{};
  request.size = sizeof request;
  request.timeout_ms = 500;
  request.connection = node.id - 1;
  if (bop_client_status(client_, &request) != BOP_OK) return {};
  bop_completion completion;
  while (bop_queue_drain(queue_, &completion, 1) == 0) bop_queue_wait(queue_, -1);
  if (completion.status != BOP_OK) return {};
  const char* body = reinterpret_cast<const char*>(completion.body.data);
  return nlohmann::json::parse(body, body + completion.body.size, nullptr, false);
}

Cluster::Standing Cluster::standing() {
  Standing standing;
  struct Ready {
    size_t nodes = 0;
    bool leader = false;
  };
  std::map<std::string, Ready> groups;
  for (const DevNode& node : nodes_) {
    const nlohmann::json status = status_of(node);
    const std::string name = "node " + std::to_string(node.id);
    if (!status.is_object()) {
      standing.whole = false;
      standing.problems.push_back(name + " does not answer; see " + log_of(node).string());
      continue;
    }
    for (const auto& group : status.value("groups", nlohmann::json::array())) {
      Ready& ready = groups[group.value("name", "")];
      if (group.value("ready", false)) {
        ++ready.nodes;
        ready.leader |= group.value("role", "") == "leader";
        continue;
      }
      const auto halted = group.find("halted");
      const bool waits = halted == group.end();
      if (waits) standing.whole = false;
      standing.problems.push_back(
          name + ", group " + group.value("name", "") +
          (waits ? " has no leader or has not caught up with it; see " + log_of(node).string()
                 : " is halted: " + halted->value("reason", "")));
    }
  }
  standing.serves = !groups.empty() && std::ranges::all_of(groups, [&](const auto& group) {
    return group.second.leader && group.second.nodes * 2 > nodes_.size();
  });
  return standing;
}

std::optional<int> Cluster::reap() {
  std::optional<int> ended;
  for (DevNode& node : nodes_) {
    int status = 0;
    if (node.pid == 0 || waitpid(node.pid, &status, WNOHANG) != node.pid) continue;
    if (WIFSIGNALED(status)) {
      std::fprintf(stderr, "bopd dev: node %u (pid %d) was killed by SIG%s\n", node.id, node.pid,
                   sigabbrev_np(WTERMSIG(status)));
    } else {
      std::fprintf(stderr, "bopd dev: node %u (pid %d) exited with code %d\n", node.id, node.pid,
                   WEXITSTATUS(status));
    }
    ended = WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(failed);
    node.pid = 0;
  }
  return ended;
}

void Cluster::stop() {
  for (const DevNode& node : nodes_) {
    if (node.pid == 0) continue;
    kill(node.pid, SIGTERM);
    kill(node.pid, SIGCONT);  // a paused process would not handle it
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (DevNode& node : nodes_) {
    if (node.pid == 0) continue;
    while (waitpid(node.pid, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > until) kill(node.pid, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    node.pid = 0;
  }
}

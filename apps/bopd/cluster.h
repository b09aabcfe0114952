// The cluster of `bopd dev`: one real bopd process a node.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bop/client.h"
#include "commands.h"

struct DevNode {
  uint32_t id = 0;
  std::filesystem::path directory;
  std::string native, resp, http, peer;
  pid_t pid = 0;                 // 0: not running
  std::uintmax_t log_begin = 0;  // of what it says in this run
};

class Cluster {
 public:
  Cluster(const DevArguments& arguments, std::filesystem::path directory);
  ~Cluster();  // stops all
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Each: BOP_OK, or complains and gives the status.
  int32_t check_ports() const;
  // Looks at all that is there, then writes each node's bopd.toml and formats what is not formatted yet.
  int32_t configure();
  int32_t spawn();

  // What the nodes say, each asked once.
  struct Standing {
    bool serves = false;                // of every group, the leader and most nodes are ready
    bool whole = true;                  // so is every node, or it says why it takes no part
    std::vector<std::string> problems;  // of nodes that do not
  };
  Standing standing();
  // Takes note of processes that ended. The exit code of one that ended by itself.
  std::optional<int> reap();
  void stop();

  const std::vector<DevNode>& nodes() const { return nodes_; }
  const std::string& cluster_id() const { return cluster_id_; }
  std::filesystem::path log_of(const DevNode& node) const { return node.directory / "bopd.log"; }

 private:
  int32_t adopt();
  int32_t write(const DevNode& node, bop_config* config);
  int32_t format(const DevNode& node, bop_config* config);
  Sources sources_of(const DevNode& node) const;
  std::string peers() const;
  int32_t spawn(DevNode& node);
  nlohmann::json status_of(const DevNode& node);

  const DevArguments& arguments_;
  const std::filesystem::path directory_;
  std::string cluster_id_;
  std::vector<DevNode> nodes_;
  bop_queue* queue_ = nullptr;
  bop_client* client_ = nullptr;
};

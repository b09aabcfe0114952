// The cluster of `bopd dev`: one bopd process per node.
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
  std::string native, resp, http, peer;  // HOST:PORT of its listeners
  pid_t pid = 0;                         // 0: not running
  std::uintmax_t log_begin = 0;  // where the output of this run begins in its log file, bytes
};

class Cluster {
 public:
  Cluster(const DevArguments& arguments, std::filesystem::path directory);
  ~Cluster();  // stops all nodes
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Each returns BOP_OK, or reports an error and returns its status.
  int32_t check_ports() const;
  // Checks all existing directories, then writes each node's bopd.toml and formats the nodes that are new.
  int32_t configure();
  int32_t spawn();

  // The state of the cluster: every node is asked once for its status.
  struct Standing {
    bool serves = false;  // in every group the leader and a majority of the nodes are ready
    bool whole = true;    // all other nodes are ready too, or halted for a reason they report
    std::vector<std::string> problems;  // one message for each group of each node that is not ready
  };
  Standing standing();
  // Reports nodes whose process ended. The exit code of the last of them; nullopt: none ended.
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

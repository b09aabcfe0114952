// How a replica gets a snapshot from other nodes and installs it, and gives them its own.
//
//   offered() ─► SnapshotFetcher ─► SnapshotInstaller ─► ready(): a machine in a fresh instance, and what the core has to
//                                                        be told ─► take(), when the core adopted it, or discard()
//
// One at a time: offers are repeated, so one that comes meanwhile is not lost. All of it runs on the shard's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "group/host.h"
#include "group/snapshot_fetcher.h"
#include "group/snapshot_installer.h"
#include "group/snapshot_sender.h"
#include "group/token_bucket.h"
#include "port/clock.h"
#include "port/timer.h"
#include "raft/core.h"

namespace bop::group {

class SnapshotExchange final : private SnapshotFetcher::Port, private SnapshotSender::Port {
 public:
  struct Options {
    SnapshotInstaller::Options installer;
    NodeId self = 0;
    uint64_t instance = 0;  // of the machine that serves
    // Of an instance of the machine.
    std::function<std::string(uint64_t instance)> directory_of;
  };
  struct Ports {
    const port::Clock& clock;
    port::Timers& timers;
    Host& host;
    machine::Offload& offload;
    TokenBucket& budget;
    metrics::Registry* metrics = nullptr;  // nullptr: nothing is counted
  };

  // `schedule` asks for a turn, in which step() is called.
  SnapshotExchange(Options options, std::shared_ptr<SnapshotFiles> files, const Ports& ports,
                   std::function<void()> schedule);

  // ---- what happens ----
  void offered(const raft::Update::Offer& offer, const raft::Configuration& members);
  void receive_fetch(NodeId from, const proto::FetchItem& item);
  void receive_chunk(NodeId from, const proto::ChunkItem& item);
  void node_lost(NodeId node) { fetcher_.node_lost(node); }

  // ---- once a turn ----
  void step();
  // What the core is to be told: a machine has the snapshot that it was offered. Until take() or discard().
  std::optional<raft::Installed> ready() const;
  // The core adopted it.
  SnapshotInstaller::Installed take();
  // It did not.
  void discard();

  struct Progress {
    uint64_t bytes = 0, total = 0;
  };
  // Of what is being fetched or installed; nullopt: nothing is.
  std::optional<Progress> progress() const;

 private:
  bool fetch(NodeId from, const proto::FetchItem& item) override;
  void answer(NodeId to, const proto::ChunkItem& item) override;
  static constexpr Duration pause = 10 * seconds;  // after an install that failed

  void fetched(const Result<snapshot::Stored>& stored);
  void installed(Result<SnapshotInstaller::Installed> result);
  void count();

  const Options options_;
  const Ports ports_;
  const std::function<void()> schedule_;
  SnapshotFetcher fetcher_;
  SnapshotSender sender_;
  SnapshotInstaller installer_;
  uint64_t last_instance_;         // that was used
  raft::Update::Offer offer_{};    // that is being fetched or installed
  Instant not_before_ = 0;         // an install failed, or was of no use
  uint64_t installing_bytes_ = 0;  // of the snapshot that is being installed
  std::optional<SnapshotInstaller::Installed> ready_;
  std::optional<raft::Configuration> configuration_;  // of ready_
  std::unique_ptr<port::Timer> timer_;

  metrics::Counter* sent_ = nullptr;
  metrics::Counter* received_ = nullptr;
  metrics::Counter* installs_ = nullptr;
  uint64_t counted_sent_ = 0;
  uint64_t counted_received_ = 0;
};

}  // namespace bop::group

// Answers other nodes' requests for pieces of this group's snapshots, one at a time, within a budget.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "group/snapshot_files.h"
#include "group/token_bucket.h"
#include "proto/peer.h"

namespace bop::group {

class SnapshotSender {
 public:
  struct Options {
    GroupId group = 0;
    std::string name;         // of the group, for messages
    size_t max_waiting = 32;  // requests; further ones are refused with OVERLOADED
  };
  class Port {
   public:
    virtual ~Port() = default;
    // May be dropped: the peer asks again.
    virtual void answer(NodeId to, const proto::ChunkItem& item) = 0;
  };

  // The references must outlive the sender.
  SnapshotSender(Options options, std::shared_ptr<SnapshotFiles> files, machine::Offload& offload,
                 Port& port, TokenBucket& budget);
  ~SnapshotSender();

  void receive(NodeId from, const proto::FetchItem& item);
  // Answers what it can now. Returns when to call it again; never: after the next other call, or when `wake` was called.
  Instant step(Instant now);
  std::function<void()> wake;

  uint64_t sent_bytes() const { return sent_; }  // since the start of the process

 private:
  struct Waiting {
    NodeId from = 0;
    proto::FetchItem item;
  };

  void read(Waiting next);

  const Options options_;
  const std::shared_ptr<SnapshotFiles> files_;
  machine::Offload& offload_;
  Port& port_;
  TokenBucket& budget_;
  std::shared_ptr<uint64_t> run_ = std::make_shared<uint64_t>(0);
  std::deque<Waiting> waiting_;
  bool reading_ = false;
  uint64_t sent_ = 0;
};

}  // namespace bop::group

// Fetches a snapshot from other nodes: its manifest, then the parts that are not here yet.
//
//          fetch()          files open         manifest whole, digest right        all parts here      files synced
//   idle ─────────► opening ─────────► manifest ────────────────────────► parts ──────────────► committing ─► idle
//     ▲                                    │                                │                       │
//     └─────────────── no source is left, or the disk fails ────────────────┴───────────────────────┘
//
// Each part is assembled in memory, verified by its digest and published at once, so that after a restart of either side
// only the parts in progress are fetched again: what is here already is all that has to be known. Requests that are not
// answered in time are sent to the next source. No clock: the time is passed in. All of it runs on the shard's thread,
// the files are used on the bulk work queue.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "group/snapshot_files.h"
#include "group/token_bucket.h"
#include "proto/peer.h"
#include "raft/types.h"

namespace bop::group {

class SnapshotFetcher {
 public:
  struct Options {
    GroupId group = 0;
    std::string name;  // of the group, for messages
    NodeId self = 0;
    size_t max_in_flight = 4;  // requests
    // An answer that does not come in that time is asked of the next source; the time doubles with each that is late, up
    // to the second.
    Duration patience = 1 * seconds;
    Duration most_patience = 30 * seconds;
  };
  class Port {
   public:
    virtual ~Port() = default;
    // False: it was not sent, because there is no connection or much waits for it.
    virtual bool fetch(NodeId from, const proto::FetchItem& item) = 0;
  };
  // Called once, with the snapshot or with why there is none.
  using Done = std::function<void(const Result<snapshot::Stored>&)>;

  struct Progress {
    uint64_t bytes = 0;  // of parts, that are here
    uint64_t total = 0;  // of all parts; 0: the manifest is not here yet
  };

  // The references must outlive the fetcher.
  SnapshotFetcher(Options options, std::shared_ptr<SnapshotFiles> files, machine::Offload& offload,
                  Port& port, TokenBucket& budget);
  ~SnapshotFetcher();

  // `source` has the snapshot, and `others` perhaps. While this snapshot is fetched already, `source` is tried again, too;
  // while another one is, nothing happens. (Offers are repeated.)
  // After a failure the next attempt waits for a time that doubles with each.
  void fetch(Instant now, const raft::SnapshotRef& snapshot, NodeId source,
             const std::vector<NodeId>& others, Done done);
  void cancel();  // `done` is not called

  void receive(Instant now, NodeId from, const proto::ChunkItem& chunk);
  void node_lost(NodeId node);
  // Sends what can be sent now, and gives up on what is late. Returns when to call it again; never: after the next other
  // call, or when `wake` was called.
  Instant step(Instant now);
  // Called when work on the files is done and step() has something to do.
  std::function<void()> wake;

  bool fetching() const { return stage_ != Stage::idle; }
  const raft::SnapshotRef& wanted() const { return wanted_; }
  Progress progress() const { return {parts_bytes_ + arrived_bytes(), total_bytes_}; }
  uint64_t received_bytes() const { return received_; }  // since the start of the process

 private:
  enum class Stage : uint8_t { idle, opening, manifest, checking, parts, committing };

  // Bytes that are being put together: a part, or the manifest. They are asked for in slots of proto::max_chunk_bytes.
  struct Assembly {
    snapshot::Part
        part;  // digest {}: the manifest, whose size is not known (0) until the first chunk
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> have;  // of each slot, the bytes from its begin that are here
    size_t asked = 0;            // slots
    uint64_t arrived = 0;        // bytes
    NodeId source = 0;           // of the last chunk
  };
  struct Slot {
    Hash128 part;
    size_t number = 0;
    friend bool operator==(const Slot&, const Slot&) = default;
  };
  struct Request {
    uint64_t number = 0;
    NodeId source = 0;
    Slot slot;
    uint64_t offset = 0;
    Instant due = 0;    // when it is late
    bool late = false;  // asked again; its answer is still of use
  };

  static constexpr size_t max_late = 16;                     // requests that are remembered
  static constexpr uint64_t max_assembly_bytes = 80u << 20;  // of all that is being put together
  static constexpr size_t max_writing = 2;                   // parts that wait for the disk
  static constexpr Duration busy_wait = 100 * milliseconds;  // after no source took a request
  static constexpr Duration least_retry = 500 * milliseconds;
  static constexpr Duration most_retry = 30 * seconds;

  template <class Work, class Then>
  void run(Work work, Then then);
  void begin_manifest();
  void check_manifest(Assembly manifest);
  void write(Assembly part);
  void commit();
  void end(const Result<snapshot::Stored>& result);
  void call_step_again() const;

  const Slot* next_slot();
  bool start_part();
  bool send(Instant now, const Slot& slot);
  void ask_again(const Slot& slot);
  void ask_later(NodeId source);
  void give_up_late(Instant now);
  void drop_source(NodeId source, const char* why);
  bool take(Instant now, const Request& request, const proto::ChunkItem& chunk);
  void complete(Assembly assembly);
  Assembly* find(const Hash128& part);
  static uint64_t slot_bytes(const Assembly& assembly, size_t slot);
  size_t in_flight() const;
  uint64_t arrived_bytes() const;
  uint64_t assembly_bytes() const;

  const Options options_;
  const std::shared_ptr<SnapshotFiles> files_;
  machine::Offload& offload_;
  Port& port_;
  TokenBucket& budget_;
  std::shared_ptr<uint64_t> run_ = std::make_shared<uint64_t>(0);

  Stage stage_ = Stage::idle;
  raft::SnapshotRef wanted_;
  Done done_;
  std::deque<NodeId> sources_;  // the first is asked next
  std::deque<snapshot::Part> missing_;
  std::deque<Assembly> assemblies_;
  std::deque<Slot> again_;        // asked before and not answered: asked again before anything new
  std::deque<Request> requests_;  // by number
  size_t writing_ = 0;            // parts
  uint64_t next_request_ = 1;
  Duration patience_ = 0;
  Instant not_before_ = 0;  // sources were busy
  bool failed_ = false;     // the last attempt did, and the next offer decides when to try again
  Instant retry_at_ = 0;
  Duration retry_after_ = least_retry;
  uint64_t parts_bytes_ = 0, total_bytes_ = 0;
  uint64_t received_ = 0;
};

}  // namespace bop::group

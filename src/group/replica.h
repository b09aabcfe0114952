// One replica: the pipeline from a proposal to its reply.
//
//   propose ─► core.step ─► log.append ∥ send to peers ─► durable ─► core.step ─► commit
//                                                                        │
//   reply ◄───────────── machine.apply ◄────────────────────────────────┘
//
// Input gathers during a turn, and the replica steps once at its end: step() appends to the log and sends to
// the peers, finish() applies entries and completes requests while those work. A replica in doubt is halted:
// it completes every request with the reason, and neither votes nor acknowledges.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "group/apply_pipeline.h"
#include "group/checkpoint.h"
#include "group/checkpointer.h"
#include "group/duplicates.h"
#include "group/forwarder.h"
#include "group/hash_refresher.h"
#include "group/hindrances.h"
#include "group/host.h"
#include "group/inbox.h"
#include "group/limits.h"
#include "group/persister.h"
#include "group/proposals.h"
#include "group/raft_observer.h"
#include "group/read_queue.h"
#include "group/snapshot_exchange.h"
#include "group/snapshot_restorer.h"
#include "group/snapshotter.h"
#include "log/log.h"
#include "machine/driver.h"
#include "port/clock.h"
#include "port/post.h"
#include "port/timer.h"
#include "raft/core.h"

namespace bop::group {

struct ReplicaOptions {
  GroupId id = 0;
  std::string name;
  raft::Configuration configuration;  // with which a new group is formed
  raft::Config raft;
  const bop_machine_table* machine = nullptr;
  uint64_t instance = first_instance;  // of the machine
  std::string machine_directory;       // of that instance; empty: memory only
  machine::Identity machine_identity;  // of its state
  std::array<uint8_t, 16> cluster{};
  std::string snapshot_directory;  // in ReplicaPorts::files; empty: the replica keeps no snapshots
  std::function<std::string(uint64_t instance)>
      directory_of;  // of its machine, in ReplicaPorts::files
  machine::Options machine_options;
  uint64_t epoch = 0;  // of the log; higher at each start of this node
  Limits limits;
};

struct ReplicaPorts {
  const port::Clock& clock;
  port::Timers& timers;
  log::Log& log;
  Host& host;
  machine::Offload& offload;
  port::FileSystem* files = nullptr;       // for snapshots
  TokenBucket* snapshot_budget = nullptr;  // for their transfer
  metrics::Registry* metrics = nullptr;    // nullptr: no metrics
};

class Replica final : public log::Appender, public machine::DriverEvents {
 public:
  // Opens the machine (which blocks) and continues with what the log recovered: configuration, machine and agreed
  // version are those of its checkpoint and its entries. `recovered` nullptr, or without an entry: a new group; its
  // first checkpoint and its first entry, the configuration, are written now. A machine without a store is restored from
  // its newest snapshot, which ends later.
  static Result<std::unique_ptr<Replica>> open(const ReplicaOptions& options,
                                               const ReplicaPorts& ports,
                                               const log::RecoveredGroup* recovered);
  // A replica that is halted from the start, because of a problem at `at`: it completes every request with
  // `reason`, and neither votes nor acknowledges.
  static std::unique_ptr<Replica> halted(const ReplicaOptions& options, const ReplicaPorts& ports,
                                         const Error& reason, const log::FileOffset& at);
  ~Replica() override;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Whether start() may be called: the first entry of a new group is durable, and the machine is restored.
  bool opened() const { return state_ != State::bootstrapping && state_ != State::restoring; }
  // The replica serves, votes and acknowledges from now on.
  void start();

  void propose(Request request);
  void query(Request request);

  // The message's entries must stay valid until step() has returned.
  void receive(const raft::Message& message);
  void receive_forward(NodeId from, Forward forward);
  void receive_forward_reply(NodeId from, const ForwardReply& reply);
  void receive_fetch(NodeId from, const proto::FetchItem& item);
  void receive_chunk(NodeId from, const proto::ChunkItem& item);
  void node_lost(NodeId node);     // see raft::NodeLost
  void node_alive(NodeId node);    // see raft::NodeAlive
  void channel_lost(NodeId node);  // the outcome of requests that were sent to it is unknown
  void set_healthy(bool healthy);  // see raft::Health
  void resign();                   // see raft::Resign
  // Completes all open requests, because the node stops.
  void abandon();
  // Requests the machine to make durable what it applied; its durable() rises when that is done.
  void sync_machine();
  // Lets the machine verify about that many bytes of its stored state, unless it is still at the bytes of the last
  // call. False: it has nothing to verify.
  bool scrub(uint64_t bytes);
  uint64_t scrub_passes();  // complete ones since the start

  // Takes a snapshot of the machine, or waits for the one that is being taken.
  void take_snapshot(SnapshotTaker::Done done);
  // See SnapshotTaker. UNSUPPORTED: the replica keeps no snapshots.
  Result<SnapshotTaker*> snapshots();

  void step();
  void finish();

  GroupId id() const { return options_.id; }
  const std::string& name() const { return options_.name; }
  bool ready() const;
  bool leads() const { return serving() && core_->role() == raft::Role::leader; }
  bool idle() const;  // no request is open
  struct Status {
    raft::Role role = raft::Role::follower;
    Term term = 0;
    NodeId leader = 0;
    Index commit = 0, applied = 0, last = 0, durable = 0, machine_durable = 0;
    Index first = 0;       // in the log
    Index checkpoint = 0;  // the entry of the one from which it would recover now
    std::optional<SnapshotExchange::Progress> installing;  // of another node's snapshot
    std::optional<snapshot::Stored> snapshot;              // the newest
    bool ready = false;
    std::optional<Error> halted;
    std::string file;     // of a replica that was halted from the start: where the problem is
    uint64_t offset = 0;  // in that file
    std::optional<bop_state_hash> hash;
    std::string obstacle;  // why the machine applies nothing; empty: nothing hinders it
    raft::Cause hindrance =
        raft::Cause::none;       // what kept it from serving as leader in its last step
    std::string hindrance_text;  // the same for people; empty: nothing did
    bool verifying = false;      // the machine verifies its stored state, and answers nothing yet
    machine::Driver::Verification verification;
    int64_t scrub_pass_ended_ns = 0;  // the last complete pass, since 1970; 0: none since the start
  };
  Status status() const;
  // Requests a state hash from the machine, which costs it work: on demand, not for every report.
  void refresh_hash() { hash_.ask(); }
  const raft::Core* core() const { return core_.get(); }  // for the simulator's checkers
  machine::Driver& machine() { return *driver_; }
  // Asserts the invariants that hold between turns. With slow asserts, called after each step() and finish().
  void check() const;

  // log::Appender
  void durable(uint64_t number) override;
  void latched(const Error& error) override;
  bool compaction_wanted() override;
  // machine::DriverEvents
  void applied(std::span<const bop_reply> replies) override;
  void answered(uint64_t token, const bop_reply& reply) override;
  void failed(const Error& error) override;
  void verified() override;

 private:
  // Each state leads only to those below it.
  enum class State : uint8_t {
    bootstrapping,  // the first entry of a new group is not durable yet
    restoring,      // the machine is restored from a snapshot
    opened,         // waits for start()
    serving,        // serves, votes and acknowledges
    halted,         // does none of that; halted_ has the reason
  };
  // A proposal for the core's next step.
  struct Staged {
    Origin origin;
    Instant deadline = never;
    size_t event = 0;  // index of its Propose in the inbox, which has the payload
  };
  // A command that another node forwarded while this leader hands over.
  struct HeldForward {
    Origin origin;
    Instant deadline = never;
    mem::Buffer payload;
  };

  Replica(const ReplicaOptions& options, const ReplicaPorts& ports);
  void stay_out(const Error& reason, const log::FileOffset& at);
  bop::Status open_machine();
  void restore_machine(const log::RecoveredGroup& recovered);
  void machine_restored(const log::RecoveredGroup& recovered,
                        const Result<SnapshotRestorer::Outcome>& result);
  bop::Status restore(const log::RecoveredGroup& recovered);
  bop::Status take_checkpoint(const log::RecoveredGroup& recovered, Index held);
  bop::Status take_configurations(const log::RecoveredGroup& recovered, raft::Restored& restored);
  void warn_of_differences(const raft::Restored& restored) const;
  bop::Status bootstrap();
  std::string place_of_machine() const;  // for messages
  bool keeps_snapshots() const {
    return !options_.snapshot_directory.empty() && ports_.files != nullptr;
  }
  void make_snapshotter();
  SnapshotTaker::Facts facts_at(Index index) const;
  Index held() const;

  bool serving() const { return state_ == State::serving; }
  void route(Request request);
  void route_now(Request request);  // to the core, to the leader, or to wait
  bool aim();
  void route_waiting();
  void stage(const Origin& origin, Instant deadline, mem::Buffer payload);
  void hold(const Origin& origin, Instant deadline, mem::Buffer payload);
  void route_held();

  void make_exchange();
  std::optional<raft::Installed> tell_of_install();
  bop::Status take_install(const raft::Installed& told);
  void step_core();
  void report_hindrance();
  void report_delivery();
  void register_proposals();
  void refuse_staged(const Staged& staged, bop_status error);
  void load_for_peers();
  void loaded_for_peer(const raft::Update::Load& load, Result<std::vector<raft::Entry>> entries);
  Index stable_index() const;
  void complete_entry(Index index, Term term, Outcome& outcome);
  void complete_superseded();
  void report_health();
  void serve_reads();
  void compact_log();
  void checkpoint_if_due(Index held, bool wanted);
  Checkpoint checkpoint_at(raft::EntryId at) const;

  void expire();
  void note_handover(bool led);
  void give_up_on_machine(Instant now);
  void arm();
  void arm_expiry();
  void complete_open(const Error& reason, const std::string& event);
  void halt(const Error& error);

  NodeId known_leader() const;
  std::string machine_kind() const { return driver_->kind(); }
  bool refuse_too_large(const Origin& origin, size_t bytes);
  void complete(const Origin& origin, Outcome outcome);
  void complete_deferred();

  const ReplicaOptions options_;
  const ReplicaPorts ports_;
  std::unique_ptr<machine::DriverEvents> machine_events_;  // of a machine that was installed
  std::unique_ptr<SnapshotRestorer> restorer_;  // the driver calls it, even after the restore
  SnapshotRestorer::Outcome restored_;
  std::unique_ptr<machine::Driver> driver_;
  std::unique_ptr<Snapshotter> snapshotter_;    // uses the driver; nullptr: the replica keeps none
  std::unique_ptr<SnapshotExchange> exchange_;  // nullptr: the replica exchanges none
  uint64_t instance_;                           // of the machine
  std::string machine_directory_;               // of that instance
  std::unique_ptr<raft::Core> core_;
  RaftObserver observer_;

  State state_ = State::bootstrapping;
  std::optional<Error> halted_;  // set with State::halted
  log::FileOffset halted_at_;    // where the problem is, if it was halted from the start

  Inbox inbox_;
  raft::Update update_;         // of the latest step
  std::vector<Staged> staged_;  // by the token of their Propose
  std::vector<HeldForward> held_forwards_;
  Proposals proposals_;  // appended and not applied yet
  Forwarder forwarder_;
  Duplicates duplicates_;  // of requests that other nodes forward to this one
  ReadQueue reads_;
  Persister persister_;
  Checkpointer checkpoints_;
  ApplyPipeline apply_;
  Term applied_term_ = 0;           // of the last entry applied since the start; 0: none
  Index sync_asked_ = 0;            // the last sync_machine() was for entries up to this index
  bool compaction_wanted_ = false;  // by the log
  Instant compaction_until_ = 0;    // when it is given up
  // The configurations by the index of their entry: the one in force at the oldest checkpoint kept, and later ones.
  std::map<Index, raft::Configuration> configurations_;
  uint32_t agreed_version_ = 0;  // of the machine
  HashRefresher hash_;
  Hindrances hindrances_;
  // It handed over because of its machine: the proposals that are not applied by then never get an answer.
  Instant answers_until_ = never;
  bool log_healthy_ = true;
  uint64_t scrub_passes_ = 0;
  int64_t scrub_pass_ended_ns_ = 0;

  std::unique_ptr<port::Timer> step_timer_;        // for the core's deadline
  std::unique_ptr<port::Timer> expiry_timer_;      // armed while a request is open
  std::unique_ptr<port::Timer> compaction_timer_;  // armed while a compaction is wanted
  std::unique_ptr<port::Timer>
      reads_timer_;            // for the next turn, in which further reads are answered
  size_t answered_bytes_ = 0;  // to reads, since serve_reads() began last
  Instant step_armed_ = never;
  Instant expiry_armed_ = never;

  // While it leads, by voter: what had reached it when that was last reported to the core.
  std::map<NodeId, uint64_t> delivered_bytes_;
  Instant delivery_due_ = 0;
};

}  // namespace bop::group

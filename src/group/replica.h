// One replica: the pipeline from a proposal to its reply. The only place that knows both raft and
// log.
//
//   propose ─► core.step ─► log.append ∥ send to peers ─► durable ─► core.step ─► commit
//                                                                        │
//   answer ◄──────────── machine.apply ◄────────────────────────────────┘
//
// Everything gathers during a turn and is stepped once at its end: step() gives the log and the peers
// theirs, finish() applies and answers while they work. A replica in doubt is halted: it answers every
// request with the reason and counts towards nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "group/apply_pipeline.h"
#include "group/duplicates.h"
#include "group/forwarder.h"
#include "group/hash_refresher.h"
#include "group/host.h"
#include "group/inbox.h"
#include "group/limits.h"
#include "group/persister.h"
#include "group/proposals.h"
#include "group/raft_observer.h"
#include "group/read_queue.h"
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
  raft::Configuration configuration;  // of a new group; later the log's own
  raft::Config raft;
  const bop_machine_table* machine = nullptr;
  std::string machine_directory;  // empty: memory only
  machine::Options machine_options;
  uint64_t epoch = 0;  // of the log: rises at each start of this node
  Limits limits;
};

struct ReplicaPorts {
  const port::Clock& clock;
  port::Timers& timers;
  log::Log& log;
  Host& host;
  machine::Offload& offload;
  metrics::Registry* metrics = nullptr;  // nullptr: nothing is counted
};

class Replica final : public log::Appender, public machine::DriverEvents {
 public:
  // Opens the machine (blocking) and takes up what the log recovered; `recovered` nullptr: a new
  // group, whose first entry, its configuration, is written now.
  static Result<std::unique_ptr<Replica>> open(const ReplicaOptions& options,
                                               const ReplicaPorts& ports,
                                               const log::RecoveredGroup* recovered);
  // A replica that takes no part from the start, because what is at `at` cannot be opened: it answers every
  // request with `reason` and counts towards nothing.
  static std::unique_ptr<Replica> halted(const ReplicaOptions& options, const ReplicaPorts& ports,
                                         const Error& reason, const log::FileOffset& at);
  ~Replica() override;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // The first entry of a new group is durable, or was before.
  bool bootstrapped() const { return state_ != State::bootstrapping; }
  // Takes part from now on.
  void start();

  void propose(Request request);
  void query(Request request);

  // Its entries stay where they are until step() returned.
  void receive(const raft::Message& message);
  void receive_forward(NodeId from, Forward forward);
  void receive_forward_reply(NodeId from, const ForwardReply& reply);
  void node_lost(NodeId node);  // its leaderships end
  void node_alive(NodeId node);
  void channel_lost(NodeId node);  // what was forwarded to it and not answered is unknown
  void set_healthy(bool healthy);
  void resign();
  // Answers everything that is still open: the node ends, and nobody else would.
  void abandon();
  // Has the machine make durable what it applied; the answer is machine durable() rising.
  void sync_machine();

  void step();
  void finish();

  GroupId id() const { return options_.id; }
  const std::string& name() const { return options_.name; }
  bool ready() const;
  bool leads() const { return serving() && core_->role() == raft::Role::leader; }
  bool idle() const;  // nothing asked for is open
  struct Status {
    raft::Role role = raft::Role::follower;
    Term term = 0;
    NodeId leader = 0;
    Index commit = 0, applied = 0, last = 0, durable = 0, machine_durable = 0;
    bool ready = false;
    std::optional<Error> halted;
    std::string file;  // of a suspect replica
    uint64_t offset = 0;
    std::optional<bop_state_hash> hash;
  };
  Status status() const;
  // Asks the machine for its state hash, which costs it work: for who asks, not for every report.
  void refresh_hash() { hash_.ask(); }
  const raft::Core* core() const { return core_.get(); }  // for the simulator's checkers
  machine::Driver& machine() { return *driver_; }
  // Asserts what must hold between two turns; on in debug builds after each step and finish.
  void check() const;

  // log::Appender
  void durable(uint64_t number) override;
  void latched(const Error& error) override;
  // machine::DriverEvents
  void applied(std::span<const bop_reply> replies) override;
  void answered(uint64_t token, const bop_reply& reply) override;
  void failed(const Error& error) override;

 private:
  // How far the replica is. Each state leads only to those below it.
  enum class State : uint8_t {
    bootstrapping,  // of a new group: its first entry is not durable yet
    opened,         // waits for start()
    serving,        // takes part
    halted,         // counts towards nothing; halted_ says why
  };
  // A proposal given to the core in this turn.
  struct Staged {
    Origin origin;
    Instant deadline = never;
    size_t event = 0;  // number of its Propose, which holds the payload
  };

  Replica(const ReplicaOptions& options, const ReplicaPorts& ports);
  void stay_out(const Error& reason, const log::FileOffset& at);
  bop::Status open_machine();
  bop::Status restore(const log::RecoveredGroup& recovered);
  bop::Status bootstrap();
  std::string place_of_machine() const;  // for messages

  bool serving() const { return state_ == State::serving; }
  void route(Request request);  // to the core, to the leader, or to wait
  void route_waiting();
  void stage(const Origin& origin, Instant deadline, mem::Buffer payload);

  void step_core();
  void report_delivery();
  void register_proposals();
  void refuse_staged(const Staged& staged, bop_status error);
  void load_for_peers();
  Index stable_index() const;
  void complete_entry(Index index, Term term, Outcome outcome);
  void complete_superseded();
  void serve_reads();
  void compact_log();

  void expire();
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
  std::unique_ptr<machine::Driver> driver_;
  std::unique_ptr<raft::Core> core_;
  RaftObserver observer_;

  State state_ = State::bootstrapping;
  std::optional<Error> halted_;  // set with State::halted
  log::FileOffset halted_at_;    // where, when it never served

  Inbox inbox_;
  raft::Update update_;         // of the latest step
  std::vector<Staged> staged_;  // by the token of its Propose
  Proposals proposals_;         // given to the core and not applied yet
  Forwarder forwarder_;
  Duplicates duplicates_;  // of what others forward to this node
  ReadQueue reads_;
  Persister persister_;
  ApplyPipeline apply_;
  Term applied_term_ = 0;  // of the last entry applied; 0: none was since the start
  Index sync_asked_ = 0;   // the machine was last asked to make everything up to here durable
  HashRefresher hash_;

  std::unique_ptr<port::Timer> step_timer_;    // the core's deadline
  std::unique_ptr<port::Timer> expiry_timer_;  // while anything is open
  Instant step_armed_ = never;
  Instant expiry_armed_ = never;

  // While it leads, by voter: what had reached it when that was last reported to the core.
  std::map<NodeId, uint64_t> delivered_bytes_;
  Instant delivery_due_ = 0;
};

}  // namespace bop::group

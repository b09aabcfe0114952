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

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "group/duplicates.h"
#include "group/host.h"
#include "group/proposals.h"
#include "group/raft_observer.h"
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
  std::string machine_directory;      // empty: memory only
  std::string machine_configuration;  // JSON or empty
  uint64_t machine_memory_bytes = 0;
  uint64_t epoch = 0;                   // of the log: rises at each start of this node
  size_t max_open_proposals = 1 << 16;  // a power of two
  size_t max_waiting = 1 << 16;         // requests that wait for a leader; reads
  size_t max_request_bytes = 2 << 20;
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
  // A replica that takes no part from the start, because its machine or its log cannot be opened: it
  // answers every request with `reason` and counts towards nothing.
  static std::unique_ptr<Replica> halted(const ReplicaOptions& options, const ReplicaPorts& ports,
                                         const Error& reason);
  ~Replica() override;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // The first entry of a new group is durable, or was before.
  bool bootstrapped() const { return bootstrapped_; }
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
  bool leads() const { return core_ != nullptr && !halted_ && core_->role() == raft::Role::leader; }
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
  const raft::Core* core() const { return core_.get(); }  // for the simulator's checkers
  machine::Driver& machine() { return *driver_; }

  // log::Appender
  void durable(uint64_t number) override;
  void latched(const Error& error) override;
  // machine::DriverEvents
  void applied(std::span<const bop_reply> replies) override;
  void answered(uint64_t token, const bop_reply& reply) override;
  void failed(const Error& error) override;

 private:
  // A proposal handed to the core in this step.
  struct Staged {
    Origin origin;
    Instant deadline = never;
    size_t event = 0;  // its Propose, which still holds the payload
  };
  struct Forwarded {
    NodeId to = 0;
    Term term = 0;  // in which it leads
    Request request;
  };
  // A read on its way. Asked: the core owes it an index, or a refusal. Unserved: the core knew of no
  // leader, so it is asked again once there is one. Waiting: for the machine to apply its index.
  struct ReadSlot {
    Request request;
    Index index = 0;
    uint32_t generation = 0;
    enum class Stage : uint8_t { free, asked, unserved, waiting, with_machine } stage = Stage::free;
  };
  struct DeferredOutcome {
    Origin origin;
    bop_status status;
    NodeId leader;
    std::string detail;
  };

  Replica(const ReplicaOptions& options, const ReplicaPorts& ports);
  void stay_out(const Error& reason);
  bop::Status open_machine();
  bop::Status restore(const log::RecoveredGroup& recovered);
  bop::Status bootstrap();
  std::string place_of_machine() const;  // for messages

  void schedule();
  void step_core();
  void route(Request request);  // to the core, to the leader, or to wait
  void stage(const Origin& origin, Instant deadline, mem::Buffer payload);
  void forward_to(NodeId leader, Request request);
  void forward_failed(NodeId leader);
  void wait_for_leader(Request request);
  void route_waiting();

  void register_proposals();
  void refuse_staged(const Staged& staged, bop_status error);
  void persist();
  void write(const raft::PersistMark& mark, Index first);
  void write_held_back();
  void load_for_peers();
  Index stable_index() const;
  void apply_more();
  void apply_entries(std::span<const raft::Entry> entries);
  void read_committed();
  void not_read(const Error& error);
  void finish_entry(Index index, Term term, const Outcome& outcome);
  void answer_superseded();
  void take_reads();
  void serve_reads();
  void ask_read(size_t slot);
  void release_log();
  void expire();
  void drop_read(uint32_t slot, bop_status status, std::string detail);
  void answer_open(const Error& reason, const std::string& event);
  void arm();
  void arm_expiry();
  void watch_for_quiet();
  void look_for_quiet();

  std::string machine_kind() const { return driver_->kind(); }
  bool refuse_too_large(const Origin& origin, size_t bytes);
  void defer(const Origin& origin, bop_status status, std::string detail = {});
  NodeId known_leader() const;
  void complete(const Origin& origin, Outcome outcome);
  void complete_deferred();
  void halt(const Error& error);

  const ReplicaOptions options_;
  const ReplicaPorts ports_;
  std::unique_ptr<machine::Driver> driver_;
  std::unique_ptr<raft::Core> core_;
  std::unique_ptr<port::Timer> step_timer_;
  std::unique_ptr<port::Timer> expiry_timer_;
  std::unique_ptr<port::Timer> quiet_timer_;
  Instant step_armed_ = never;
  Instant expiry_armed_ = never;

  bool scheduled_ = false;
  bool started_ = false;
  bool bootstrapped_ = false;
  std::optional<Error> halted_;
  std::string halted_file_;
  uint64_t halted_offset_ = 0;

  std::vector<raft::Event> events_;  // of the turn
  std::vector<Staged> staged_;
  raft::Update update_;
  RaftObserver observer_;

  std::deque<raft::PersistMark> unpersisted_;  // given to the log, in order
  raft::PersistMark held_back_;                // the log had no room; written when it has
  Index held_back_first_ = 0;                  // 0: hard state alone
  std::optional<Error> no_room_;               // why it is held back

  Proposals proposals_;
  std::deque<Request> waiting_;  // for a leader
  std::map<uint64_t, Forwarded> forwarded_;
  uint64_t forward_sequence_ = 0;
  Duplicates duplicates_;

  std::vector<ReadSlot> reads_;
  std::vector<uint32_t> free_reads_;
  std::deque<uint32_t> waiting_reads_;  // know their index, in order
  size_t reads_with_machine_ = 0;
  std::vector<DeferredOutcome> deferred_;

  Index applied_ = 0;
  Term applied_term_ = 0;  // of the entry at applied_, once one was applied since the start
  bool applying_ = false;
  bool finishing_ = false;  // finish() is on the stack
  bool loading_ = false;
  std::vector<raft::Entry> loaded_;  // read back after a restart, being applied
  std::vector<bop_entry> batch_;     // with the machine
  Index batch_last_ = 0;
  Index released_ = 0;
  Index sync_asked_ = 0;  // what the machine was last asked to make durable

  // Nothing was applied since the timer was armed, and then the machine is asked for its state's hash.
  bool quiet_armed_ = false;
  Index quiet_since_ = 0;
  unsigned hash_questions_ = 0;
};

}  // namespace bop::group

// Linearizable reads of one replica. A read waits for an index that a leader proved to be committed after
// the read came (ReadIndex, dissertation §6.4), then for the machine to have applied it.
//
//           add()            the core's index           applied ≥ index          the machine's reply
//   free ─────────► asked ────────────────────► waiting ────────────► with_machine ─────────► free
//                    │ ▲                           │
//    no leader known ▼ │ there is one              │
//                  unserved                        │
//                    └────── deadline, halt ───────┴──► completed, free
//
// What was asked is never asked again before the core answered or refused it, however long that takes:
// the answer under way would count no more.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "group/inbox.h"

namespace bop::group {

class ReadQueue {
 public:
  ReadQueue(size_t capacity, Inbox& inbox) : capacity_(capacity), inbox_(inbox) {}

  // Asks the core for the index that the read must see.
  void add(Request request);
  void on_index(const raft::Update::ReadReady& ready);
  void on_refused(uint64_t token, bop_status error);

  // A question that the machine may answer now that it has applied everything up to `applied`. Its
  // bytes stay until take(slot).
  struct Question {
    uint32_t slot = 0;
    Bytes bytes;
  };
  std::optional<Question> next(Index applied);
  // The machine answered the question of that slot.
  Request take(uint32_t slot);

  // Completes what is past its deadline. With `leader_known`, asks again what the core refused.
  void expire(Instant now, bool leader_known);
  // Completes what no machine was asked yet.
  void refuse_all(const Error& reason);

  bool idle() const { return slots_.size() == free_.size(); }

  void check_invariants() const;

 private:
  enum class Stage : uint8_t {
    free,          // holds no request; on free_, or still on waiting_ until its turn comes there
    asked,         // the core owes it an index or a refusal
    unserved,      // the core knew of no leader: to be asked again once there is one
    waiting,       // has its index, on waiting_, and is not applied yet
    with_machine,  // the machine is reading the question
  };
  struct Slot {
    Request request;
    Index index = 0;          // 0 before the core told
    uint32_t generation = 0;  // of the latest question to the core: only its answer counts
    Stage stage = Stage::free;
  };

  static bool is_pending(Stage stage);
  void ask(uint32_t slot);
  void refuse(uint32_t slot, bop_status status, std::string detail);

  const size_t capacity_;
  Inbox& inbox_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::deque<uint32_t> waiting_;  // in the order in which the core told their indexes
};

}  // namespace bop::group

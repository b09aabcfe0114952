// Linearizable reads of one replica. A read waits for an index that covers everything committed when the
// read arrived, confirmed by the leader (ReadIndex, dissertation §6.4), and then until the machine has
// applied it.
//
//           add()            the core's index           applied ≥ index          the machine's reply
//   free ─────────► asked ────────────────────► waiting ────────────► with_machine ─────────► free
//                    │ ▲                           │
//    no leader known ▼ │ a leader is known         │
//                  unserved                        │
//                    └────── deadline, halt ───────┴──► completed, free
//
// A read with the machine is completed at its deadline too (overdue), and its slot is freed when the machine replies:
// the machine may still read the query.
//
// A read is passed to the core again only after the core refused it, however long that takes: otherwise an
// index that is on its way would be discarded.
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

  // Requests a read index from the core.
  void add(Request request);
  void on_index(const raft::Update::ReadReady& ready);
  void on_refused(uint64_t token, bop_status error);

  // The next query that the machine can answer after it has applied everything up to `applied`. Its bytes
  // are valid until take(slot).
  struct Question {
    uint32_t slot = 0;
    Bytes bytes;
  };
  std::optional<Question> next(Index applied);
  // The bytes of the query that next() will mostly return after `ahead` others; empty: not known.
  Bytes upcoming(size_t ahead) const;
  // Takes out the request of that slot, which the machine answered; nullopt: its deadline passed before.
  std::optional<Request> take(uint32_t slot);

  // Completes reads whose deadline passed. With `leader_known`, passes those that the core refused to it
  // again.
  void expire(Instant now, bool leader_known);
  // Another machine took the place of the one that had the queries, which never replies: they are passed to the new one.
  void restart();
  // Completes all reads that were not passed to the machine yet.
  void refuse_all(const Error& reason);

  bool idle() const { return slots_.size() == free_.size(); }

  void check_invariants() const;

 private:
  enum class Stage : uint8_t {
    free,          // no request; on free_, or, if it was waiting, on waiting_ until next() skips it
    asked,         // waits for an index or a refusal of the core
    unserved,      // the core knew no leader: passed to it again when there is one
    waiting,       // has its index, which is not applied yet; on waiting_
    with_machine,  // the machine answers the query
    overdue,       // so, but its deadline passed and it was completed; only the query is kept
  };
  struct Slot {
    Request request;
    Index index = 0;  // the read index; 0: not known yet
    uint32_t generation =
        0;  // of the latest request to the core; a reply to an earlier one is ignored
    Stage stage = Stage::free;
  };

  static bool is_pending(Stage stage);
  void ask(uint32_t slot);
  void refuse(uint32_t slot, bop_status status, std::string detail);

  const size_t capacity_;
  Inbox& inbox_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::deque<uint32_t> waiting_;  // slots in the order in which the core returned their indexes
};

}  // namespace bop::group

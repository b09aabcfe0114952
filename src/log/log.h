// The shard's write-ahead log, shared by its groups.
//
//            open()                    a write fails
//  (none) ──────────► serving ─────────────────────────► latched: refuses everything until the
//                        │  ▲                                     log is opened again
//              no space  ▼  │ space again
//                       full: refuses commands with LOG_FULL or DISK_FULL. A reserve is kept for votes and
//                             for the no-op of a new leader, without which reads could not be served
//
// While one write is in flight the next frame gathers: append() only adds to it, flush() at the end of a
// turn submits it if no write is in flight, and each completion submits the next. The appends of all groups,
// entries and votes, become durable in the order in which they were made.
//
// Threads: a Log is used on its shard's thread. Format: docs/formats/log.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "log/options.h"
#include "port/clock.h"
#include "port/file.h"
#include "port/post.h"
#include "port/timer.h"
#include "raft/types.h"

namespace bop::log {

// Where a problem is, for messages.
struct FileOffset {
  std::string file;     // "shard0/0000000000000003.seg"
  uint64_t offset = 0;  // bytes
};

// docs/formats/log.md has the table that decides it.
enum class Health : uint8_t {
  ok = 0,
  // Acknowledged entries may be missing or damaged: the replica neither votes nor acknowledges.
  suspect = 1,
  // A newer version wrote records that this one does not understand. They are kept as they are.
  newer = 2,
};

// The group's own facts as of one of its entries. What the bytes mean is the group's affair (group/checkpoint.h).
struct Checkpoint {
  raft::EntryId at;  // the entry; {0, 0}: before the first
  std::vector<uint8_t> bytes;
};

// What recovery found about one group.
struct RecoveredGroup {
  GroupId group = 0;
  raft::HardState hard;
  raft::EntryId before_first;       // the entry before the first one kept
  std::vector<raft::TermRun> runs;  // terms of the entries kept
  Index last = 0;                   // of the last entry; before_first.index: there is none
  int64_t last_time_ns = 0;         // the leader's time in the last entry
  // The newest complete ones, by index; at most two. The group recovers from the newest whose entry its machine's
  // store has reached.
  std::vector<Checkpoint> checkpoints;
  std::vector<raft::Entry> configurations;  // the configuration entries among those kept
  Health health = Health::ok;
  std::string reason;   // why it is not ok, with file and offset
  FileOffset location;  // of that problem
};

// What recovery found in the log as a whole, and did.
struct Recovery {
  uint64_t epoch = 0;    // that this open() began
  uint64_t frames = 0;   // whole frames read ...
  uint64_t bytes = 0;    // ... and the bytes of their blocks
  bool torn = false;     // a tear, which was never acknowledged, was cut off ...
  FileOffset cut;        // ... here
  bool suspect = false;  // there are bad blocks where acknowledged frames may have been
  bool damaged = false;  // acknowledged frames are missing
  FileOffset location;   // of the first such problem
  std::vector<RecoveredGroup> groups;  // by id
  // Describes a bad block behind the end of the log, where nothing was ever acknowledged, with file and
  // offset; empty: there is none. It affects no group: the log overwrites it when it gets there.
  std::string bad_behind_end;
  // Groups that are not in `groups` may have been in the log and lost, so each of them is suspect.
  bool others_suspect = false;
};

// Appends to the log for one group. Called on the shard's thread, never from within append().
class Appender {
 public:
  virtual ~Appender() = default;
  // All appends of this group up to the one with this `number` are durable.
  virtual void durable(uint64_t number) = 0;
  // The log latched: no further append will be reported durable.
  virtual void latched(const Error& error) = 0;
  // This group keeps the oldest segment from being used again. True: the group will soon let go of some of what it
  // keeps (its machine makes durable what it applied, a checkpoint is written, and entries are compacted); false:
  // what it keeps has to be rewritten.
  virtual bool compaction_wanted() { return false; }
};

// The group's log becomes empty and begins after an entry, as when a snapshot is installed.
struct Restart {
  GroupId group = 0;
  raft::HardState hard;
  Term leader_term = 0;  // as in Append
  raft::EntryId at;
  int64_t time_ns = 0;  // the leader's time in that entry
  Bytes checkpoint;     // as of that entry
};

struct Append {
  GroupId group = 0;
  raft::HardState hard;  // the current one, whether it changed or not
  Term leader_term =
      0;  // of the leader whose log this group's log is a prefix of; at most hard.term
  // Consecutive entries. The first one replaces the entries at its index and after it. Empty: only the
  // hard state is written.
  std::span<const std::span<const raft::Entry>> entries;
  uint64_t number = 0;  // passed back to durable(); increases within a group
};

class Log {
 public:
  // Opens the log in `directory`, recovers it and raises the epoch. Blocks. An empty directory becomes an
  // empty log if `create` is set (as by `bopd format`), else NOT_FORMATTED.
  static Result<std::unique_ptr<Log>> open(port::FileSystem& files, const std::string& directory,
                                           const Options& options, const port::Clock& clock,
                                           port::Timers& timers, port::Post& post, bool create);
  virtual ~Log() = default;

  virtual const Recovery& recovery() const = 0;
  // Sets who is told when appends of the group are durable; nullptr: nobody any more. Call it before the first
  // append.
  virtual void attach(GroupId group, Appender* appender) = 0;

  // Adds the append to the frame that gathers; payloads are copied before it returns. On an error nothing
  // is added: TOO_LARGE; OVERLOADED; LATCHED; SUSPECT; LOG_FULL and DISK_FULL (only with commands; other
  // entries and hard states may use the reserve).
  virtual Status append(const Append& append) = 0;
  // Appends a checkpoint as of an entry of the group that is committed. It precedes every later append and
  // compaction on the disk. Errors as of append(), for what is not a command.
  virtual Status append_checkpoint(GroupId group, raft::EntryId at, Bytes bytes) = 0;
  // Drops all entries and older checkpoints of the group, with one record: after a crash, the group has either them or
  // what this tells. Errors as of append_checkpoint(); TOO_LARGE: the checkpoint does not fit one frame. An append has to follow, which is reported when both are durable.
  virtual Status restart(const Restart& restart) = 0;
  virtual void flush() = 0;
  // Whether append() would accept entries of that many bytes now, with commands among them or not. If so,
  // the space is kept until flush(), so that the commands of a turn, reserved one by one, are appended
  // together. LOG_FULL also for commands of a group that keeps more bytes in the log than are free, while other
  // groups share it: a group whose entries cannot be released stops itself, but none of the others.
  virtual Status reserve(GroupId group, size_t bytes, bool commands = true) = 0;
  // The largest payload of one entry that append() accepts, in bytes; a larger one is TOO_LARGE.
  virtual size_t largest_payload() const = 0;

  // Reads entries of a group from `first` on, up to `max_bytes` (at least one entry), from the files or
  // from frames in memory. `done` is called later on this thread, never from within. DAMAGED: a checksum
  // does not match. NOT_FOUND: `first` was compacted or is past the end. OVERLOADED; UNAVAILABLE: entries
  // were replaced meanwhile, read again.
  virtual void read(GroupId group, Index first, size_t max_bytes,
                    std::function<void(Result<std::vector<raft::Entry>>)> done) = 0;

  // Drops the group's entries up to and including `through`. Segments that no group needs are reused or
  // removed; in a crowded log, what groups still need of the oldest segment is rewritten.
  // A group with checkpoints may compact up to the newest one that its machine's store has reached.
  virtual void compact(GroupId group, raft::EntryId through) = 0;
  // Recovery needs no checkpoint older than the one as of entry `index`: the machine's store has reached it.
  virtual void drop_checkpoints(GroupId group, Index index) = 0;

  // False when latched, or when the oldest outstanding write is older than `limit`.
  virtual bool healthy(Instant now, Duration limit) const = 0;
  virtual bool idle() const = 0;            // nothing is gathered, written, read or made
  virtual uint64_t used_bytes() const = 0;  // of all segment files
  struct Capacity {
    bop_status obstacle = BOP_OK;  // LATCHED; LOG_FULL or DISK_FULL: no segment can be made now
    bool full = false;             // 64 KiB of commands would be refused
    uint64_t needed_bytes = 0;     // of the segments that cannot be reused yet
    uint64_t max_bytes = 0;        // as in Options
    std::string detail;            // why it is latched, or what making a segment waits for
  };
  virtual Capacity capacity() const = 0;
  // Segments that are still needed exceed a quarter of max_bytes: machines should make durable what they
  // applied, so that the log can be compacted. (Segments, because even a small frame needs a whole block.)
  virtual bool crowded() const = 0;
  // Counters for metrics.
  struct Counters {
    uint64_t writes = 0, written_bytes = 0, records = 0, entries = 0, seals = 0, segments_made = 0;
    uint64_t rewritten = 0;  // how often a piece of a group was rewritten
    uint64_t checkpoints = 0;
  };
  virtual const Counters& counters() const = 0;
  // Changes Options::max_bytes. A log that exceeds it refuses commands until enough is compacted.
  virtual void set_max_bytes(uint64_t bytes) = 0;
  // Asserts the invariants. Takes time in proportion to the number of groups and of the records that they
  // keep: for tests, and for builds with slow asserts.
  virtual void check() const = 0;
};

}  // namespace bop::log

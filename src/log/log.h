// The shard's write-ahead log, shared by its groups.
//
//            open()                    a write fails
//  (none) ──────────► serving ─────────────────────────► latched: refuses all, only a new
//                        │  ▲                                     open() leaves it
//              no space  ▼  │ space again
//                       full: refuses commands with LOG_FULL or DISK_FULL. A reserve takes votes and the
//                             no-op of a new leader, without which nothing could be read
//
// While one write is in flight the next frame gathers: append() only adds to it, flush() at the end of a
// turn submits it if no write is in flight, and each completion submits the next. The appends of all groups,
// entries and votes, become durable in the order in which they were made.
//
// Threads: all of one Log is used on its shard's thread. Format: docs/formats/log.md.
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

// The place of a problem, for people.
struct FileOffset {
  std::string file;     // "shard0/0000000000000003.seg"
  uint64_t offset = 0;  // bytes
};

// docs/formats/log.md has the table that leads to these.
enum class Health : uint8_t {
  ok = 0,
  suspect =
      1,  // acknowledged entries may be missing or damaged: the replica counts towards nothing
};

// What recovery found of one group.
struct RecoveredGroup {
  GroupId group = 0;
  raft::HardState hard;
  raft::EntryId before_first;       // the entry in front of the first one kept
  std::vector<raft::TermRun> runs;  // terms of the entries kept
  Index last = 0;                   // of the last entry; before_first.index: there is none
  int64_t last_time_ns = 0;         // the leader's time in that entry
  Health health = Health::ok;
  std::string reason;  // why it is suspect, with file and offset
  FileOffset location;
};

// What recovery did to the log as a whole.
struct Recovery {
  uint64_t epoch = 0;   // the one that this open began
  uint64_t frames = 0;  // that were read ...
  uint64_t bytes = 0;   // ... and the bytes of their blocks
  bool torn = false;    // an unacknowledged end was cut
  FileOffset cut;
  bool suspect = false;  // bad blocks stand where acknowledged frames may have stood
  bool damaged = false;  // acknowledged frames are missing
  FileOffset location;
  std::vector<RecoveredGroup> groups;  // by id
  // A bad block behind the end of the log, where nothing was ever acknowledged, with its file and
  // offset; empty: there is none. It touches no group: the log writes over it when it gets there.
  std::string bad_behind_end;
  // Groups that are not among them may have been in the log and lost: each is suspect.
  bool others_suspect = false;
};

// Who appends: one a group. Called on the shard's thread, never from within append().
class Appender {
 public:
  virtual ~Appender() = default;
  // All appends of this group up to the one given `number` are durable.
  virtual void durable(uint64_t number) = 0;
  // The log latched: nothing that was not reported durable will be.
  virtual void latched(const Error& error) = 0;
};

struct Append {
  GroupId group = 0;
  raft::HardState hard;  // in every record
  Term leader_term = 0;
  // Consecutive; the first replaces what stands at its index and after. Empty: hard state alone.
  std::span<const std::span<const raft::Entry>> entries;
  uint64_t number = 0;  // handed back by durable(); rises within a group
};

class Log {
 public:
  // Opens, recovers and raises the epoch, blocking. The directory is `directory` in `files`. An empty
  // directory becomes an empty log only when `create` is set (bopd format did it).
  static Result<std::unique_ptr<Log>> open(port::FileSystem& files, const std::string& directory,
                                           const Options& options, const port::Clock& clock,
                                           port::Timers& timers, port::Post& post, bool create);
  virtual ~Log() = default;

  virtual const Recovery& recovery() const = 0;
  // Before the first append of a group.
  virtual void attach(GroupId group, Appender* appender) = 0;

  // Gathers; entries' payloads are copied into the frame before it returns. Errors change nothing:
  // TOO_LARGE, LOG_FULL and DISK_FULL (commands only; other entries and hard states go to the
  // reserve), OVERLOADED, LATCHED.
  virtual Status append(const Append& append) = 0;
  virtual void flush() = 0;
  // Whether append would take entries of that many bytes now, commands among them or not. If so their
  // room is kept until flush: what a turn gathers piece by piece is appended as a whole.
  virtual Status reserve(size_t bytes, bool commands = true) = 0;
  // The largest payload of one entry that append would ever take: beyond, TOO_LARGE.
  virtual size_t largest_payload() const = 0;

  // Reads entries of a group from `first` on, up to `max_bytes` (at least one entry), from the files
  // or from what is still in memory. `done` is called later on this thread, never from within.
  // DAMAGED when a checksum does not hold; NOT_FOUND when released or past the end; OVERLOADED, or
  // UNAVAILABLE when entries were replaced meanwhile: ask again.
  virtual void read(GroupId group, Index first, size_t max_bytes,
                    std::function<void(Result<std::vector<raft::Entry>>)> done) = 0;

  // The group needs nothing at or below `through` any more. Segments that no group needs are reused
  // or removed; a cold group's live entries are rewritten so that they do not pin old segments.
  virtual void release(GroupId group, raft::EntryId through) = 0;

  // False when latched, or when the oldest outstanding write is older than `limit`.
  virtual bool healthy(Instant now, Duration limit) const = 0;
  virtual bool idle() const = 0;  // nothing gathered, nothing under way
  virtual uint64_t used_bytes() const = 0;
  struct Capacity {
    bop_status obstacle = BOP_OK;  // LATCHED; LOG_FULL, DISK_FULL: no segment can be made now
    bool full = false;             // a frame of 64 KiB would not fit
    uint64_t needed_bytes = 0;     // of entries that may not be released yet
    uint64_t max_bytes = 0;
    std::string detail;  // with LATCHED, why
  };
  virtual Capacity capacity() const = 0;
  // What is still needed takes more than a quarter of max_bytes: time for machines to make durable what
  // they applied, so that it can be released. Commands are small, but no frame is less than a block.
  virtual bool crowded() const = 0;
  // Counters for metrics.
  struct Counters {
    uint64_t writes = 0, written_bytes = 0, records = 0, entries = 0, seals = 0, segments_made = 0;
    uint64_t rewritten = 0;  // cold groups
  };
  virtual const Counters& counters() const = 0;
  // Changes Options::max_bytes. A log above it takes no commands until enough is released.
  virtual void set_max_bytes(uint64_t bytes) = 0;
  // Asserts what must always hold between calls. Takes time in proportion to the groups and to what they
  // keep: for tests, and for builds with slow asserts.
  virtual void check() const = 0;
};

}  // namespace bop::log

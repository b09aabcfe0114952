// The shard's write-ahead log, shared by its groups.
//
//            open()                    a write fails
//  (none) ──────────► serving ─────────────────────────► latched: refuses all, only a new
//                        │  ▲                                     open() leaves it
//               no room  ▼  │ room again
//                       full: refuses commands by name; votes and what a new leader appends, without
//                             which nothing could be read, go to a reserve
//
// One write is under way while the next gathers: append() only gathers, flush() at the end of a turn
// submits what gathered if no write is under way, and each completion submits the next. Appends of all
// groups, entries and votes, become durable in the order they were given.
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
#include "port/clock.h"
#include "port/file.h"
#include "port/post.h"
#include "port/timer.h"
#include "raft/types.h"

namespace bop::log {

struct Options {
  uint64_t segment_bytes = 64u << 20;       // preallocated and pre-written
  uint64_t max_bytes = 8ull << 30;          // of all segments; beyond: LOG_FULL
  uint64_t max_frame_bytes = 4u << 20;      // of one write; a larger gathering goes out in several
  uint64_t max_gathered_bytes = 64u << 20;  // appended and not yet durable; beyond: OVERLOADED
  Duration seal_after = 5 * milliseconds;   // idle for that long: a sealing frame
  bool direct = true;                       // where the file system has it
  uint64_t log_id = 0;                      // of this directory, made by bopd format
  // Beyond it, a cold group's live entries are rewritten so that old segments can go. 0: half of
  // max_bytes.
  uint64_t rewrite_above_bytes = 0;
};

// Where a problem stands, for people: "wal/0000000000000003.seg", byte offset.
struct FileOffset {
  std::string file;
  uint64_t offset = 0;
};

// docs/formats/log.md has the table that leads to these.
enum class Health : uint8_t {
  ok = 0,
  suspect =
      1,  // acknowledged entries of this group may be missing or damaged: it counts to nothing
};

// What recovery found of one group.
struct RecoveredGroup {
  GroupId group = 0;
  raft::HardState hard;
  raft::EntryId before_first;
  std::vector<raft::TermRun> runs;
  Index last = 0;
  int64_t last_time_ns = 0;
  Health health = Health::ok;
  std::string reason;  // of suspect, with file and offset
  FileOffset location;
};

// What recovery did to the log as a whole.
struct Recovery {
  uint64_t epoch = 0;  // the one that this open began
  uint64_t frames = 0;
  uint64_t bytes = 0;
  bool torn = false;  // an unacknowledged end was cut
  FileOffset cut;
  bool suspect = false;  // a block that is neither valid, stale nor pre-written
  bool damaged = false;  // a bad block at or below what was proven durable
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
  // What is still needed takes more than a quarter of max_bytes: time for machines to make durable what
  // they applied, so that it can be released. Commands are small, but no frame is less than a block.
  virtual bool crowded() const = 0;
  // Counters for metrics.
  struct Counters {
    uint64_t writes = 0, written_bytes = 0, records = 0, entries = 0, seals = 0, segments_made = 0;
    uint64_t rewritten = 0;  // cold groups
  };
  virtual const Counters& counters() const = 0;
  // Asserts what must always hold between calls. Takes time in proportion to the groups and to what they
  // keep: for tests, and for builds with slow asserts.
  virtual void check() const = 0;
};

}  // namespace bop::log

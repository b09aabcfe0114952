// The segment files of an open log: those in use, and the next ones, which are made ahead of need from
// released files or new ones. Asynchronous; only one operation is in progress at a time, so that it takes
// a small share of the device's bandwidth.
//
//             wanted                  a released file exists
//   resting ──────────► choosing ──────────────────────────► renaming ──────────► syncing ─► ready
//      ▲                   │ │  space for a new file                                 ▲
//      │                   │ └───────► opening ─► filling (in pieces) ────► naming ──┘
//      │  no space: retry  │              no space │
//      └───────────────────┴──────── discarding ◄──┘
//
// A segment is filled in pieces, so that a write of the log waits for one piece at most. After each piece
// there is a pause of the time that the piece took, unless filling is less than twice as fast as the log
// uses up the current segment.
//
// A lack of space or of descriptors is retried; any other failure is reported to the owner, which latches.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "log/position.h"
#include "log/scan.h"
#include "port/file.h"
#include "port/timer.h"

namespace bop::log {

// A segment file. It is not reused while a reader holds a reference to it.
struct Segment {
  uint32_t number = 0;
  uint64_t size = 0;
  std::unique_ptr<port::File> file;
};

class Segments : private port::FileCompletion {
 public:
  struct Owner {
    std::function<void()> ready;               // a wanted segment was made
    std::function<void(const Error&)> failed;  // no further segment will be made
    std::function<uint64_t()> left;            // unwritten bytes in the log's current segment
  };

  Segments(port::FileSystem& files, std::string directory, const Options& options,
           const port::Clock& clock, port::Timers& timers);
  ~Segments() override;

  // ---- blocking, before the log serves ----
  // Removes the file of a segment whose making a crash interrupted.
  Status remove_leftovers();
  // On an error, such as DISK_FULL, no file is left.
  Status make_now(uint32_t number);
  void adopt(SegmentFile file);

  // Operations run from now on and report to `owner`. The log writes next in segment `head`, which may not
  // exist yet.
  void start(Owner owner, uint32_t head);
  // Starts no further operation.
  void stop() { stopped_ = true; }

  // nullptr: the segment does not exist (yet).
  std::shared_ptr<Segment> find(uint32_t number) const;
  void set_max_bytes(uint64_t bytes);
  // Makes all segments up to that one, if space permits.
  void want(uint32_t number);
  // Segments below `number` are not needed any more: a durable frame has it as its first_segment.
  void release_below(uint32_t number);
  // Allows one more segment than max_bytes does: for votes, without which no peer could tell this log what it
  // may release. What is beyond the limit is given back first.
  void overdraw();
  bool overdrawn() const { return used_bytes_ > options_.max_bytes; }

  // Why no segment can be made at the moment: DISK_FULL or LOG_FULL; else OK.
  bop_status obstacle() const { return obstacle_; }
  // No file descriptor was free at the last attempt; there will be another.
  bool lacks_descriptor() const { return lacks_descriptor_; }
  bool busy() const { return step_ != Step::resting; }
  uint64_t used_bytes() const { return used_bytes_; }
  uint64_t made() const { return made_; }
  std::string path(uint32_t number) const { return directory_ + "/" + segment_name(number); }
  port::FileOptions file_options() const;

  // Asserts what must always hold between calls, until stop().
  void check() const;

 private:
  enum class Step : uint8_t {
    resting,     // no operation is in progress
    renaming,    // a released segment gets the wanted name
    opening,     // a new file is created under a temporary name
    filling,     // the pattern of blocks that were never written is written to it
    naming,      // it gets the wanted name
    syncing,     // the directory is synced, after which the segment is ready
    discarding,  // the unfinished file is removed for lack of space
    removing,    // a released segment is removed
  };

  Status fill_now(port::File& file);
  void complete(Result<size_t> result) override;
  void choose();
  // Begins to remove a released segment if there are more than `kept`. False: no removal was begun.
  bool within_limit() const;  // with one more segment
  bool remove_released(size_t kept);
  // The first released segment without a reader, of that size or, with 0, of any size; end: none.
  std::vector<std::shared_ptr<Segment>>::iterator reusable(uint64_t size);
  void give_back(uint64_t bytes);  // subtracts from used_bytes_
  void recycle(std::vector<std::shared_ptr<Segment>>::iterator released);
  void fill_after_pause();
  bool ahead_of_log() const;
  void fill_next_piece();
  void after_failure(const Error& error);
  void try_later();
  void retry_later();
  void sync();
  void ready();
  std::string temporary() const { return directory_ + "/segment.making"; }

  port::FileSystem& files_;
  const std::string directory_;
  Options options_;
  const port::Clock& clock_;
  Owner owner_;
  std::unique_ptr<port::Timer> retry_, pause_;
  Duration retry_after_;

  std::map<uint32_t, std::shared_ptr<Segment>> segments_;  // needed or made ahead, by number
  std::vector<std::shared_ptr<Segment>> released_;         // still under their old names
  uint32_t next_ = 0;                                      // number of the next segment to make
  uint32_t wanted_ = 0;                                    // the highest number that is wanted
  Step step_ = Step::resting;
  bool stopped_ = false;
  bool unsynced_ =
      false;  // making_ has its name, but the directory is not synced: no descriptor was free
  bop_status obstacle_ = BOP_OK;
  bool lacks_descriptor_ = false;
  uint64_t used_bytes_ = 0;  // of all files, including the one that is being made
  uint64_t overdraft_ = 0;   // bytes beyond max_bytes that may be used now
  uint64_t made_ = 0;        // number of segments made or recycled

  // The operation in progress.
  std::shared_ptr<Segment> making_;     // renamed, named, synced or removed
  std::unique_ptr<port::File> opened_;  // the file that is filled
  uint64_t filled_ = 0;                 // its bytes that are written
  uint64_t left_at_first_ = 0;          // owner_.left() when filling began
  Instant piece_began_ = 0;             // when the last piece was submitted
  uint8_t* pattern_ = nullptr;          // memory for one large piece
};

}  // namespace bop::log

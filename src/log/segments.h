// The log's segment files while it serves: the ones in use, the next one prepared ahead, released
// ones reused or removed. Asynchronous, one operation under way at a time, so that it takes a low
// share of the device.
//
//             wanted                  a released one is there
//   resting ──────────► choosing ──────────────────────────► renaming ──────────► syncing ─► ready
//      ▲                   │ │  room for a new one                                   ▲
//      │                   │ └───────► opening ─► filling (in pieces) ────► naming ──┘
//      │   no room: later  │              no space │
//      └───────────────────┴──────── discarding ◄──┘
//
// A write of the log that comes while a segment is filled waits for one piece at most; between pieces
// the device is the log's for as long as the last one took, as long as the segment is filled twice as
// fast as the log comes to need it.
//
// No space and no descriptor are waited for; every other failure is told to the owner, who latches.
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

// A reader that holds one keeps the file from being reused.
struct Segment {
  uint32_t number = 0;
  uint64_t size = 0;
  std::unique_ptr<port::File> file;
};

class Segments : private port::FileCompletion {
 public:
  struct Owner {
    std::function<void()> ready;  // a wanted segment is there
    std::function<void(const Error&)> failed;
    std::function<uint64_t()> left;  // bytes that the log has yet to write in the segment it is in
  };

  Segments(port::FileSystem& files, std::string directory, const Options& options,
           const port::Clock& clock, port::Timers& timers);
  ~Segments() override;

  // ---- blocking, before the log serves ----
  // What a crash left of a segment in the making.
  Status remove_leftovers();
  // An error, DISK_FULL among them, leaves nothing behind.
  Status make_now(uint32_t number);
  void adopt(SegmentFile file);

  // From now on operations run and tell `owner`. The log goes on in segment `head`, there or not.
  void start(Owner owner, uint32_t head);
  // Begins no further operation.
  void stop() { stopped_ = true; }

  // nullptr: not there (yet).
  std::shared_ptr<Segment> find(uint32_t number) const;
  // Prepares all up to that one, if space permits.
  void set_max_bytes(uint64_t bytes);
  void want(uint32_t number);
  // Segments below `number` are needed no more, and a durable frame says so.
  void release_below(uint32_t number);

  // Why no segment can be made now: OK, DISK_FULL or LOG_FULL.
  bop_status obstacle() const { return obstacle_; }
  bool busy() const { return step_ != Step::resting; }
  uint64_t used_bytes() const { return used_bytes_; }
  uint64_t made() const { return made_; }
  std::string path(uint32_t number) const { return directory_ + "/" + segment_name(number); }
  port::FileOptions file_options() const;

 private:
  enum class Step : uint8_t {
    resting,
    renaming,    // a released segment to the wanted name
    opening,     // of a new file under a temporary name
    filling,     // it, with the pattern of what was never written
    naming,      // it, as the wanted segment
    syncing,     // the directory: then the segment is ready
    discarding,  // what was made of a segment, for lack of space
    removing,    // a released segment
  };

  Status fill_now(port::File& file);
  void complete(Result<size_t> result) override;
  void choose();
  bool remove_released(size_t kept);  // begins to
  // The first released segment that nobody reads, of the size wanted or of any; end: none.
  std::vector<std::shared_ptr<Segment>>::iterator reusable(uint64_t size);
  void give_back(uint64_t bytes);  // of used_bytes_
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

  std::map<uint32_t, std::shared_ptr<Segment>> segments_;  // needed, and those prepared
  std::vector<std::shared_ptr<Segment>> released_;         // still under their old names
  uint32_t next_ = 0;                                      // the next to make
  uint32_t wanted_ = 0;                                    // up to which they are wanted
  Step step_ = Step::resting;
  bool stopped_ = false;
  bool unsynced_ = false;  // making_ has its name, but the directory could not be opened
  bop_status obstacle_ = BOP_OK;
  uint64_t used_bytes_ = 0;  // of all files, also of the one in the making
  uint64_t made_ = 0;

  // The operation under way.
  std::shared_ptr<Segment> making_;
  std::unique_ptr<port::File> opened_;
  uint64_t filled_ = 0;
  uint64_t left_at_first_ = 0;  // to the log, when the first piece was written
  Instant piece_began_ = 0;
  uint8_t* pattern_ = nullptr;  // of one large piece
};

}  // namespace bop::log

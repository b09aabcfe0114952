// Reads entries that are no longer in the log cache of their replica: from the files, where every block is
// checked again, or from frames that are not written yet.
//
// A job reads one record after the other and locates each again in the group's index, which may change
// between the reads. A few jobs run at a time, the others wait in order.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "log/frame.h"
#include "log/group_index.h"
#include "log/segments.h"
#include "port/post.h"

namespace bop::log {

using Entries = std::vector<raft::Entry>;
using EntriesDone = std::function<void(Result<Entries>)>;

// Where an entry is at the moment.
struct Located {
  RecordLocation location;
  const Frame* frame = nullptr;      // the frame in memory that has it, or nullptr
  std::shared_ptr<Segment> segment;  // else its segment, which is not reused while this is held
  uint64_t truncations = 0;          // of the group: if it changes, entries were replaced
};

class Reads {
 public:
  using Locate = std::function<Result<Located>(GroupId, Index)>;

  Reads(uint64_t log_id, port::FileSystem& files, std::string directory, port::Post& post,
        Locate locate, std::function<void()> ended);
  ~Reads();

  void read(GroupId group, Index first, size_t max_bytes, EntriesDone done);
  size_t under_way() const { return running_.size() + waiting_.size(); }

 private:
  class Job;

  void start_waiting();
  void ended(Job* job);

  const uint64_t log_id_;
  port::FileSystem& files_;
  const std::string directory_;
  port::Post& post_;
  const Locate locate_;
  const std::function<void()> ended_;
  std::list<std::unique_ptr<Job>> running_;
  std::deque<std::unique_ptr<Job>> waiting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // posted tasks may outlive us
};

}  // namespace bop::log

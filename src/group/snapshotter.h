// When a group's snapshots are taken: on demand, and by themselves for a machine without a store of its own, whose newest
// snapshot is all that a restart finds of it. That machine's D (checkpointer.h) is the entry of its newest snapshot.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/metrics.h"
#include "group/limits.h"
#include "group/snapshot_taker.h"
#include "port/clock.h"
#include "port/timer.h"

namespace bop::group {

class Snapshotter {
 public:
  struct Ports {
    port::FileSystem& files;
    machine::Offload& offload;
    const port::Clock& clock;
    port::Timers& timers;
    metrics::Registry* metrics = nullptr;  // nullptr: nothing is counted
  };
  // `facts` as for SnapshotTaker; `schedule` asks for a turn, in which advance() is called.
  Snapshotter(const SnapshotTaker::Options& options, const Limits& limits, const Ports& ports,
              std::function<SnapshotTaker::Facts(Index)> facts, std::function<void()> schedule);

  // Looks for the snapshots on disk. A machine without a store was restored from `restored`, and has nothing else:
  // whatever else is on disk was not verified.
  void open(const machine::Driver& driver, const std::optional<snapshot::Stored>& restored);
  // Entries that a machine without a store may have to apply again.
  void appended(size_t entries, size_t bytes);
  // Once a turn. `wanted`: the log can be compacted only up to the newest snapshot.
  void advance(machine::Driver& driver, Index stable, bool wanted);
  // Takes one, or waits for the one that is being taken. `done` is called once, perhaps within the call.
  void take(machine::Driver& driver, SnapshotTaker::Done done);
  // The machine is replaced by one that was restored from the snapshot at that entry.
  void installed(Index index);
  // Ends the snapshot that is being taken with `reason`.
  void cancel(const Error& reason) { taker_.cancel(reason); }

  SnapshotTaker& taker() { return taker_; }
  const std::optional<snapshot::Stored>& newest() const {
    return in_memory_ ? restorable_ : taker_.newest();
  }
  // D of a machine without a store.
  Index held() const { return restorable_ ? restorable_->index : 0; }

 private:
  void begin(machine::Driver& driver);
  void ended(const Result<snapshot::Stored>& result);
  bool due(Instant now, bool wanted) const;
  void arm();

  const Limits limits_;
  const port::Clock& clock_;
  SnapshotTaker taker_;
  bool in_memory_ = false;
  std::optional<snapshot::Stored>
      restorable_;  // the newest that was restored or taken since the start
  std::vector<SnapshotTaker::Done> waiting_;

  // Appended since the newest began to be taken.
  size_t entries_ = 0;
  size_t bytes_ = 0;
  Instant since_ = 0;       // when the first of them was
  Instant not_before_ = 0;  // the last attempt failed
  std::unique_ptr<port::Timer> timer_;

  metrics::Counter* taken_ = nullptr;
  metrics::Counter* failures_ = nullptr;
};

}  // namespace bop::group

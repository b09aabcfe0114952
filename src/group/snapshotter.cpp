#include "group/snapshotter.h"

#include <algorithm>
#include <utility>

namespace bop::group {

namespace {

constexpr Duration try_again_after = 10 * seconds;

}  // namespace

Snapshotter::Snapshotter(const SnapshotTaker::Options& options, const Limits& limits,
                         const Ports& ports, std::function<SnapshotTaker::Facts(Index)> facts,
                         std::function<void()> schedule)
    : limits_(limits),
      clock_(ports.clock),
      taker_(options, ports.files, ports.offload, std::move(facts)),
      timer_(ports.timers.make_timer(std::move(schedule))) {
  if (ports.metrics == nullptr) return;
  taken_ = &ports.metrics->counter("bop_snapshot_taken_total",
                                   "Snapshots of the group's machine that this node took",
                                   {{"group", options.name}});
  failures_ = &ports.metrics->counter(
      "bop_snapshot_failures_total",
      "Snapshots of the group's machine that this node could not take", {{"group", options.name}});
}

void Snapshotter::open(const machine::Driver& driver,
                       const std::optional<snapshot::Stored>& restored) {
  in_memory_ = driver.in_memory();
  restorable_ = restored;
  taker_.open();
}

void Snapshotter::appended(size_t entries, size_t bytes) {
  if (entries_ == 0) since_ = clock_.now();
  entries_ += entries;
  bytes_ += bytes;
}

bool Snapshotter::due(Instant now, bool wanted) const {
  if (entries_ == 0 || now < not_before_) return false;
  return wanted || entries_ >= limits_.snapshot_entries || bytes_ >= limits_.snapshot_bytes ||
         now - since_ >= limits_.snapshot_age;
}

void Snapshotter::advance(machine::Driver& driver, Index stable, bool wanted) {
  taker_.stable(stable);
  if (!in_memory_ || entries_ == 0) return;
  if (taker_.idle() && driver.applied().index > held() && due(clock_.now(), wanted)) begin(driver);
  if (entries_ > 0) timer_->arm(std::max(not_before_, since_ + limits_.snapshot_age));
}

void Snapshotter::installed(Index index) {
  taker_.cancel({BOP_E_UNAVAILABLE, "the machine was replaced by a snapshot of another node"});
  taker_.list([this, index](const Result<std::vector<snapshot::Stored>>& list) {
    if (!list) return;  // D stays lower than it could be
    const auto found = std::ranges::find(*list, index, &snapshot::Stored::index);
    if (found != list->end() && found->index > held()) restorable_ = *found;
  });
}

void Snapshotter::take(machine::Driver& driver, SnapshotTaker::Done done) {
  waiting_.push_back(std::move(done));
  if (!taker_.taking()) begin(driver);
}

void Snapshotter::begin(machine::Driver& driver) {
  const auto entries = std::exchange(entries_, 0);
  const auto bytes = std::exchange(bytes_, 0);
  taker_.take(driver,
              [this, entries, bytes, since = since_](const Result<snapshot::Stored>& result) {
                if (!result) {
                  entries_ += entries;
                  bytes_ += bytes;
                  since_ = since;
                  not_before_ = clock_.now() + try_again_after;
                }
                ended(result);
              });
}

void Snapshotter::ended(const Result<snapshot::Stored>& result) {
  if (result && result->index > held()) restorable_ = *result;
  if (metrics::Counter* counter = result ? taken_ : failures_; counter != nullptr) counter->add();
  for (const SnapshotTaker::Done& done : std::exchange(waiting_, {})) done(result);
}

}  // namespace bop::group

#include "machine/kv/reads.h"

namespace bop::machine::kv {

void Reads::submit(Task& task) {
  gathering_.push_back(&task);
  ++submitted_;
  if (!under_way_) start();
}

void Reads::start() {
  under_way_ = true;
  running_.swap(gathering_);
  host_.offload(
      host_.context, BOP_WORK_READS, [](void* self) { static_cast<Reads*>(self)->work(); },
      [](void* self) { static_cast<Reads*>(self)->finish(); }, this);
}

void Reads::work() {
  const Status status = store_.read([this](Snapshot& snapshot) -> Status {
    size_t bytes = 0;
    for (worked_ = 0; worked_ < running_.size() && bytes < max_job_bytes; ++worked_) {
      BOP_TRY(running_[worked_]->work(snapshot));
      bytes += running_[worked_]->result_bytes();
    }
    return {};
  });
  if (!status) error_ = status.error();
}

void Reads::finish() {
  if (error_) return owner_.reads_failed(*error_);
  // The next job starts first; tasks that are submitted from here on belong to the job after it.
  const auto left = running_.begin() + static_cast<ptrdiff_t>(worked_);
  gathering_.insert(gathering_.begin(), left, running_.end());
  running_.erase(left, running_.end());
  finished_.swap(running_);
  running_.clear();
  under_way_ = false;
  if (!gathering_.empty()) start();
  for (size_t i = 0; i < finished_.size(); ++i) {
    finished_[i]->done();
    ++done_;
    owner_.task_done();
  }
  finished_.clear();
}

}  // namespace bop::machine::kv

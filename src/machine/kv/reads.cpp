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
    for (Task* task : running_) BOP_TRY(task->work(snapshot));
    return {};
  });
  if (!status) error_ = status.error();
}

void Reads::finish() {
  if (error_) return owner_.reads_failed(*error_);
  // The next job starts first; tasks that are submitted from here on belong to the job after it.
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

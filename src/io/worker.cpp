#include "io/worker.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "io/thread.h"

namespace bop::io {

namespace {

class ThreadWorker final : public port::Worker {
 public:
  explicit ThreadWorker(Loop& loop) : loop_(loop) {}

  Status start(const char* name) {
    BOP_TRY_ASSIGN(thread_, start_thread(name, [this] { run(); }));
    return {};
  }

  ~ThreadWorker() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    *alive_ = false;
  }

  void submit(std::function<void()> work, std::function<void()> done) override {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back({std::move(work), std::move(done)});
    }
    wake_.notify_one();
  }

 private:
  struct Job {
    std::function<void()> work;
    std::function<void()> done;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job.work();
      finish(std::move(job));
      lock.lock();
    }
  }

  // The worker may be destroyed before the loop runs the task. alive_ is only used on the loop's thread.
  void finish(Job job) {
    loop_.post([alive = alive_, job = std::move(job)] {
      if (*alive) job.done();
    });
  }

  Loop& loop_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  Thread thread_;
};

}  // namespace

Result<std::unique_ptr<port::Worker>> make_worker(Loop& loop, const char* name) {
  auto worker = std::make_unique<ThreadWorker>(loop);
  BOP_TRY(worker->start(name));
  return worker;
}

}  // namespace bop::io

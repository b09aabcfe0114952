// Real worker threads: work() runs there, done() when the test drains.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "machine/driver.h"

namespace bop::machine {

class ThreadedOffload final : public Offload {
 public:
  ThreadedOffload() {
    for (Worker& worker : workers_) worker.thread = std::thread([this, &worker] { run(worker); });
  }
  ~ThreadedOffload() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (Worker& worker : workers_) worker.thread.join();
  }

  void submit(WorkQueue queue, std::function<void()> work, std::function<void()> done) override {
    {
      std::lock_guard lock(mutex_);
      workers_[static_cast<size_t>(queue)].jobs.push_back({std::move(work), std::move(done)});
      ++open_;
    }
    changed_.notify_all();
  }

  // Runs each done() that is ready; with `wait`, waits for one if any job is left. False: no job is left.
  bool drain(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) changed_.wait(lock, [this] { return !ready_.empty() || open_ == 0; });
    while (!ready_.empty()) {
      const auto done = std::move(ready_.front());
      ready_.pop_front();
      --open_;
      lock.unlock();
      done();
      lock.lock();
    }
    return open_ > 0;
  }

 private:
  struct Job {
    std::function<void()> work, done;
  };
  struct Worker {
    std::deque<Job> jobs;
    std::thread thread;
  };

  void run(Worker& worker) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stopping_ || !worker.jobs.empty(); });
      if (stopping_) return;
      Job job = std::move(worker.jobs.front());
      worker.jobs.pop_front();
      lock.unlock();
      job.work();
      lock.lock();
      ready_.push_back(std::move(job.done));
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> ready_;
  size_t open_ = 0;  // submitted, done not yet run
  bool stopping_ = false;
  std::array<Worker, 3> workers_;
};

}  // namespace bop::machine

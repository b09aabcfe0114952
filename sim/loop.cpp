#include "sim/loop.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/assert.h"

namespace bop::sim {

namespace {

class Timer : public port::Timer {
 public:
  Timer(Thread& thread, NodeClock& clock, std::function<void()> on_deadline)
      : thread_(thread), clock_(clock), on_deadline_(std::move(on_deadline)) {}
  ~Timer() override { cancel(); }

  void arm(Instant deadline) override {
    if (deadline == never) return cancel();
    const Instant due = deadline <= clock_.now() ? thread_.now() : clock_.earliest(deadline);
    arm_at(deadline, due);
  }

  void cancel() override {
    thread_.cancel(event_);
    event_ = {};
  }

 private:
  void arm_at(Instant deadline, Instant due) {
    deadline_ = deadline;
    if (thread_.scheduled(event_)) {
      thread_.move(event_, due);
    } else {
      event_ = thread_.at(due, "timer", [this] { fire(); });
    }
  }

  void fire() {
    event_ = {};
    // The clock may be slow, or stand almost still.
    if (clock_.now() < deadline_)
      return arm_at(deadline_,
                    std::max(clock_.earliest(deadline_), thread_.now() + 100 * microseconds));
    on_deadline_();
  }

  Thread& thread_;
  NodeClock& clock_;
  const std::function<void()> on_deadline_;
  Instant deadline_ = never;
  EventId event_;
};

}  // namespace

std::unique_ptr<port::Timer> Timers::make_timer(std::function<void()> on_deadline) {
  return std::make_unique<Timer>(thread_, clock_, std::move(on_deadline));
}

void Post::post(std::function<void()> task) { thread_.after(0, "post", std::move(task)); }

void Post::at_end_of_turn(port::Phase phase, std::function<void()> task) {
  thread_.at_end_of_turn(phase, std::move(task));
}

namespace {

Duration prolonged = 0;  // the job that is running; the simulator has one thread

}  // namespace

void Worker::prolong(Duration by) { prolonged += by; }

// Outlives its Worker in the events that refer to it.
struct Worker::Queue : std::enable_shared_from_this<Worker::Queue> {
  struct Job {
    std::function<void()> work;
    std::function<void()> done;
  };

  Queue(Thread& loop, Thread& background, uint64_t number, JobTime job_time, Stall& stall)
      : loop(loop),
        background(background),
        job_time(job_time),
        stall(stall),
        random(loop.scheduler().random("worker", number)) {}

  void begin_next() {
    if (jobs.empty() || busy) return;
    busy = true;
    Duration takes = random.between(job_time.shortest, job_time.longest);
    if (stall.next > 0) {
      takes += std::exchange(stall.next, 0);
      ++stall.happened;
      stall.until = std::max(stall.until, background.now() + takes);
    }
    background.after(takes, "work", [self = shared_from_this()] { self->run(); });
  }

  void run() {
    if (closed) return;
    Job job = std::move(jobs.front());
    jobs.pop_front();
    prolonged = 0;
    job.work();
    if (prolonged == 0) return end(std::move(job.done));
    background.after(prolonged, "work ends",
                     [self = shared_from_this(), done = std::move(job.done)]() mutable {
                       self->end(std::move(done));
                     });
  }

  void end(std::function<void()> job_done) {
    if (closed) return;
    busy = false;
    loop.after(0, "work done", [self = shared_from_this(), done = std::move(job_done)] {
      if (!self->closed) done();
    });
    begin_next();
  }

  Thread& loop;
  Thread& background;
  const JobTime job_time;
  Stall& stall;
  Random random;
  std::deque<Job> jobs;
  bool busy = false;
  bool closed = false;
};

Worker::Worker(Thread& loop, Thread& background, uint64_t number, JobTime job_time, Stall& stall)
    : queue_(std::make_shared<Queue>(loop, background, number, job_time, stall)) {}

Worker::~Worker() {
  queue_->closed = true;
  queue_->jobs.clear();
}

void Worker::submit(std::function<void()> work, std::function<void()> done) {
  BOP_ASSERT(work != nullptr);
  BOP_ASSERT(done != nullptr);
  queue_->jobs.push_back({std::move(work), std::move(done)});
  queue_->begin_next();
}

}  // namespace bop::sim

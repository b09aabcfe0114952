// Reads of the store by a worker. Tasks that are submitted while a job runs form the next job, which runs
// them in order on one snapshot. A job ends when its results have max_job_bytes, since the shard's thread passes on all
// of them in one turn; its other tasks belong to the next job.
#pragma once

#include <optional>
#include <vector>

#include "bop/machine.h"
#include "machine/kv/store.h"

namespace bop::machine::kv {

// One read. Between submit() and done() it belongs to the worker.
class Task {
 public:
  virtual ~Task() = default;
  virtual Status work(Snapshot& snapshot) = 0;  // called on the worker
  virtual void done() = 0;  // called on the shard's thread, unless a work() failed
  virtual size_t result_bytes() const { return 0; }  // produced by work(), kept until done()
};

// Called on the shard's thread.
class ReadsOwner {
 public:
  virtual ~ReadsOwner() = default;
  // A task's done() was called; in the order of tasks.
  virtual void task_done() = 0;
  virtual void reads_failed(const Error& error) = 0;
};

class Reads {
 public:
  static constexpr size_t max_job_bytes = 4 << 20;

  Reads(const bop_machine_host& host, Store& store, ReadsOwner& owner)
      : host_(host), store_(store), owner_(owner) {}
  Reads(const Reads&) = delete;
  Reads& operator=(const Reads&) = delete;

  // The task must live until its done() is called. The caller bounds their number: one for each query, and
  // a few of the machine's own.
  void submit(Task& task);

  // How many tasks were submitted so far, and how many of them are done. Tasks complete in order: those
  // submitted before a moment are done when done() has reached the submitted() of that moment.
  uint64_t submitted() const { return submitted_; }
  uint64_t done() const { return done_; }

 private:
  void start();
  void work();
  void finish();

  const bop_machine_host& host_;
  Store& store_;
  ReadsOwner& owner_;
  std::vector<Task*> gathering_;  // tasks of the next job
  std::vector<Task*> running_;    // tasks of the running job; used by the worker
  size_t worked_ = 0;             // of running_, tasks whose work() was called
  std::vector<Task*> finished_;   // tasks of the last job, while their done() is called
  std::optional<Error> error_;    // of the running job
  bool under_way_ = false;        // a job is running
  uint64_t submitted_ = 0;
  uint64_t done_ = 0;
};

}  // namespace bop::machine::kv

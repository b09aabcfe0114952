// The machine's questions to its store: all that gather while one job is under way become the next,
// which answers them in order from one snapshot.
#pragma once

#include <optional>
#include <vector>

#include "bop/machine.h"
#include "machine/kv/store.h"

namespace bop::machine::kv {

// Something to read. Between submit and done it belongs to the worker.
class Task {
 public:
  virtual ~Task() = default;
  virtual Status work(Snapshot& snapshot) = 0;  // worker
  virtual void done() = 0;                      // shard's thread; not after an error
};

// Hears what the machine itself must know.
class ReadsOwner {
 public:
  virtual ~ReadsOwner() = default;
  // After the done of each task, in order.
  virtual void task_done() = 0;
  virtual void reads_failed(const Error& error) = 0;
};

class Reads {
 public:
  Reads(const bop_machine_host& host, Store& store, ReadsOwner& owner)
      : host_(host), store_(store), owner_(owner) {}
  Reads(const Reads&) = delete;
  Reads& operator=(const Reads&) = delete;

  // The task stays where it is until its done. Their number is bounded by who asks: a query each and
  // a few of the machine's own.
  void submit(Task& task);

  // How many were ever submitted, and how many of those are done: what was asked before a moment has
  // been answered when done() reached the submitted() of then.
  uint64_t submitted() const { return submitted_; }
  uint64_t done() const { return done_; }

 private:
  void start();
  void work();
  void finish();

  const bop_machine_host& host_;
  Store& store_;
  ReadsOwner& owner_;
  std::vector<Task*> gathering_;
  std::vector<Task*> running_;
  std::vector<Task*> finished_;
  std::optional<Error> error_;  // of the job under way
  bool under_way_ = false;
  uint64_t submitted_ = 0;
  uint64_t done_ = 0;
};

}  // namespace bop::machine::kv

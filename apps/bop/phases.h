// The phases of a benchmark. Completions drive a phase on the client's thread; the thread that started it waits
// until it is over.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bench.h"
#include "bop/client.h"
#include "histogram.h"
#include "ledger.h"

int64_t monotonic_ns();

class Phase {
 public:
  virtual ~Phase() = default;
  virtual void complete(const bop_completion& completion) = 0;

  // False: the phase was not over within the limit.
  bool wait(double limit_seconds);

 protected:
  void finish();

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool finished_ = false;
};

// The client, and the phase to which its completions go.
class BenchClient {
 public:
  BenchClient(const Globals& globals, const BenchArguments& arguments);
  ~BenchClient();
  BenchClient(const BenchClient&) = delete;
  BenchClient& operator=(const BenchClient&) = delete;

  int32_t opened() const { return opened_; }
  const std::string& error() const { return error_; }
  std::string causes() const;
  // Returns when the client's thread is not in a completion that began before the call. A phase that is over may
  // be destroyed after that.
  void drain() const { causes(); }

  void set_phase(Phase* phase) { phase_.store(phase); }
  int32_t propose(const std::string& command, uint64_t tag, uint32_t connection);
  int32_t query(const std::string& question, uint64_t tag, uint32_t connection);
  double timeout_seconds() const { return globals_.timeout_ms / 1000.0; }

 private:
  bop_request request(const std::string& payload, uint64_t tag, uint32_t connection) const;

  const Globals& globals_;
  std::atomic<Phase*> phase_ = nullptr;
  bop_client* client_ = nullptr;
  int32_t opened_ = BOP_OK;
  std::string error_;
};

// Executes jobs 0..count-1, a window of them at a time, and retries each until it succeeds. The phase ends early
// if no job succeeds for 15 s, or at the beginning for `first_seconds` or a request's timeout, whichever is longer.
class JobPhase : public Phase {
 public:
  JobPhase(BenchClient& client, uint32_t jobs, double first_seconds);

  void run();
  uint32_t unfinished() const { return jobs_ - succeeded_; }
  const std::string& last_error() const { return last_error_; }

  void complete(const bop_completion& completion) final;

 protected:
  virtual int32_t start(uint32_t job) = 0;
  // False: the answer is malformed, and the job is retried.
  virtual bool succeeded(uint32_t job, const bop_completion& completion) = 0;

 private:
  void be_patient(double seconds);
  void go_on();
  void start_or_finish(uint32_t job);

  const uint32_t jobs_;
  const uint32_t window_;
  BenchClient& client_;
  int64_t until_ns_ = 0;        // monotonic; the phase ends unless a job succeeds before
  std::recursive_mutex mutex_;  // of what follows: two threads start jobs, which are few and large
  uint32_t next_ = 0;
  uint32_t under_way_ = 0;
  uint32_t succeeded_ = 0;
  std::string last_error_;
};

// Writes every key once.
class Preload final : public JobPhase {
 public:
  Preload(BenchClient& client, const BenchArguments& arguments, Ledger& ledger);

 private:
  int32_t start(uint32_t job) override;
  bool succeeded(uint32_t job, const bop_completion& completion) override;

  BenchClient& client_;
  const BenchArguments& arguments_;
  Ledger& ledger_;
  const uint32_t batch_;
};

// Reads every key back and compares it with the ledger.
class ReadBack final : public JobPhase {
 public:
  ReadBack(BenchClient& client, const BenchArguments& arguments, const Ledger& ledger);

  uint64_t missing() const { return missing_; }
  // Number of keys that could not be read.
  uint64_t unread() const;

 private:
  int32_t start(uint32_t job) override;
  bool succeeded(uint32_t job, const bop_completion& completion) override;

  BenchClient& client_;
  const BenchArguments& arguments_;
  const Ledger& ledger_;
  const uint32_t batch_;
  uint64_t missing_ = 0;
};

// The measured load: clients x pipeline closed loops.
class Load final : public Phase {
 public:
  Load(BenchClient& client, const BenchArguments& arguments, Ledger& ledger);

  void run();
  // Blocks until every request is answered or timed out.
  void end();
  // No further request is started; those that still complete are not counted.
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

  struct Counts {
    uint64_t reads = 0, writes = 0, errors = 0;
    uint64_t ops() const { return reads + writes; }
  };
  Counts counts() const;
  const Histogram& latencies() const { return latencies_; }
  // Errors by name; valid once the phase is over.
  const std::map<std::string, uint64_t>& errors_by_name() const { return errors_by_name_; }

  void complete(const bop_completion& completion) override;

 private:
  struct Slot {
    std::string command;   // PUT of one key; key and number are replaced for each request
    std::string question;  // GET of one key
    uint64_t random = 0;
    uint64_t number = 0;
    int64_t started_ns = 0;
    uint32_t key = 0;
    bool reading = false;
  };

  void next(uint32_t slot);
  void count_error(int32_t status);

  BenchClient& client_;
  const BenchArguments& arguments_;
  Ledger& ledger_;
  const uint64_t read_below_;  // a request is a read if 32 random bits are below this
  std::vector<Slot> slots_;
  size_t key_in_command_ = 0, value_in_command_ = 0, key_in_question_ = 0;

  std::atomic<bool> stopping_ = false;
  std::atomic<uint32_t> running_ = 0;
  std::atomic<uint64_t> reads_ = 0, writes_ = 0, errors_ = 0;
  Histogram latencies_;
  std::mutex errors_mutex_;
  std::map<std::string, uint64_t> errors_by_name_;
};

// A log on a simulated disk, with a clock, timers and posts that the test advances.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/log.h"
#include "sim/disk.h"

namespace bop::log::testing {

class ManualClock : public port::Clock {
 public:
  Instant now() const override { return now_; }
  int64_t wall_ns() const override { return now_; }
  Instant now_ = 1 * seconds;
};

class ManualTimers : public port::Timers {
 public:
  struct One : port::Timer {
    One(ManualTimers& timers, std::function<void()> on_deadline)
        : timers(timers), on_deadline(std::move(on_deadline)) {
      timers.all.push_back(this);
    }
    ~One() override { std::erase(timers.all, this); }
    void arm(Instant at) override { deadline = at; }
    void cancel() override { deadline = never; }

    ManualTimers& timers;
    std::function<void()> on_deadline;
    Instant deadline = never;
  };

  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override {
    return std::make_unique<One>(*this, std::move(on_deadline));
  }
  // Runs one that is due.
  bool fire(Instant now) {
    for (One* timer : all) {
      if (timer->deadline > now) continue;
      timer->deadline = never;
      timer->on_deadline();
      return true;
    }
    return false;
  }
  std::vector<One*> all;
};

class ManualPost : public port::Post {
 public:
  void post(std::function<void()> task) override { tasks.push_back(std::move(task)); }
  void at_end_of_turn(port::Phase, std::function<void()> task) override {
    tasks.push_back(std::move(task));
  }
  bool run_one() {
    if (tasks.empty()) return false;
    auto task = std::move(tasks.front());
    tasks.pop_front();
    task();
    return true;
  }
  std::deque<std::function<void()>> tasks;
};

// Remembers what it was told.
struct TestAppender : Appender {
  void durable(uint64_t number) override {
    last_durable = number;
    numbers.push_back(number);
  }
  void latched(const Error& error) override { latch = error; }

  uint64_t last_durable = 0;
  std::vector<uint64_t> numbers;
  std::optional<Error> latch;
};

inline raft::Entry make_entry(Term term, Index index, size_t payload_bytes = 20) {
  raft::Entry entry;
  entry.term = term;
  entry.index = index;
  entry.time_ns = static_cast<int64_t>(index) * 1000;
  entry.machine_version = 2;
  entry.kind = raft::EntryKind::command;
  std::vector<uint8_t> payload(payload_bytes);
  for (size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<uint8_t>(index * 31 + term * 7 + i);
  }
  entry.payload = mem::Buffer::copy(payload);
  return entry;
}

inline bool same(const raft::Entry& a, const raft::Entry& b) {
  return a.term == b.term && a.index == b.index && a.time_ns == b.time_ns &&
         a.session == b.session && a.sequence == b.sequence && a.behind == b.behind &&
         a.machine_version == b.machine_version && a.kind == b.kind && a.flags == b.flags &&
         std::ranges::equal(a.payload.bytes(), b.payload.bytes());
}

class Rig {
 public:
  explicit Rig(uint64_t seed = 1) : disk(seed) {
    options.segment_bytes = 256u << 10;
    options.max_bytes = 64u << 20;
    options.max_frame_bytes = 128u << 10;
    options.log_id = 0x1122334455667788;
  }

  Status try_open(bool create) {
    log.reset();
    auto opened = Log::open(disk, "wal", options, clock, timers, post, create);
    if (!opened) return std::unexpected(opened.error());
    log = std::move(*opened);
    for (auto& [id, appender] : appenders) log->attach(id, appender.get());
    return {};
  }
  void open(bool create = false) {
    const Status opened = try_open(create);
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  // Kills the process: operations in progress do not complete.
  void kill() {
    disk.process_crash();
    drop();
  }
  void cut_power() {
    disk.power_loss();
    drop();
  }
  void close() {
    run_until_sealed();
    drop();
  }

  TestAppender& appender(GroupId group) {
    auto& appender = appenders[group];
    if (appender == nullptr) appender = std::make_unique<TestAppender>();
    if (log != nullptr) log->attach(group, appender.get());
    return *appender;
  }

  // Appends `count` entries of `term` from `first` on; 0: the hard state alone.
  Status append(GroupId group, Term term, Index first, size_t count, size_t payload_bytes = 20) {
    std::vector<raft::Entry> entries;
    for (size_t i = 0; i < count; ++i) {
      entries.push_back(make_entry(term, first + i, payload_bytes));
    }
    return append(group, term, entries);
  }
  Status append(GroupId group, Term term, std::span<const raft::Entry> entries) {
    Append append;
    append.group = group;
    append.hard = {term, 3};
    append.leader_term = term;
    if (!entries.empty()) append.entries = {&entries, 1};
    append.number = ++numbers[group];
    return log->append(append);
  }
  // Appends and waits until it is durable.
  void write(GroupId group, Term term, Index first, size_t count, size_t payload_bytes = 20) {
    TestAppender& told = appender(group);
    const Status appended = append(group, term, first, count, payload_bytes);
    ASSERT_TRUE(appended) << appended.error().to_string();
    log->flush();
    while (told.last_durable < numbers[group] && step()) {
    }
    ASSERT_EQ(told.last_durable, numbers[group]);
  }

  // One completion, post or due timer.
  bool step() {
    const bool stepped = post.run_one() || disk.step() || timers.fire(clock.now());
    if (log != nullptr && ++steps % 16 == 0) log->check();
    return stepped;
  }
  void run() {
    while (step()) {
    }
  }
  void pass(Duration time) {
    clock.now_ += time;
    run();
  }
  // Until the log is idle and sealed.
  void run_until_sealed() {
    run();
    for (int i = 0; i < 4; ++i) pass(options.seal_after);
  }

  Result<std::vector<raft::Entry>> read(GroupId group, Index first, size_t max_bytes = 1 << 20) {
    std::optional<Result<std::vector<raft::Entry>>> out;
    log->read(group, first, max_bytes,
              [&](Result<std::vector<raft::Entry>> entries) { out = std::move(entries); });
    EXPECT_FALSE(out.has_value());
    while (!out && step()) {
    }
    if (!out) return fail(BOP_E_INTERNAL, "the read did not end");
    return std::move(*out);
  }

  const RecoveredGroup* found(GroupId group) const {
    for (const RecoveredGroup& one : log->recovery().groups) {
      if (one.group == group) return &one;
    }
    return nullptr;
  }

  sim::Disk disk;
  ManualClock clock;
  ManualTimers timers;
  ManualPost post;
  Options options;
  std::map<GroupId, std::unique_ptr<TestAppender>> appenders;
  std::map<GroupId, uint64_t> numbers;
  std::unique_ptr<Log> log;
  uint64_t steps = 0;

 private:
  void drop() {
    log.reset();
    post.tasks.clear();
    for (auto& [id, appender] : appenders) *appender = TestAppender{};
    numbers.clear();
  }
};

}  // namespace bop::log::testing

// A random walk: commands, queries, steps of workers, stable indexes, syncs and crashes, in an order that
// a seed determines. Every reply is compared with the model's. A difference is returned as text, so that the
// variants with a seeded bug can expect one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "kv_model.h"
#include "kv_replica.h"

namespace bop::machine::kv::test {

struct WalkOptions {
  uint64_t seed = 1;
  int steps = 2000;
  uint32_t keys = 60;
  size_t max_value = 300;
  bool crashes = true;
};

// `Source` has the interface of Random; that of the fuzzer takes its decisions from an input.
template <class Source>
class BasicWalk {
 public:
  using WorkQueue = Offload::WorkQueue;

  // `power` is called after each crash: it does to the store what a power loss does.
  BasicWalk(const WalkOptions& options, Replica& replica, std::function<void()> lose_power)
      : BasicWalk(options, replica, std::move(lose_power), Source(options.seed)) {}
  BasicWalk(const WalkOptions& options, Replica& replica, std::function<void()> lose_power,
            Source source)
      : options_(options),
        random_(std::move(source)),
        replica_(replica),
        lose_power_(std::move(lose_power)) {}

  // The first difference; empty: none.
  std::string run() {
    if (!replica_.open()) return "open: " + replica_.open_error.to_string();
    for (int step = 0; step < options_.steps && wrong_.empty(); ++step) take_step();
    if (wrong_.empty()) end_quietly();
    return wrong_;
  }

  // The final hashes, by index: equal for every walk over the same log.
  const std::map<uint64_t, std::pair<uint64_t, uint64_t>>& hashes() const { return hashes_; }
  const std::vector<LogEntry>& log() const { return log_; }
  int crashes() const { return crashes_; }
  uint64_t durable() const { return durable_; }

 private:
  struct Asked {
    uint64_t applied;  // when it was submitted
    std::function<Reply(const Model&, uint64_t index)> expect;
  };

  void take_step() {
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3: return apply();
      case 4:
      case 5: return ask();
      case 6: return make_stable();
      case 7: return replica_.driver().sync();
      case 8: return note_hash();
      case 9:
        if (options_.crashes && random_.chance(1, 8)) crash();
        return;
      case 10:
        // Its sums must hold whatever is flushed between its slices: a mismatch would fail the machine.
        replica_.driver().scrub(1 + random_.below(2000));
        return;
      default: step_a_lane();
    }
  }

  void step_a_lane() {
    // Some walks have slow reads, some slow flushes.
    constexpr uint64_t reads_in_16[] = {8, 1, 15};
    const bool reads = random_.chance(reads_in_16[options_.seed % 3], 16);
    replica_.offload->step(reads ? WorkQueue::reads : WorkQueue::writes);
    check();
  }

  // ---- commands ----

  std::string key() { return "key" + std::to_string(random_.below(options_.keys)); }
  std::string value() {
    if (random_.chance(1, 3)) return std::to_string(random_.between(-50, 50));
    return std::string(random_.below(options_.max_value),
                       static_cast<char>('a' + random_.below(26)));
  }

  Op operation() {
    Op operation;
    operation.key = key();
    operation.op = random_.chance(1, 2) ? BOP_KV_PUT : static_cast<bop_kv_op>(1 + random_.below(4));
    if (operation.op == BOP_KV_ADD)
      operation.value = number(random_.chance(1, 10) ? INT64_MAX : random_.between(-9, 9));
    else if (operation.op != BOP_KV_DELETE)
      operation.value = value();
    if (random_.chance(1, 4)) operation.flags |= BOP_KV_RETURN_PREVIOUS;
    if (random_.chance(1, 6)) operation.flags |= BOP_KV_WANT_EXISTED;
    if (random_.chance(1, 8)) operation.flags |= BOP_KV_IF_ABSENT;
    if (random_.chance(1, 8)) operation.flags |= BOP_KV_IF_PRESENT;
    const auto found = latest_.records().find(operation.key);
    if (random_.chance(1, 8)) {
      operation.flags |= BOP_KV_IF_REVISION;
      if (found != latest_.records().end() && random_.chance(2, 3))
        operation.revision = found->second.revision;
    }
    if (random_.chance(1, 8)) {
      operation.flags |= BOP_KV_IF_VALUE;
      if (found != latest_.records().end() && random_.chance(2, 3))
        operation.expected = found->second.value;
    }
    return operation;
  }

  void apply() {
    if (replica_.driver().applying()) return;
    std::vector<LogEntry> entries;
    const uint64_t count = 1 + random_.below(12);
    for (uint64_t i = 0; i < count; ++i) entries.push_back(make_entry());
    replica_.apply(entries);
    check();
  }

  LogEntry make_entry() {
    LogEntry entry;
    entry.index = (log_.empty() ? 0 : log_.back().index) + 1 +
                  (random_.chance(1, 10) ? random_.below(30) : 0);
    entry.term = 1 + entry.index / 500;
    std::vector<Op> operations(random_.chance(2, 3) ? 1 : 1 + random_.below(6));
    for (Op& each : operations) each = operation();
    if (random_.chance(1, 2)) operations = {put(key(), value())};  // the most frequent kind
    entry.command = command(operations);
    expected_[entry.index] = latest_.apply(operations, entry.index);
    states_[entry.index] = latest_;
    log_.push_back(entry);
    return entry;
  }

  // ---- queries ----

  void ask() {
    const uint64_t applied = replica_.driver().applied().index;
    switch (random_.below(3)) {
      case 0: {
        std::vector<std::string> keys(1 + random_.below(5));
        for (std::string& each : keys) each = key();
        return ask(
            get(keys),
            [keys](const Model& model, uint64_t index) { return model.get(keys, index); }, applied);
      }
      case 1: {
        const std::string first = random_.chance(1, 4) ? "" : key().substr(0, 3 + random_.below(3));
        const std::string end = random_.chance(1, 2) ? "" : key();
        uint16_t flags = random_.chance(1, 3) ? BOP_KV_KEYS_ONLY : 0;
        if (end.empty() && random_.chance(1, 2)) flags |= BOP_KV_PREFIX;
        if (random_.chance(1, 3)) flags |= BOP_KV_AFTER;
        const auto limit = static_cast<uint32_t>(1 + random_.below(40));
        return ask(
            range(first, end, limit, flags),
            [=](const Model& model, uint64_t index) {
              return model.range(first, end, limit, flags, index);
            },
            applied);
      }
      default:
        return ask(
            count(), [](const Model& model, uint64_t index) { return model.count(index); },
            applied);
    }
  }
  void ask(const std::vector<uint8_t>& question,
           std::function<Reply(const Model&, uint64_t)> expect, uint64_t applied) {
    const uint64_t token = replica_.ask_later(question);
    asked_[token] = {applied, std::move(expect)};
    check();
  }

  // ---- the harness ----

  void make_stable() {
    const uint64_t last = replica_.driver().applied().index;
    if (last == 0) return;
    const uint64_t most = stable_ + random_.below(last - std::min(last, stable_) + 1);
    for (const LogEntry& entry : log_)
      if (entry.index <= most) stable_ = std::max(stable_, entry.index);
    replica_.driver().stable(stable_);
  }

  void crash() {
    ++crashes_;
    replica_.crash();
    asked_.clear();
    replica_.replies.clear();
    replica_.answers.clear();
    lose_power_();
    // The log loses entries that are not stable, and other entries may replace them.
    while (!log_.empty() && log_.back().index > stable_) {
      expected_.erase(log_.back().index);
      states_.erase(log_.back().index);
      log_.pop_back();
    }
    hashes_.erase(hashes_.upper_bound(stable_), hashes_.end());
    latest_ = state_at(stable_);
    if (!replica_.open()) return fail("reopen: " + replica_.open_error.to_string());
    const uint64_t position = replica_.driver().applied().index;
    if (position > stable_)
      return fail("the store holds entry " + std::to_string(position) + ", the log ends at " +
                  std::to_string(stable_));
    if (position < durable_)
      return fail("the store holds entry " + std::to_string(position) + ", durable was " +
                  std::to_string(durable_));
    replay(position);
  }

  void replay(uint64_t position) {
    replica_.driver().stable(stable_);
    std::vector<LogEntry> batch;
    for (size_t i = 0; i < log_.size(); ++i) {
      if (log_[i].index > position) batch.push_back(log_[i]);
      if (batch.empty() || (batch.size() < 20 && i + 1 < log_.size())) continue;
      replica_.apply(std::move(batch));
      batch.clear();
      while (replica_.driver().applying())
        if (!replica_.offload->step(WorkQueue::reads) && !replica_.offload->step(WorkQueue::writes))
          break;
      check();
    }
  }

  void end_quietly() {
    replica_.driver().stable(log_.empty() ? 0 : log_.back().index);
    stable_ = std::max<uint64_t>(stable_, log_.empty() ? 0 : log_.back().index);
    replica_.finish();
    check();
    if (replica_.driver().applying()) return fail("an apply was never completed");
    if (!asked_.empty()) return fail("a question was never answered");
    note_hash();
    replica_.finish();
    note_hash();
    const uint64_t applied = replica_.driver().applied().index;
    if (applied != 0 && !hashes_.contains(applied))
      return fail("no hash of the last entry although nothing is under way");
    replica_.flush();
    check();
    if (replica_.driver().durable().index != applied)
      return fail("a sync did not make all durable");
    note_hash();
  }

  // ---- checks ----

  void fail(const std::string& what) {
    if (wrong_.empty()) wrong_ = "seed " + std::to_string(options_.seed) + ": " + what;
  }

  const Model& state_at(uint64_t index) {
    auto at = states_.upper_bound(index);
    if (at == states_.begin()) return empty_;
    return std::prev(at)->second;
  }

  void note_hash() {
    replica_.driver().state_hash();
    for (const bop_state_hash& hash : replica_.kv().recent_hashes()) {
      const Totals totals = state_at(hash.index).totals();
      if (hash.low != totals.low + totals.records || hash.high != totals.high)
        return fail("the hash at " + std::to_string(hash.index) + " is not that of the records");
      const std::pair<uint64_t, uint64_t> mine{hash.low, hash.high};
      const auto [at, fresh] = hashes_.emplace(hash.index, mine);
      if (!fresh && at->second != mine) return fail("two hashes at " + std::to_string(hash.index));
    }
  }

  void check() {
    if (replica_.failure) return fail("failed: " + replica_.failure->to_string());
    for (const auto& [index, reply] : replica_.replies)
      if (expected_.at(index) != reply) return fail("the reply at " + std::to_string(index));
    replica_.replies.clear();
    for (const auto& [token, reply] : replica_.answers) check_answer(token, reply);
    replica_.answers.clear();
    const uint64_t durable = replica_.driver().durable().index;
    if (durable < durable_) fail("durable fell");
    if (durable > stable_) fail("durable passed what the log holds durably");
    durable_ = durable;
  }

  void check_answer(uint64_t token, const Reply& reply) {
    const auto asked = asked_.find(token);
    if (asked == asked_.end()) return fail("an answer to no question");
    if (reply.body.size() < 8) return fail("an answer without an index");
    const auto index = load_le<uint64_t>(reply.body.data());
    if (index < asked->second.applied) fail("an answer from before the question");
    if (asked->second.expect(state_at(index), index) != reply)
      fail("the answer to a question at " + std::to_string(index));
    asked_.erase(asked);
  }

  const WalkOptions options_;
  Source random_;
  Replica& replica_;
  const std::function<void()> lose_power_;

  std::vector<LogEntry> log_;
  Model latest_;
  const Model empty_;
  std::map<uint64_t, Model> states_;  // after each entry
  std::map<uint64_t, Reply> expected_;
  std::map<uint64_t, Asked> asked_;
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> hashes_;
  uint64_t stable_ = 0;
  uint64_t durable_ = 0;
  int crashes_ = 0;
  std::string wrong_;
};

using Walk = BasicWalk<Random>;

}  // namespace bop::machine::kv::test

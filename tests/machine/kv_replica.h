// A kv behind its driver, on workers that a test steps by hand, with its log. Closing it is a crash; opening
// it again replays the log.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv_bytes.h"
#include "machine/driver.h"
#include "machine/kv/table.h"
#include "manual_offload.h"

namespace bop::machine::kv::test {

struct LogEntry {
  uint64_t index = 0;
  uint64_t term = 1;
  std::vector<uint8_t> command;
};

struct Reply {
  int32_t status = BOP_OK;
  std::vector<uint8_t> body;
  friend bool operator==(const Reply&, const Reply&) = default;
};

// Gives access to the Kv behind the driver.
class CatchingTable {
 public:
  CatchingTable(StoreFactory stores, const Settings& settings) : kv_(std::move(stores), settings) {
    table_.table = *kv_.table();
    table_.owner = this;
    table_.table.open = [](const bop_machine_table* self, const bop_machine_host* host,
                           const bop_machine_options* options, bop_machine** machine, char* error,
                           size_t capacity) -> int32_t {
      CatchingTable* owner = reinterpret_cast<const Table*>(self)->owner;
      const bop_machine_table* behind = owner->kv_.table();
      const int32_t status = behind->open(behind, host, options, machine, error, capacity);
      owner->machine = status == BOP_OK ? &kv_of(*machine) : nullptr;
      return status;
    };
  }
  const bop_machine_table& table() const { return table_.table; }
  Kv* machine = nullptr;

 private:
  struct Table {
    bop_machine_table table;
    CatchingTable* owner;
  };
  KvTable kv_;
  Table table_{};
};

class Replica final : public DriverEvents {
 public:
  using WorkQueue = Offload::WorkQueue;

  explicit Replica(StoreFactory stores, const Settings& settings = {}, std::string directory = {})
      : table_(std::move(stores), settings), directory_(std::move(directory)) {}
  ~Replica() override { crash(); }

  // False: it did not open, and open_error has the reason.
  bool open() {
    if (!open_only()) return false;
    finish();
    return true;
  }
  // Without the verification of its store, which are jobs of a worker.
  bool open_only() {
    DriverOptions options;
    options.group = "test";
    options.directory = directory_;
    offload = std::make_unique<ManualOffload>();
    failure.reset();
    auto driver = Driver::open(table_.table(), options, *offload, *this);
    if (!driver) {
      open_error = driver.error();
      return false;
    }
    driver_ = std::move(*driver);
    given_ = driver_->applied().index;
    return true;
  }
  void crash() {
    driver_.reset();
    pending_.clear();
    table_.machine = nullptr;
  }

  Driver& driver() { return *driver_; }
  Kv& kv() { return *table_.machine; }
  bool is_open() const { return driver_ != nullptr; }

  // Passes entries to the machine, which must not be applying.
  void apply(std::vector<LogEntry> entries) {
    pending_.assign(entries.begin(), entries.end());
    entries_.clear();
    for (const LogEntry& each : pending_) {
      bop_entry entry{};
      entry.size = sizeof entry;
      entry.index = each.index;
      entry.term = each.term;
      entry.command = {each.command.data(), each.command.size()};
      entries_.push_back(entry);
      given_ = each.index;
    }
    driver_->apply(entries_);
  }
  // One command at the next index, and its reply.
  Reply run(const std::vector<uint8_t>& command) {
    const uint64_t index = given_ + 1;
    apply({{index, 1, command}});
    finish();
    return replies.at(index);
  }
  Reply run(const std::vector<Op>& operations) { return run(command(operations)); }

  // A query and its reply.
  Reply ask(const std::vector<uint8_t>& question) {
    const uint64_t token = ask_later(question);
    finish();
    return answers.at(token);
  }
  uint64_t ask_later(std::vector<uint8_t> question) {
    questions_.push_back(std::move(question));
    const uint64_t token = next_token_++;
    driver_->expect_query(questions_.back());  // which must change nothing
    driver_->query(questions_.back(), token);
    return token;
  }

  // Runs the workers until they have no jobs.
  void finish() { offload->run(); }
  void make_stable() { driver_->stable(given_); }
  // Freezes, flushes and syncs everything.
  void flush() {
    make_stable();
    driver_->sync();
    finish();
  }
  uint64_t given() const { return given_; }

  std::optional<Totals> hash_at(uint64_t index) {
    for (const bop_state_hash& hash : kv().recent_hashes())
      if (hash.index == index) return Totals{hash.low, hash.high, 0};
    return {};
  }

  // DriverEvents
  void applied(std::span<const bop_reply> given) override {
    ASSERT_EQ(given.size(), pending_.size());
    for (size_t i = 0; i < given.size(); ++i) replies[pending_[i].index] = copy(given[i]);
  }
  void answered(uint64_t token, const bop_reply& reply) override { answers[token] = copy(reply); }
  void failed(const Error& error) override { failure = error; }

  std::unique_ptr<ManualOffload> offload;
  std::map<uint64_t, Reply> replies;  // by index
  std::map<uint64_t, Reply> answers;  // by token
  std::optional<Error> failure;
  Error open_error;

 private:
  static Reply copy(const bop_reply& reply) {
    return {reply.status, {reply.body.data, reply.body.data + reply.body.size}};
  }

  CatchingTable table_;
  const std::string directory_;
  std::unique_ptr<Driver> driver_;
  uint64_t given_ = 0;
  uint64_t next_token_ = 1;
  std::vector<LogEntry> pending_;
  std::vector<bop_entry> entries_;
  std::deque<std::vector<uint8_t>> questions_;
};

}  // namespace bop::machine::kv::test

#include <algorithm>

#include "base/assert.h"
#include "machine/kv/answer.h"
#include "machine/kv/tasks.h"

namespace bop::machine::kv {

namespace {

constexpr uint32_t not_fetched = UINT32_MAX;
// How many records a batch reads from the store at a time.
constexpr size_t max_missing = 4096;
// How many operations ahead records are prefetched: with fewer, the prefetch comes too late.
constexpr size_t operations_ahead = 8;
// Approximate size of an entry in the log, without its command.
constexpr size_t entry_overhead_bytes = 64;

}  // namespace

int32_t Kv::apply(std::span<const bop_entry> entries, bop_reply* replies, uint64_t token) {
  BOP_ASSERT(!batch_.open);
  if (broken_) return broken_->code;
  if (restore_ != nullptr) return BOP_E_INVALID_ARGUMENT;
  batch_.entries = entries;
  batch_.token = token;
  decode_batch();
  if (!advance_batch()) {
    batch_.open = true;
    return BOP_PENDING;
  }
  point_at_bodies();
  std::copy(batch_.replies.begin(), batch_.replies.end(), replies);
  return BOP_OK;
}

bop_status Kv::check(Bytes command) {
  checked_.clear();
  return decode_command(command, checked_);
}

void Kv::decode_batch() {
  batch_.next = 0;
  batch_.commands.clear();
  batch_.operations.clear();
  batch_.hashes.clear();
  batch_.replies.clear();
  batch_.body_ends.clear();
  empty(batch_.bodies);
  for (const bop_entry& entry : batch_.entries) {
    Command command;
    command.first = batch_.operations.size();
    command.status = decode_command(bytes_of(entry.command), batch_.operations);
    command.count = batch_.operations.size() - command.first;
    for (size_t i = command.first; i < batch_.operations.size(); ++i) {
      batch_.hashes.push_back(hash_of(batch_.operations[i].key));
      active_->expect(batch_.hashes.back());
      command.conditional |= batch_.operations[i].is_conditional();
    }
    command.plain = command.count == 1 && !batch_.operations.back().needs_before();
    batch_.commands.push_back(command);
  }
  batch_.fetched.assign(batch_.operations.size(), not_fetched);
}

// Executes entries of the batch. True: all are executed. False: it waits for a read, a flush or a range
// query, which resumes it when done.
bool Kv::advance_batch() {
  while (batch_.next < batch_.entries.size()) {
    if (check_ != nullptr || batch_.reading || holds_ > 0 || memory_is_full()) return false;
    const size_t ready = read_missing();
    batch_.forgot = false;
    while (batch_.next < ready && !memory_is_full()) {
      const uint64_t before = batch_.entries[batch_.next].index - 1;
      pass_hash_index(before / settings_.hash_interval * settings_.hash_interval);
      if (batch_.forgot) break;
      run(batch_.next++);
      if (batch_.forgot) break;
    }
  }
  shed_memory();
  return true;
}

void Kv::resume_batch() {
  if (!batch_.open || broken_ || !advance_batch()) return;
  point_at_bodies();
  batch_.open = false;
  host_.complete(host_.context, batch_.token, BOP_OK, batch_.replies.data(), batch_.replies.size());
}

void Kv::point_at_bodies() {
  size_t begin = 0;
  for (size_t i = 0; i < batch_.replies.size(); ++i) {
    const size_t end = batch_.body_ends[i];
    batch_.replies[i].body = {batch_.bodies.data() + begin, end - begin};
    begin = end;
  }
}

// The reply to a conditional command may have to contain all its records.
bool Kv::must_know(const Command& command, const Operation& operation) const {
  return command.conditional || operation.needs_before();
}

// Starts to read the records that the next commands need and no memtable has. Returns the end of the
// commands that can be executed now.
size_t Kv::read_missing() {
  std::vector<uint32_t> missing;
  size_t end = batch_.next;
  for (; end < batch_.commands.size() && missing.size() < max_missing; ++end) {
    const Command& command = batch_.commands[end];
    if (command.plain) continue;
    for (size_t i = command.first; i < command.first + command.count; ++i) {
      const Operation& operation = batch_.operations[i];
      if (must_know(command, operation) && batch_.fetched[i] == not_fetched &&
          !held(operation.key, batch_.hashes[i]))
        missing.push_back(static_cast<uint32_t>(i));
    }
  }
  if (missing.empty()) return end;

  std::sort(missing.begin(), missing.end(), [this](uint32_t a, uint32_t b) {
    return compare_keys(batch_.operations[a].key, batch_.operations[b].key) < 0;
  });
  RecordReads& records = batch_reads_->records;
  const auto first = static_cast<ptrdiff_t>(batch_.commands[batch_.next].first);
  // Records that were read for executed commands are not needed any more.
  if (std::all_of(batch_.fetched.begin() + first, batch_.fetched.end(),
                  [](uint32_t place) { return place == not_fetched; }))
    records.clear();
  for (const uint32_t i : missing) batch_.fetched[i] = records.add(batch_.operations[i].key);
  batch_.reading = true;
  reads_->submit(*batch_reads_);
  return batch_.next;
}

// The batch did not read keys that the memtable had, and its own commands may have changed keys that it did
// read. Until now the memtable covered both. When it is dropped, those keys have to be read from the store.
void Kv::forget_fetched(const Memtable& dropped) {
  if (batch_.next == batch_.commands.size()) return;
  for (size_t i = batch_.commands[batch_.next].first; i < batch_.fetched.size(); ++i) {
    if (dropped.find(batch_.operations[i].key, batch_.hashes[i]) == nullptr) continue;
    batch_.fetched[i] = not_fetched;
    batch_.forgot = true;
  }
}

// Executes one entry. If its index ends a hash interval, the hash is recorded.
void Kv::run(size_t which) {
  const bop_entry& entry = batch_.entries[which];
  const Command& command = batch_.commands[which];
  const size_t ahead = command.first + operations_ahead;
  if (ahead < batch_.hashes.size()) active_->expect_next(batch_.hashes[ahead]);
  BOP_ASSERT_GT(entry.index, applied_.index);

  bop_reply reply{sizeof(bop_reply), command.status, {nullptr, 0}};
  if (command.plain) {
    const Operation& put = batch_.operations[command.first];
    active_->put(put.key, batch_.hashes[command.first], entry.index, put.value, {}, nullptr);
    put_plain_answer(batch_.bodies, entry.index);
  } else if (command.status == BOP_OK) {
    reply.status = execute(command, entry.index);
  }
  batch_.replies.push_back(reply);
  batch_.body_ends.push_back(batch_.bodies.size());

  applied_ = {entry.index, entry.term};
  log_bytes_ += entry.command.size + entry_overhead_bytes;
  if (entry.index % settings_.hash_interval == 0) pass_hash_index(entry.index);
  // The entries of one hash interval may need more memory than is allowed.
  if (immutable_ == nullptr && active_->bytes() >= settings_.memory_bytes / 2) freeze();
}

void Kv::pass_hash_index(uint64_t hash_index) {
  if (hash_index <= last_hash_index_) return;
  last_hash_index_ = hash_index;
  active_->add_point(hash_index);
  if (immutable_ == nullptr && freeze_is_due()) freeze();
}

}  // namespace bop::machine::kv

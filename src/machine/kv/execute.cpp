// Executes one command on the state: all of its operations or none.
#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "machine/kv/answer.h"
#include "machine/kv/tasks.h"

namespace bop::machine::kv {

namespace {

Known known_of(const Record& record) {
  return {record.present, record.revision, record.value(), record.hash};
}

// Parses a decimal number as Redis stores it: no '+', no leading zeros, no spaces.
bool read_number(Bytes text, int64_t& number) {
  const auto* begin = reinterpret_cast<const char*>(text.data());
  const char* end = begin + text.size();
  const auto [stopped, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stopped != end) return false;
  const size_t digits = text.size() - (text[0] == '-' ? 1 : 0);
  const uint8_t first = text[text.size() - digits];
  return first != '0' || text.size() == 1;
}

}  // namespace

bool Kv::held(Bytes key, uint64_t hash) const {
  return active_->find(key, hash) != nullptr ||
         (immutable_ != nullptr && immutable_->find(key, hash) != nullptr) ||
         (flushed_ != nullptr && flushed_->find(key, hash) != nullptr);
}

// The record of an operation's key before the command.
Known Kv::before(size_t operation) const {
  const Bytes key = batch_.operations[operation].key;
  const uint64_t hash = batch_.hashes[operation];
  for (const Memtable* memtable : {active_.get(), immutable_.get(), flushed_.get()}) {
    if (memtable == nullptr) continue;
    if (const Record* record = memtable->find(key, hash)) return known_of(*record);
  }
  return batch_reads_->records.known(batch_.fetched[operation]);
}

Kv::Working& Kv::working_of(const Command& command, size_t operation) {
  const Operation& wanted = batch_.operations[operation];
  const uint64_t hash = batch_.hashes[operation];
  for (size_t i = 0; i < working_count_; ++i)
    if (working_[i].hash == hash && equal_keys(working_[i].key, wanted.key)) return working_[i];

  if (working_.size() == working_count_) working_.emplace_back();
  Working& working = working_[working_count_++];
  working.key = wanted.key;
  working.hash = hash;
  working.changed = false;
  working.stored_known = must_know(command, wanted);
  working.stored_version = working.stored_known ? before(operation) : Known{};
  working.present = working.stored_version.present;
  working.revision = working.stored_version.revision;
  working.head = working.stored_version.value;
  empty(working.tail);
  return working;
}

bop_status Kv::execute(const Command& command, uint64_t index) {
  const size_t begin = batch_.bodies.size();
  working_count_ = 0;
  put_items_head(batch_.bodies, index, command.count);
  for (size_t i = command.first; i < command.first + command.count; ++i) {
    const Operation& operation = batch_.operations[i];
    bop_status status = execute_operation(operation, working_of(command, i), index);
    if (status == BOP_E_CONDITION_FAILED) status = answer_failed_condition(command, begin);
    if (status == BOP_OK && batch_.bodies.size() - begin > BOP_KV_REPLY_MAX)
      status = BOP_E_TOO_LARGE;
    if (status == BOP_E_CONDITION_FAILED) return status;
    if (status != BOP_OK) {
      batch_.bodies.resize(begin);
      return status;
    }
  }
  commit(index);
  return BOP_OK;
}

namespace {

template <class Working>
bool condition_holds(const Operation& operation, const Working& record) {
  if (operation.has(BOP_KV_IF_ABSENT) && record.present) return false;
  if (operation.has(BOP_KV_IF_PRESENT) && !record.present) return false;
  if (operation.has(BOP_KV_IF_REVISION) &&
      operation.revision != (record.present ? record.revision : 0))
    return false;
  if (!operation.has(BOP_KV_IF_VALUE)) return true;
  const Bytes expected = operation.expected;
  return record.present && expected.size() == record.size() &&
         std::equal(record.head.begin(), record.head.end(), expected.begin()) &&
         std::equal(record.tail.begin(), record.tail.end(),
                    expected.begin() + static_cast<ptrdiff_t>(record.head.size()));
}

template <class Working>
void set_value(Working& record, Bytes head) {
  record.head = head;
  record.tail.clear();
}

template <class Working>
bop_status add(const Operation& operation, Working& record) {
  int64_t number = 0;
  if (record.present) {
    std::vector<uint8_t> digits(record.head.begin(), record.head.end());
    digits.insert(digits.end(), record.tail.begin(), record.tail.end());
    if (digits.size() > 20 || digits.empty() || !read_number(digits, number))
      return BOP_E_WRONG_TYPE;
  }
  if (__builtin_add_overflow(number, operation.delta, &number)) return BOP_E_OVERFLOW;
  char text[24];
  const auto written = std::to_chars(text, text + sizeof text, number);
  set_value(record, {});
  record.tail.assign(text, written.ptr);
  return BOP_OK;
}

template <class Working>
bop_status append_value(const Operation& operation, Working& record) {
  if (!record.present) set_value(record, {});
  if (record.size() + operation.value.size() > BOP_KV_VALUE_MAX) return BOP_E_TOO_LARGE;
  append(record.tail, operation.value);
  return BOP_OK;
}

}  // namespace

bop_status Kv::execute_operation(const Operation& operation, Working& working, uint64_t index) {
  if (!condition_holds(operation, working)) return BOP_E_CONDITION_FAILED;
  std::vector<uint8_t>& out = batch_.bodies;
  const bool previous = operation.has(BOP_KV_RETURN_PREVIOUS);
  const bool tells_new = operation.op == BOP_KV_ADD || operation.op == BOP_KV_APPEND;
  if (previous)
    put_item(out, working.present, working.revision, working.head, working.tail);
  else if (!tells_new)
    put_item(out, operation.needs_before() && working.present, working.revision);

  bop_status status = BOP_OK;
  switch (operation.op) {
    case BOP_KV_PUT: set_value(working, operation.value); break;
    case BOP_KV_DELETE: set_value(working, {}); break;
    case BOP_KV_ADD: status = add(operation, working); break;
    case BOP_KV_APPEND: status = append_value(operation, working); break;
  }
  if (status != BOP_OK) return status;
  const bool deletes = operation.op == BOP_KV_DELETE;
  working.changed |= !deletes || working.present;
  working.present = !deletes;
  working.revision = index;
  if (previous || !tells_new) return BOP_OK;
  if (operation.op == BOP_KV_ADD) {
    put_item(out, true, index, working.head, working.tail);
  } else {
    uint8_t length[8];
    store_le<uint64_t>(length, working.size());
    put_item(out, true, index, Bytes(length));
  }
  return BOP_OK;
}

// The reply to a command whose condition failed: every operation's record, unchanged.
bop_status Kv::answer_failed_condition(const Command& command, size_t begin) {
  batch_.bodies.resize(begin);
  put_items_head(batch_.bodies, 0, command.count);
  for (size_t i = command.first; i < command.first + command.count; ++i) {
    const Known record = before(i);
    put_item(batch_.bodies, record.present, record.revision, record.value);
    if (batch_.bodies.size() - begin > BOP_KV_REPLY_MAX) return BOP_E_TOO_LARGE;
  }
  return BOP_E_CONDITION_FAILED;
}

void Kv::commit(uint64_t index) {
  for (size_t i = 0; i < working_count_; ++i) {
    const Working& working = working_[i];
    if (!working.changed) continue;
    const Known* stored = working.stored_known ? &working.stored_version : nullptr;
    if (working.present)
      active_->put(working.key, working.hash, index, working.head, working.tail, stored);
    else
      active_->erase(working.key, working.hash, index, stored);
  }
}

}  // namespace bop::machine::kv

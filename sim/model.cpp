#include "sim/model.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/checksum.h"
#include "proto/kv.h"

namespace bop::sim {

struct KvModel::Operation {
  uint8_t op = 0;
  uint8_t flags = 0;
  uint64_t revision = 0;
  std::string key;
  std::string value;
  std::string expected;
};

namespace {

std::string text(Bytes bytes) { return std::string(as_text(bytes)); }

template <class Operation>
std::vector<Operation> parse(Bytes command) {
  Reader reader(command);
  BOP_ASSERT_EQ(reader.u8(), BOP_KV_VERSION);
  reader.u8();
  std::vector<Operation> operations(reader.u16());
  for (Operation& operation : operations) {
    operation.op = reader.u8();
    operation.flags = reader.u8();
    const uint16_t key_size = reader.u16();
    const uint32_t value_size = reader.u32();
    uint32_t expected_size = 0;
    if (operation.flags & BOP_KV_IF_REVISION) operation.revision = reader.u64();
    if (operation.flags & BOP_KV_IF_VALUE) expected_size = reader.u32();
    operation.key = text(reader.bytes(key_size));
    operation.value = text(reader.bytes(value_size));
    operation.expected = text(reader.bytes(expected_size));
  }
  BOP_ASSERT(reader.complete());
  return operations;
}

template <class Operation>
bool holds(const Operation& operation, const KvModel::Record* record) {
  const uint8_t flags = operation.flags;
  if ((flags & BOP_KV_IF_ABSENT) && record != nullptr) return false;
  if ((flags & BOP_KV_IF_PRESENT) && record == nullptr) return false;
  if ((flags & BOP_KV_IF_VALUE) && (record == nullptr || record->value != operation.expected)) {
    return false;
  }
  if (flags & BOP_KV_IF_REVISION) {
    if ((record == nullptr ? 0 : record->revision) != operation.revision) return false;
  }
  return true;
}

std::optional<int64_t> number_in(const std::string& digits) {
  int64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || std::to_string(number) != digits) return {};
  return number;
}

// The new value, or why there is none.
bop_status add(const std::string& delta, const KvModel::Record* record, std::string& value) {
  const auto before = record == nullptr ? std::optional<int64_t>(0) : number_in(record->value);
  if (!before) return BOP_E_WRONG_TYPE;
  int64_t sum;
  if (__builtin_add_overflow(*before, load_le<int64_t>(as_bytes(delta).data()), &sum)) {
    return BOP_E_OVERFLOW;
  }
  value = std::to_string(sum);
  return BOP_OK;
}

KvModel::Item whole(const KvModel::Record* record) {
  if (record == nullptr) return {false, {}, {}};
  return {true, record->value, record->revision};
}

const KvModel::Record* find(const KvModel::Records& records, const std::string& key) {
  const auto found = records.find(key);
  return found == records.end() ? nullptr : &found->second;
}

}  // namespace

KvModel::Answer KvModel::apply(Bytes command, Index index) {
  const std::vector<Operation> operations = parse<Operation>(command);
  Answer answer;
  answer.revision = index;
  Records changed = {};  // what this command did so far, over records_
  std::map<std::string, bool> touched;
  const auto current = [&](const std::string& key) -> const Record* {
    return touched.contains(key) ? find(changed, key) : find(records_, key);
  };
  for (const Operation& operation : operations) {
    const Record* before = current(operation.key);
    if (!holds(operation, before)) return refuse(BOP_E_CONDITION_FAILED, operations);
    Item item;
    if (operation.op == BOP_KV_DELETE || (operation.flags & BOP_KV_WANT_EXISTED)) {
      item.present = before != nullptr;
    }
    if (operation.flags & BOP_KV_RETURN_PREVIOUS) item = whole(before);

    std::string value = operation.value;
    if (operation.op == BOP_KV_ADD) {
      const bop_status status = add(operation.value, before, value);
      if (status != BOP_OK) return refuse(status, operations);
      if (!(operation.flags & BOP_KV_RETURN_PREVIOUS)) item.value = value;
    }
    if (operation.op == BOP_KV_APPEND) {
      value = (before == nullptr ? "" : before->value) + operation.value;
      if (value.size() > BOP_KV_VALUE_MAX) return refuse(BOP_E_TOO_LARGE, operations);
      std::vector<uint8_t> length;
      Writer(length).u64(value.size());
      if (!(operation.flags & BOP_KV_RETURN_PREVIOUS)) item.value = text(length);
    }
    touched[operation.key] = true;
    if (operation.op == BOP_KV_DELETE) {
      changed.erase(operation.key);
    } else {
      changed[operation.key] = {value, index};
    }
    answer.items.push_back(item);
  }
  for (const auto& [key, yes] : touched) {
    records_.erase(key);
    const Record* const record = find(changed, key);
    if (record != nullptr) records_[key] = *record;
    changes_[key].push_back(
        {index, record == nullptr ? Version{} : version(index, as_bytes(record->value))});
  }
  return answer;
}

KvModel::Version KvModel::version(uint64_t revision, Bytes value) {
  return {revision, hash64(value)};
}

KvModel::Version KvModel::version_at(const std::string& key, Index index) const {
  const auto found = changes_.find(key);
  if (found == changes_.end()) return {};
  const std::vector<Change>& changes = found->second;
  const auto after = std::ranges::upper_bound(changes, index, {}, &Change::index);
  return after == changes.begin() ? Version{} : std::prev(after)->version;
}

KvModel::Answer KvModel::refuse(bop_status status, const std::vector<Operation>& operations) const {
  Answer answer;
  answer.status = status;
  if (status != BOP_E_CONDITION_FAILED) return answer;
  for (const Operation& operation : operations) {
    answer.items.push_back(whole(find(records_, operation.key)));
  }
  return answer;
}

std::string KvModel::difference(const Answer& expected, int32_t status, Bytes body) {
  if (status != expected.status) {
    return "status " + std::string(bop_error_name(status)) + " in place of " +
           bop_error_name(expected.status);
  }
  if (status != BOP_OK && status != BOP_E_CONDITION_FAILED) return "";
  proto::KvItems items(body);
  if (items.position() != expected.revision) {
    return "revision " + std::to_string(items.position()) + " in place of " +
           std::to_string(expected.revision);
  }
  if (items.count() != expected.items.size()) return "another number of items";
  for (size_t i = 0; i < expected.items.size(); ++i) {
    const Item& wanted = expected.items[i];
    const std::string which = "item " + std::to_string(i) + ": ";
    proto::KvItem item;
    if (!items.next(item)) return which + "malformed";
    if (wanted.present && *wanted.present != item.present) return which + "present or not";
    if (wanted.value && *wanted.value != as_text(item.value)) {
      return which + "value '" + text(item.value) + "' in place of '" + *wanted.value + "'";
    }
    if (wanted.revision && *wanted.revision != item.revision) {
      return which + "revision " + std::to_string(item.revision) + " in place of " +
             std::to_string(*wanted.revision);
    }
  }
  return items.ok() ? "" : "malformed";
}

}  // namespace bop::sim

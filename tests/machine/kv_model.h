// A model of bop/kv.h on one map, with which replies are compared bit for bit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kv_replica.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv::test {

class Model {
 public:
  struct Record {
    uint64_t revision = 0;
    std::string value;
    friend bool operator==(const Record&, const Record&) = default;
  };
  using Records = std::map<std::string, Record>;

  Reply apply(const std::vector<Op>& operations, uint64_t index) {
    Records changed = records_;
    std::vector<Item> items;
    for (const Op& operation : operations) {
      const int32_t status = execute(operation, changed, index, items);
      if (status == BOP_E_CONDITION_FAILED) return failed(operations);
      if (status != BOP_OK) return {status, {}};
    }
    records_ = std::move(changed);
    return {BOP_OK, encode(index, items)};
  }

  Reply get(const std::vector<std::string>& keys, uint64_t index) const {
    std::vector<Item> items;
    for (const std::string& key : keys) items.push_back(item(records_, key));
    return {BOP_OK, encode(index, items)};
  }
  Reply count(uint64_t index) const {
    std::vector<uint8_t> body;
    Writer writer(body);
    writer.u64(index);
    writer.u64(records_.size());
    return {BOP_OK, body};
  }
  Reply range(const std::string& first, const std::string& end, uint32_t limit, uint16_t flags,
              uint64_t index) const {
    std::vector<uint8_t> records;
    Writer writer(records);
    uint32_t found = 0;
    bool more = false;
    for (auto at = records_.lower_bound(first); at != records_.end(); ++at) {
      const bool in_range = (flags & BOP_KV_PREFIX) != 0
                                ? at->first.compare(0, first.size(), first) == 0
                                : end.empty() || at->first < end;
      if (!in_range) break;
      if ((flags & BOP_KV_AFTER) != 0 && at->first == first) continue;
      if (found == limit) {
        more = true;
        break;
      }
      ++found;
      writer.u16(static_cast<uint16_t>(at->first.size()));
      writer.bytes(as_bytes(at->first));
      const std::string& value = at->second.value;
      put_item(writer, {true, at->second.revision,
                        (flags & BOP_KV_KEYS_ONLY) != 0 ? std::string() : value});
    }
    std::vector<uint8_t> body;
    Writer head(body);
    head.u64(index);
    head.u8(more ? 1 : 0);
    head.u32(found);
    head.bytes(records);
    return {BOP_OK, body};
  }

  // The state hash, computed from nothing but the records.
  Totals totals() const {
    Totals sum;
    for (const auto& [key, record] : records_)
      sum += totals_of(true, record_hash(as_bytes(key), record.revision, as_bytes(record.value)));
    return sum;
  }
  const Records& records() const { return records_; }

 private:
  static Item item(const Records& records, const std::string& key) {
    const auto found = records.find(key);
    if (found == records.end()) return {};
    return {true, found->second.revision, found->second.value};
  }

  static int32_t execute(const Op& operation, Records& records, uint64_t index,
                         std::vector<Item>& items) {
    const Item before = item(records, operation.key);
    const uint8_t flags = operation.flags;
    if ((flags & BOP_KV_IF_ABSENT) != 0 && before.present) return BOP_E_CONDITION_FAILED;
    if ((flags & BOP_KV_IF_PRESENT) != 0 && !before.present) return BOP_E_CONDITION_FAILED;
    if ((flags & BOP_KV_IF_REVISION) != 0 && before.revision != operation.revision)
      return BOP_E_CONDITION_FAILED;
    if ((flags & BOP_KV_IF_VALUE) != 0 && (!before.present || before.value != operation.expected))
      return BOP_E_CONDITION_FAILED;

    Item told;
    if ((flags & BOP_KV_RETURN_PREVIOUS) != 0)
      told = before;
    else if (operation.op != BOP_KV_PUT || flags != 0)
      told = {before.present, before.revision, {}};
    std::string value = operation.value;
    if (operation.op == BOP_KV_ADD) {
      int64_t number = 0;
      if (before.present) {
        size_t used = 0;
        try {
          number = std::stoll(before.value, &used);
        } catch (const std::exception&) {
          return BOP_E_WRONG_TYPE;
        }
        if (std::to_string(number) != before.value) return BOP_E_WRONG_TYPE;
      }
      const auto delta = load_le<int64_t>(as_bytes(operation.value).data());
      if (__builtin_add_overflow(number, delta, &number)) return BOP_E_OVERFLOW;
      value = std::to_string(number);
      if ((flags & BOP_KV_RETURN_PREVIOUS) == 0) told = {true, index, value};
    }
    if (operation.op == BOP_KV_APPEND) {
      value = before.value + operation.value;
      if (value.size() > BOP_KV_VALUE_MAX) return BOP_E_TOO_LARGE;
      if ((flags & BOP_KV_RETURN_PREVIOUS) == 0)
        told = {true, index, number(static_cast<int64_t>(value.size()))};
    }
    if (operation.op == BOP_KV_DELETE)
      records.erase(operation.key);
    else
      records[operation.key] = {index, value};
    items.push_back(told);
    return BOP_OK;
  }

  Reply failed(const std::vector<Op>& operations) const {
    std::vector<Item> items;
    for (const Op& operation : operations) items.push_back(item(records_, operation.key));
    return {BOP_E_CONDITION_FAILED, encode(0, items)};
  }

  static void put_item(Writer& writer, const Item& item) {
    writer.u8(item.present ? 1 : 0);
    writer.u64(item.revision);
    writer.u32(static_cast<uint32_t>(item.value.size()));
    writer.bytes(as_bytes(item.value));
  }
  static std::vector<uint8_t> encode(uint64_t index, const std::vector<Item>& items) {
    std::vector<uint8_t> body;
    Writer writer(body);
    writer.u64(index);
    writer.u16(static_cast<uint16_t>(items.size()));
    for (const Item& each : items) put_item(writer, each);
    return body;
  }

  Records records_;
};

}  // namespace bop::machine::kv::test

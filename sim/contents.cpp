#include "sim/contents.h"

#include "proto/kv.h"

namespace bop::sim {

namespace {

constexpr uint32_t page = 500;
constexpr Duration patience = 2 * seconds;
constexpr Duration between_tries = 100 * milliseconds;

std::string text_of(const KvModel::Record& record) {
  return "'" + record.value.substr(0, 64) + "' at revision " + std::to_string(record.revision);
}

}  // namespace

ContentsReader::ContentsReader(Thread& harness, Node& node, GroupId group)
    : harness_(harness), node_(node), group_(group) {}

void ContentsReader::ask() {
  if (!node_.serving()) return ask_later();
  asked_ = true;
  node_.thread(0).after(0, "read contents", [this] {
    proto::KvRange range;
    range.limit = page;
    const std::string after = records_.empty() ? std::string() : records_.rbegin()->first;
    if (!records_.empty()) range.flags = BOP_KV_AFTER;
    range.first = as_bytes(after);
    port::Request request;
    request.group = group_;
    request.payload = proto::encode_kv_range(arena_, range);
    request.deadline = node_.service(0).now() + patience;
    request.completion = this;
    request.token = ++token_;
    node_.service(0).query(std::move(request));
  });
}

void ContentsReader::ask_later() {
  harness_.after(between_tries, "read contents again", [this] { ask(); });
}

void ContentsReader::node_ended(NodeId node) {
  if (!asked_ || node != node_.id()) return;
  asked_ = false;
  ask_later();
}

void ContentsReader::complete(uint64_t token, const port::Outcome& answer) {
  if (token != token_) return;
  asked_ = false;
  if (answer.status != BOP_OK) return ask_later();
  proto::KvRecords page(answer.body);
  Bytes key;
  proto::KvItem item;
  while (page.next(key, item)) {
    records_[std::string(as_text(key))] = {std::string(as_text(item.value)), item.revision};
  }
  if (page.more()) return ask_later();
  complete_ = true;
}

std::string ContentsReader::difference(const KvModel::Records& expected) const {
  for (const auto& [key, record] : expected) {
    const auto found = records_.find(key);
    if (found == records_.end()) return "key " + key + " is missing, expected " + text_of(record);
    if (found->second != record) {
      return "key " + key + " is " + text_of(found->second) + ", expected " + text_of(record);
    }
  }
  for (const auto& [key, record] : records_) {
    if (!expected.contains(key)) return "key " + key + " is there: " + text_of(record);
  }
  return "";
}

}  // namespace bop::sim

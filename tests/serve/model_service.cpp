#include "model_service.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "bop/kv.h"
#include "proto/resp.h"

namespace bop::serve {

struct ModelKv::Operation {
  uint8_t op = 0, flags = 0;
  std::string key, value, expected;
  uint64_t revision = 0;
};

bool ModelKv::read_operation(Reader& reader, Operation& operation) {
  operation.op = reader.u8();
  operation.flags = reader.u8();
  const uint16_t key_bytes = reader.u16();
  const uint32_t value_bytes = reader.u32();
  uint32_t expected_bytes = 0;
  if ((operation.flags & BOP_KV_IF_REVISION) != 0) operation.revision = reader.u64();
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) expected_bytes = reader.u32();
  operation.key = as_text(reader.bytes(key_bytes));
  operation.value = as_text(reader.bytes(value_bytes));
  operation.expected = as_text(reader.bytes(expected_bytes));
  return reader.ok() && !operation.key.empty();
}

bool ModelKv::condition_holds(const Record* record, const Operation& operation) {
  const uint64_t revision = record == nullptr ? 0 : record->revision;
  if ((operation.flags & BOP_KV_IF_ABSENT) != 0 && record != nullptr) return false;
  if ((operation.flags & BOP_KV_IF_PRESENT) != 0 && record == nullptr) return false;
  if ((operation.flags & BOP_KV_IF_REVISION) != 0 && operation.revision != revision) return false;
  return (operation.flags & BOP_KV_IF_VALUE) == 0 ||
         (record != nullptr && record->value == operation.expected);
}

// `answer` becomes the value of the operation's item, where it has one of its own.
bop_status ModelKv::change(Records& records, const Operation& operation, Index index,
                           std::string& answer) {
  const auto found = records.find(operation.key);
  const std::string before = found == records.end() ? "" : found->second.value;
  switch (operation.op) {
    case BOP_KV_PUT: records[operation.key] = {operation.value, index}; return BOP_OK;
    case BOP_KV_DELETE: records.erase(operation.key); return BOP_OK;
    case BOP_KV_ADD: {
      int64_t value = 0;
      if (found != records.end() && !proto::parse_redis_integer(before, value)) {
        return BOP_E_WRONG_TYPE;
      }
      const auto delta = load_le<int64_t>(reinterpret_cast<const uint8_t*>(operation.value.data()));
      if (__builtin_add_overflow(value, delta, &value)) return BOP_E_OVERFLOW;
      answer = std::to_string(value);
      records[operation.key] = {answer, index};
      return BOP_OK;
    }
    case BOP_KV_APPEND: {
      if (before.size() + operation.value.size() > BOP_KV_VALUE_MAX) return BOP_E_TOO_LARGE;
      records[operation.key] = {before + operation.value, index};
      const uint64_t length = before.size() + operation.value.size();
      answer.assign(reinterpret_cast<const char*>(&length), sizeof length);
      return BOP_OK;
    }
    default: return BOP_E_PROTOCOL;
  }
}

namespace {

void put_item(Writer& writer, bool present, uint64_t revision, std::string_view value) {
  writer.u8(present ? 1 : 0);
  writer.u64(revision);
  writer.u32(static_cast<uint32_t>(value.size()));
  writer.bytes(as_bytes(value));
}

}  // namespace

ModelKv::Outcome ModelKv::apply(Bytes command, Index index) {
  applied_ = index;
  Reader reader(command);
  const uint8_t version = reader.u8();
  reader.u8();
  const uint16_t count = reader.u16();
  if (version != BOP_KV_VERSION || count == 0) return {BOP_E_PROTOCOL, {}};
  std::vector<Operation> operations(count);
  for (Operation& operation : operations) {
    if (!read_operation(reader, operation)) return {BOP_E_PROTOCOL, {}};
  }
  if (!reader.complete()) return {BOP_E_PROTOCOL, {}};

  Outcome outcome;
  Writer writer(outcome.body);
  writer.u64(index);
  writer.u16(count);
  Records records = records_;
  bool failed = false;
  for (const Operation& operation : operations) {
    const auto found = records.find(operation.key);
    const Record* before = found == records.end() ? nullptr : &found->second;
    failed = failed || !condition_holds(before, operation);
  }
  if (failed) {
    store_le<uint64_t>(outcome.body.data(), 0);
    for (const Operation& operation : operations) {
      const auto found = records.find(operation.key);
      const bool present = found != records.end();
      put_item(writer, present, present ? found->second.revision : 0,
               present ? std::string_view(found->second.value) : "");
    }
    outcome.status = BOP_E_CONDITION_FAILED;
    return outcome;
  }
  for (const Operation& operation : operations) {
    const auto found = records.find(operation.key);
    const bool present = found != records.end();
    const Record before = present ? found->second : Record();
    std::string answer;
    const bop_status status = change(records, operation, index, answer);
    if (status != BOP_OK) return {status, {}};
    const bool own = operation.op == BOP_KV_ADD || operation.op == BOP_KV_APPEND;
    const bool previous = (operation.flags & BOP_KV_RETURN_PREVIOUS) != 0;
    if (own && !previous) {
      put_item(writer, true, index, answer);
    } else {
      put_item(writer, present, before.revision, previous ? std::string_view(before.value) : "");
    }
  }
  records_ = std::move(records);
  return outcome;
}

ModelKv::Outcome ModelKv::query(Bytes question) const {
  Reader reader(question);
  const uint8_t version = reader.u8();
  const uint8_t kind = reader.u8();
  const uint16_t flags = reader.u16();
  if (version != BOP_KV_VERSION) return {BOP_E_PROTOCOL, {}};
  Outcome outcome;
  Writer writer(outcome.body);
  writer.u64(applied_);
  if (kind == BOP_KV_GET) {
    const uint16_t count = reader.u16();
    writer.u16(count);
    for (uint16_t i = 0; i < count; ++i) {
      const auto found = records_.find(std::string(as_text(reader.bytes(reader.u16()))));
      const bool present = found != records_.end();
      const bool value = present && (flags & BOP_KV_KEYS_ONLY) == 0;
      put_item(writer, present, present ? found->second.revision : 0,
               value ? std::string_view(found->second.value) : "");
    }
    return reader.complete() ? outcome : Outcome{BOP_E_PROTOCOL, {}};
  }
  if (kind == BOP_KV_COUNT) {
    writer.u64(records_.size());
    return reader.complete() ? outcome : Outcome{BOP_E_PROTOCOL, {}};
  }
  if (kind != BOP_KV_RANGE) return {BOP_E_PROTOCOL, {}};
  const uint32_t limit = reader.u32();
  const uint16_t first_bytes = reader.u16();
  const uint16_t end_bytes = reader.u16();
  const std::string first(as_text(reader.bytes(first_bytes)));
  const std::string end(as_text(reader.bytes(end_bytes)));
  if (!reader.complete() || limit == 0 || limit > BOP_KV_RANGE_MAX) return {BOP_E_PROTOCOL, {}};
  const size_t more_at = outcome.body.size();
  writer.u8(0);
  writer.u32(0);
  uint32_t count = 0;
  for (auto it = records_.lower_bound(first); it != records_.end(); ++it) {
    const auto& [key, record] = *it;
    if ((flags & BOP_KV_AFTER) != 0 && key == first) continue;
    if ((flags & BOP_KV_PREFIX) != 0 ? !key.starts_with(first) : !end.empty() && key >= end) break;
    if (count == limit) {
      outcome.body[more_at] = 1;
      break;
    }
    ++count;
    writer.u16(static_cast<uint16_t>(key.size()));
    writer.bytes(as_bytes(key));
    put_item(writer, true, record.revision,
             (flags & BOP_KV_KEYS_ONLY) != 0 ? "" : std::string_view(record.value));
  }
  store_le<uint32_t>(outcome.body.data() + more_at + 1, count);
  return outcome;
}

// ---- service ----

Result<GroupId> ModelService::find_group(std::string_view name) const {
  if (name != "kv") return fail(BOP_E_NO_GROUP);
  return 1;
}

std::string_view ModelService::machine_of(GroupId group) const {
  return group == 1 ? std::string_view(machine) : std::string_view();
}

void ModelService::propose(node::Request request) {
  waiting_.push_back({std::move(request), true});
}
void ModelService::query(node::Request request) { waiting_.push_back({std::move(request), false}); }
void ModelService::status(std::function<void(node::NodeStatus)> done) {
  statuses_.push_back(std::move(done));
}

bool ModelService::run() {
  const bool any = !waiting_.empty() || !statuses_.empty() || !snapshots_.empty();
  for (size_t n = waiting_.size(); n > 0; --n) answer(0);
  for (size_t n = statuses_.size(); n > 0; --n) {
    const auto done = std::move(statuses_.front());
    statuses_.pop_front();
    done(node_status);
  }
  for (size_t n = snapshots_.size(); n > 0; --n) {
    const auto done = std::move(snapshots_.front());
    snapshots_.pop_front();
    done(snapshots_result);
  }
  return any;
}

void ModelService::answer(size_t position) {
  if (refuse_with != BOP_OK) return answer_with(position, refuse_with);
  const Waiting waiting = std::move(waiting_[position]);
  waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(position));
  const Index index = waiting.proposal ? ++last_ : 0;
  const auto outcome = waiting.proposal ? kv.apply(waiting.request.payload.bytes(), index)
                                        : kv.query(waiting.request.payload.bytes());
  waiting.request.completion->complete(
      waiting.request.token,
      {.status = outcome.status, .body = outcome.body, .index = index, .leader = 1, .detail = {}});
}

void ModelService::answer_with(size_t position, bop_status status, std::string_view detail) {
  const Waiting waiting = std::move(waiting_[position]);
  waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(position));
  waiting.request.completion->complete(
      waiting.request.token,
      {.status = status, .body = {}, .index = 0, .leader = 2, .detail = detail});
}

class ModelTimers::ModelTimer final : public port::Timer {
 public:
  ModelTimer(ModelTimers& owner, std::function<void()> on_deadline)
      : owner_(owner), on_deadline_(std::move(on_deadline)) {
    owner_.timers_.push_back(this);
  }
  ~ModelTimer() override { std::erase(owner_.timers_, this); }
  void arm(Instant deadline) override { deadline_ = deadline; }
  void cancel() override { deadline_ = never; }

  bool due(Instant now) const { return deadline_ <= now; }
  void fire() {
    deadline_ = never;
    on_deadline_();
  }

 private:
  ModelTimers& owner_;
  const std::function<void()> on_deadline_;
  Instant deadline_ = never;
};

std::unique_ptr<port::Timer> ModelTimers::make_timer(std::function<void()> on_deadline) {
  return std::make_unique<ModelTimer>(*this, std::move(on_deadline));
}

void ModelTimers::run(Instant now) {
  const auto due = [&](const ModelTimer* timer) { return timer->due(now); };
  for (auto it = std::ranges::find_if(timers_, due); it != timers_.end();
       it = std::ranges::find_if(timers_, due)) {
    (*it)->fire();
  }
}

bool ModelPost::run() {
  const bool any = !tasks_.empty();
  for (size_t n = tasks_.size(); n > 0; --n) {
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
  return any;
}

}  // namespace bop::serve

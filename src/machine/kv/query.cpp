#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "machine/kv/answer.h"
#include "machine/kv/seeded_bugs.h"
#include "machine/kv/tasks.h"

namespace bop::machine::kv {

namespace {

// Limits of the work for a range query in one turn of the shard.
constexpr size_t max_ordered_a_turn = 1024;
constexpr size_t max_parts = 4096;

std::vector<uint8_t> count_body(uint64_t index, uint64_t records) {
  std::vector<uint8_t> body(format::count_bytes);
  format::Cursor cursor(body.data());
  format::put_count(cursor, index, records);
  return body;
}

}  // namespace

int32_t Kv::query(Bytes question, bop_reply& reply, uint64_t token) {
  if (broken_) return broken_->code;
  if (check_ != nullptr || restore_ != nullptr) {
    reply.status = BOP_E_UNAVAILABLE;
    return BOP_OK;
  }
  reply.status = decode_question(question, question_);
  if (reply.status != BOP_OK) return BOP_OK;
  switch (question_.kind) {
    case BOP_KV_GET: return query_get(reply, token);
    case BOP_KV_RANGE: return query_range(token);
    case BOP_KV_COUNT: return query_count(reply, token);
  }
  return BOP_E_INTERNAL;
}

// A get of a random key misses the cache twice: at its slot in the index, and at its record. The slot is prefetched
// now, and the record once the slot has arrived, some queries later.
void Kv::expect_query(Bytes question) {
  bop_kv_query query;
  bop_kv_reader keys;
  bop_kv_open_query(as_c(question), &query, &keys);
  bop_bytes key;
  if (query.kind != BOP_KV_GET || bop_kv_next_key(&keys, &key) != 1) return;
  const uint64_t hash = hash_of(bytes_of(key));
  const uint64_t earlier = std::exchange(expected_[expected_count_++ % expected_.size()], hash);
  for (const Memtable* memtable : {active_.get(), immutable_.get(), flushed_.get()}) {
    if (memtable == nullptr) continue;
    memtable->expect(hash);
    memtable->expect_next(earlier);
  }
}

// ---- queries that wait ----

template <class Q>
Q& Kv::add_query(std::unique_ptr<Q> query) {
  if (free_queries_.empty()) {
    free_queries_.push_back(queries_.size());
    queries_.emplace_back();
  }
  query->slot = free_queries_.back();
  free_queries_.pop_back();
  Q& added = *query;
  queries_[added.slot] = std::move(query);
  return added;
}

std::unique_ptr<Kv::Query> Kv::take_query(const Query& query) {
  free_queries_.push_back(query.slot);
  return std::move(queries_[query.slot]);
}

void Kv::complete_query(uint64_t token, bop_status status, Bytes body) {
  const bop_reply reply{sizeof(bop_reply), status, as_c(body)};
  host_.complete(host_.context, token, BOP_OK, &reply, 1);
}

// ---- get ----

int32_t Kv::query_get(bop_reply& reply, uint64_t token) {
  if (copied_bytes_ >= max_copied_bytes && !memtables_have(question_.keys)) {
    waiting_.push_back(&add_query(std::make_unique<GetQuery>(*this, token, question_)));
    return BOP_PENDING;
  }
  std::vector<Missing> missing;
  if (!answer_from_memtables(question_.keys, question_.has(BOP_KV_KEYS_ONLY), answer_, missing)) {
    reply.status = BOP_E_TOO_LARGE;
    return BOP_OK;
  }
  if (missing.empty()) {
    reply.body = as_c(answer_);
    return BOP_OK;
  }
  GetQuery& query = add_query(std::make_unique<GetQuery>(*this, token, question_));
  query.known = answer_;
  query.missing = std::move(missing);
  read_get(query);
  return BOP_PENDING;
}

const Record* Kv::find_in_memtables(Bytes key) const {
  const uint64_t hash = hash_of(key);
  const Record* record = nullptr;
  for (const Memtable* memtable : {active_.get(), immutable_.get(), flushed_.get()}) {
    if (seeded(Bug::get_skips_immutable) && memtable == immutable_.get()) continue;
    if (record == nullptr && memtable != nullptr) record = memtable->find(key, hash);
  }
  return record;
}

bool Kv::memtables_have(std::span<const Bytes> keys) const {
  return std::ranges::all_of(keys, [this](Bytes key) { return find_in_memtables(key) != nullptr; });
}

// False: the answer is too large.
bool Kv::answer_from_memtables(std::span<const Bytes> keys, bool keys_only,
                               std::vector<uint8_t>& answer, std::vector<Missing>& missing) const {
  empty(answer);
  put_items_head(answer, applied_.index, keys.size());
  for (const Bytes key : keys) {
    const Record* record = find_in_memtables(key);
    if (record == nullptr)
      missing.push_back({key, answer.size()});
    else
      put_item(answer, record->present, record->revision, keys_only ? Bytes{} : record->value());
    if (answer.size() > BOP_KV_REPLY_MAX) return false;
  }
  return true;
}

void Kv::read_get(GetQuery& query) {
  copied_bytes_ += query.known.size();
  reads_->submit(query);
}

// The state that answers it is that of now, not of when it was asked: a later one is as good.
void Kv::GetQuery::start() {
  if (!kv_.answer_from_memtables(keys, keys_only, known, missing)) {
    const auto self = kv_.take_query(*this);
    return kv_.complete_query(token_, BOP_E_TOO_LARGE, {});
  }
  kv_.read_get(*this);
}

Status Kv::GetQuery::work(Snapshot& snapshot) {
  size_t copied = 0;
  const auto copy_to = [&](size_t end) {
    append(body_, Bytes(known).subspan(copied, end - copied));
    copied = end;
  };
  for (const Missing& each : missing) {
    copy_to(each.at);
    BOP_TRY_ASSIGN(const auto found, snapshot.get(each.key));
    put_item(body_, found.has_value(), found ? found->revision : 0,
             found && !keys_only ? found->value : Bytes{});
    if (body_.size() + known.size() - copied > BOP_KV_REPLY_MAX) {
      status_ = BOP_E_TOO_LARGE;
      body_.clear();
      return {};
    }
  }
  copy_to(known.size());
  return {};
}

void Kv::GetQuery::done() {
  const auto self = kv_.take_query(*this);
  kv_.copied_bytes_ -= known.size();
  kv_.complete_query(token_, status_, body_);
}

// ---- count ----

int32_t Kv::query_count(bop_reply& reply, uint64_t token) {
  advance_totals();
  if (const auto totals = active_->totals()) {
    answer_ = count_body(applied_.index, totals->records);
    reply.body = as_c(answer_);
    return BOP_OK;
  }
  active_->add_point(applied_.index);
  active_->points().back().waiting.push_back(token);
  want_stored_versions(active_->touched());
  return BOP_PENDING;
}

void Kv::complete_counts() {
  std::vector<Count> ready;
  ready.swap(counted_);
  for (const Count& count : ready)
    complete_query(count.token, BOP_OK, count_body(count.index, count.records));
}

// ---- range ----

int32_t Kv::query_range(uint64_t token) {
  collect_and_read(add_query(std::make_unique<RangeQuery>(*this, token, question_)));
  return BOP_PENDING;
}

// One that has copies goes on before the others, which may wait for what it holds.
void Kv::collect_and_read(RangeQuery& range) {
  if (range.waits()) {
    waiting_.insert(range.holds_copies() ? waiting_.begin() : waiting_.end(), &range);
    return;
  }
  if (active_->order_more(max_ordered_a_turn))
    range.collect();
  else
    range.only_order();
  reads_->submit(range);
}

void Kv::start_waiting() {
  while (!waiting_.empty() && !waiting_.front()->waits()) {
    Query* query = waiting_.front();
    waiting_.pop_front();
    query->start();
  }
}

bool Kv::RangeQuery::waits() const {
  return kv_.flush_stage_ == FlushStage::sorting ||
         (!holds_copies() && kv_.copied_bytes_ >= max_copied_bytes);
}

void Kv::RangeQuery::count_copies(size_t bytes) {
  kv_.copied_bytes_ = kv_.copied_bytes_ - copied_ + bytes;
  copied_ = bytes;
}

Kv::RangeQuery::RangeQuery(Kv& kv, uint64_t token, const Question& question)
    : Query(kv, token),
      keys_only_(question.has(BOP_KV_KEYS_ONLY)),
      prefix_(question.has(BOP_KV_PREFIX)),
      limit_(question.limit),
      first_(question.first),
      end_(question.end),
      from_(question.first.begin(), question.first.end()),
      after_(question.has(BOP_KV_AFTER)) {
  extend(body_, format::records_head_bytes);
}

bool Kv::RangeQuery::in_range(Bytes key) const {
  if (prefix_)
    return key.size() >= first_.size() && std::equal(first_.begin(), first_.end(), key.begin());
  return end_.empty() || compare_keys(key, end_) < 0;
}

// Whether the active memtable may have records before `key` that this round did not collect.
bool Kv::RangeQuery::cut_before(Bytes key) const {
  return cut_ && compare_keys(key_of(parts_.back()), key) < 0;
}

void Kv::RangeQuery::collect() {
  ordering_ = false;
  index_ = kv_.applied_.index;
  immutable_ = kv_.immutable_;
  parts_.clear();
  bytes_.clear();
  live_ = 0;
  cut_ = false;
  kv_.active_->walk(from_, after_, [this](const Record& record) { return copy(record); });
  count_copies(bytes_.size() + parts_.size() * sizeof(Part) + body_.size());
  // If the present records do not fill the reply, another round may follow, which must see the same state.
  if (cut_ && live_ <= limit_ - count_ && !holding_) {
    holding_ = true;
    ++kv_.holds_;
  }
}

// Copies one record of the active memtable. False: the round has enough records.
bool Kv::RangeQuery::copy(const Record& record) {
  if (!in_range(record.key())) return false;
  // One record beyond the limit shows whether there are more.
  if (parts_.size() == max_parts || live_ > limit_ - count_ || bytes_.size() > BOP_KV_ANSWER_MAX) {
    cut_ = true;
    return false;
  }
  Part part{};
  part.key_at = bytes_.size();
  part.key_size = record.key_size;
  append(bytes_, record.key());
  part.value_at = bytes_.size();
  if (!keys_only_ && record.present) {
    part.value_size = record.value_size;
    append(bytes_, record.value());
  }
  part.present = record.present;
  part.revision = record.revision;
  parts_.push_back(part);
  if (record.present) ++live_;
  return true;
}

// Merges the three sources. For a key in several of them, the newest is used.
Status Kv::RangeQuery::work(Snapshot& snapshot) {
  if (ordering_) return {};
  size_t part = 0;
  static const std::vector<const Record*> none;
  const bool skips = seeded(Bug::range_skips_immutable);
  const std::vector<const Record*>& sorted =
      immutable_ != nullptr && !skips ? immutable_->sorted() : none;
  const Bytes from(from_);
  auto immutable = std::partition_point(sorted.begin(), sorted.end(), [&](const Record* record) {
    const int order = compare_keys(record->key(), from);
    return after_ ? order <= 0 : order < 0;
  });
  BOP_TRY_ASSIGN(std::optional<StoredRecord> stored, snapshot.seek(from));
  if (stored && after_ && equal_keys(stored->key, from)) {
    BOP_TRY_ASSIGN(stored, snapshot.next());
  }
  // If the immutable memtable is flushed by now, the store has the same records, which does no harm.
  while (true) {
    std::optional<Candidate> next;
    const auto consider = [&next](const Candidate& candidate) {
      if (!next || compare_keys(candidate.key, next->key) < 0) next = candidate;
    };
    if (part < parts_.size()) {
      const Part& mine = parts_[part];
      consider({key_of(mine), mine.present, mine.revision,
                Bytes(bytes_).subspan(mine.value_at, mine.value_size)});
    }
    if (immutable != sorted.end())
      consider({(*immutable)->key(), (*immutable)->present, (*immutable)->revision,
                (*immutable)->value()});
    if (stored) consider({stored->key, true, stored->stored.revision, stored->stored.value});
    if (!next || !in_range(next->key) || cut_before(next->key)) break;
    if (next->present && !emit(*next)) break;

    // Moving the store's cursor invalidates the bytes of its record, which may be the chosen one.
    const bool store_too = stored && equal_keys(stored->key, next->key);
    if (part < parts_.size() && equal_keys(key_of(parts_[part]), next->key)) ++part;
    if (immutable != sorted.end() && equal_keys((*immutable)->key(), next->key)) ++immutable;
    if (store_too) {
      BOP_TRY_ASSIGN(stored, snapshot.next());
    }
  }
  immutable_.reset();  // on the worker, since freeing a memtable takes long
  return {};
}

// False: the record does not fit in the reply.
bool Kv::RangeQuery::emit(const Candidate& candidate) {
  const Bytes value = keys_only_ ? Bytes{} : candidate.value;
  const size_t size =
      format::key_head_bytes + candidate.key.size() + format::item_head_bytes + value.size();
  if (count_ == limit_ || (count_ > 0 && body_.size() + size > BOP_KV_ANSWER_MAX)) {
    more_ = full_ = true;
    return false;
  }
  format::Cursor cursor(extend(body_, format::key_head_bytes));
  format::put_key_head(cursor, candidate.key.size());
  append(body_, candidate.key);
  put_item(body_, true, candidate.revision, value);
  ++count_;
  return true;
}

void Kv::RangeQuery::done() {
  if (ordering_) return kv_.collect_and_read(*this);
  if (full_ || !cut_) return finish();
  if (count_ == limit_) {
    more_ = true;  // perhaps: the round ended before that was known
    return finish();
  }
  BOP_ASSERT(holding_);
  const Bytes last = key_of(parts_.back());
  from_.assign(last.begin(), last.end());
  after_ = true;
  kv_.collect_and_read(*this);
}

void Kv::RangeQuery::finish() {
  if (holding_) --kv_.holds_;
  count_copies(0);
  format::Cursor cursor(body_.data());
  format::put_records_head(cursor, index_, more_, count_);
  const auto self = kv_.take_query(*this);
  kv_.complete_query(token_, BOP_OK, body_);
}

}  // namespace bop::machine::kv

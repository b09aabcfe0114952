#include "machine/kv/kv.h"

#include "base/assert.h"
#include "machine/kv/flush.h"
#include "machine/kv/state_export.h"
#include "machine/kv/state_restore.h"
#include "machine/kv/tasks.h"

namespace bop::machine::kv {

Kv::Kv(const bop_machine_host& host, const Settings& settings)
    // The address is as good a seed as any against keys that were chosen to collide.
    : host_(host),
      settings_(settings),
      seed_(reinterpret_cast<uintptr_t>(this)),
      active_(std::make_shared<Memtable>()),
      batch_reads_(std::make_unique<BatchReads>(*this)),
      stored_version_reads_(std::make_unique<StoredVersionReads>(*this)) {}

Kv::~Kv() = default;

Result<std::unique_ptr<Kv>> Kv::open(const bop_machine_host& host, const Settings& settings,
                                     const StoreFactory& make_store,
                                     const StoreIdentity& identity) {
  std::unique_ptr<Kv> kv(new Kv(host, settings));
  BOP_TRY(kv->open_store(make_store, identity));
  BOP_TRY(kv->start_verification());
  return kv;
}

Status Kv::open_store(const StoreFactory& make_store, const StoreIdentity& identity) {
  StoreOptions options;
  if (host_.directory != nullptr) options.directory = host_.directory;
  options.map_bytes = settings_.map_bytes;
  options.max_pinned_bytes = settings_.max_pinned_bytes;
  options.identity = identity;
  options.log = [this](int32_t level, const char* text) { host_.log(host_.context, level, text); };
  BOP_TRY_ASSIGN(store_, make_store(options));
  reads_ = std::make_unique<Reads>(host_, *store_, *this);
  const Progress& progress = store_->opened();
  if (progress.position.index == 0 && progress.totals.records != 0)
    return fail(BOP_E_DAMAGED,
                (options.directory.empty() ? "the store" : options.directory + "/kv.mdbx") +
                    std::string(": a restore of a snapshot into it did not end"));
  applied_ = durable_ = flushed_position_ = progress.position;
  last_hash_index_ = applied_.index / settings_.hash_interval * settings_.hash_interval;
  active_->set_start(progress.totals);
  pass_.store = progress.totals;
  return {};
}

void Kv::log(int32_t level, const std::string& text) const {
  host_.log(host_.context, level, text.c_str());
}

// The store is in doubt: it is not used any more, and every later call fails.
void Kv::break_with(const Error& error) {
  if (broken_) return;
  broken_ = error;
  if (error.code == BOP_E_DAMAGED)
    log(3, "the store is damaged, and nothing is answered from it any more: " + error.to_string());
  else
    log(3, "the store is in doubt and is not used any more: " + error.to_string() +
               "; remove the cause, then restart the node: the store returns to its last sync");
  // A single failed call halts the replica. If no call is open, the next one fails.
  if (const auto token = any_open_token())
    host_.complete(host_.context, *token, broken_->code, nullptr, 0);
}

std::optional<uint64_t> Kv::any_open_token() const {
  if (batch_.open) return batch_.token;
  if (!syncs_.empty()) return syncs_.front().token;
  for (const auto& query : queries_)
    if (query != nullptr) return query->token();
  for (const Memtable* memtable : {active_.get(), immutable_.get()}) {
    if (memtable == nullptr) continue;
    for (const Point& point : memtable->points())
      if (!point.waiting.empty()) return point.waiting.front();
  }
  return {};
}

// After each read: continues what waited for it. Completions come last, because they may call back.
void Kv::task_done() {
  if (broken_) return;
  start_flush_when_due();
  start_waiting();
  complete_counts();
  resume_batch();
}

}  // namespace bop::machine::kv

#include "machine/snapshot_calls.h"

#include <algorithm>
#include <utility>

#include "machine/token.h"

namespace bop::machine {

namespace {

Error error_of(int32_t status, const char* function) {
  if (is_status(status)) return {static_cast<bop_status>(status), function};
  return {BOP_E_MACHINE, std::string(function) + " returned " + std::to_string(status) +
                             ", which is not a status of bop/error.h"};
}

std::string text_of(bop_bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

// Whether the path stays below the folder that it is relative to.
bool is_below(const char* path) {
  if (path == nullptr || *path == '\0' || *path == '/') return false;
  const std::string padded = "/" + std::string(path) + "/";
  return padded.find("/../") == std::string::npos && padded.find('\\') == std::string::npos;
}

}  // namespace

// ---- snapshots ----

SnapshotCalls::Open* SnapshotCalls::find(uint64_t handle) {
  const auto found = std::ranges::find(open_, handle, &Open::handle);
  return found == open_.end() ? nullptr : &*found;
}

SnapshotCalls::Open* SnapshotCalls::find_call(uint64_t token) {
  Open* open = find(slot_of(token));
  if (open == nullptr || open->stage == Stage::ready) return nullptr;
  return token == token_of(call_of(token), open->call, slot_of(token)) ? open : nullptr;
}

Result<uint64_t> SnapshotCalls::begin(const SnapshotOptions& options, SnapshotEvents& events) {
  if (calls_.table.snapshot_begin == nullptr)
    return bop::fail(BOP_E_UNSUPPORTED,
                     std::string("the machine ") + calls_.table.kind + " makes no snapshots");
  if (open_.size() >= max_open)
    return bop::fail(BOP_E_OVERLOADED, "too many snapshots of this machine are open");
  const auto handle = static_cast<uint32_t>(next_handle_++);
  Open& open = open_.emplace_back();
  open.handle = handle;
  open.events = &events;
  open.has_base = options.base.index != 0;
  open.has_scratch = !options.scratch.empty();
  open.call = 1;
  bop_snapshot_options given{};
  given.size = sizeof given;
  given.handle = handle;
  given.scratch = open.has_scratch ? options.scratch.c_str() : nullptr;
  given.base = options.base;
  given.part_bytes = std::min<uint64_t>(options.part_bytes, BOP_PART_SIZE_MAX);
  const int32_t status =
      calls_.call(calls_.table.snapshot_begin, static_cast<const bop_snapshot_options*>(&given),
                  token_of(Call::snapshot, 1, handle));
  if (status != BOP_PENDING && calls_.violation.empty()) begun(*find(handle), status);
  return uint64_t{handle};
}

void SnapshotCalls::begun(Open& open, int32_t status) {
  if (open.stage == Stage::ending) return close(open.handle);
  if (status != BOP_OK) return fail(open, status, "snapshot_begin");
  open.stage = Stage::ready;
  open.events->begun();
}

void SnapshotCalls::next(uint64_t handle) {
  Open* open = find(handle);
  BOP_ASSERT(open != nullptr && open->stage == Stage::ready);
  open->stage = Stage::next;
  ++open->call;
  bop_part part{};
  part.size = sizeof part;
  const int32_t status =
      calls_.call(calls_.table.snapshot_next, handle, &part,
                  token_of(Call::part, open->call, static_cast<uint32_t>(handle)));
  if (status == BOP_PENDING || !calls_.violation.empty()) return;
  calls_.violation = take(*find(handle), status, part);
}

// A part, a piece of one, or the end. The rule that the machine broke; empty: none.
std::string SnapshotCalls::take(Open& open, int32_t status, const bop_part& part) {
  if (open.stage == Stage::ending) return close(open.handle), std::string();
  if (status != BOP_OK) return fail(open, status, "snapshot_next"), std::string();
  if (std::string broken = check(open, part); !broken.empty()) return broken;
  SnapshotEvents& events = *open.events;
  if (part.kind == BOP_PART_END) {
    close(open.handle);
  } else {
    open.part_bytes = (open.unfinished ? open.part_bytes : 0) + part.bytes.size;
    open.unfinished = (part.flags & BOP_PART_MORE) != 0;
    open.label = text_of(part.label);
    open.stage = Stage::ready;
  }
  events.part(part);
  return {};
}

std::string SnapshotCalls::check(const Open& open, const bop_part& part) const {
  const bool end = part.kind == BOP_PART_END;
  const bool bytes = part.kind == BOP_PART_BYTES;
  if (part.kind < BOP_PART_BYTES || part.kind > BOP_PART_END)
    return "snapshot_next: part kind " + std::to_string(part.kind) + " is unknown";
  if (end) {
    if (open.unfinished) return "snapshot_next: the parts end within one";
    return open.at_point ? "" : "snapshot_next: the parts end before host->snapshot_point";
  }
  if (part.label.data == nullptr || part.label.size == 0 || part.label.size > BOP_PART_LABEL_MAX)
    return "snapshot_next: a label has " + std::to_string(part.label.size) + " bytes";
  const std::string label = text_of(part.label);
  if (open.unfinished && (label != open.label || !bytes))
    return "snapshot_next: a part ended without its last piece";
  if (!open.unfinished && label <= open.label) return "snapshot_next: the labels do not ascend";
  if ((part.flags & ~BOP_PART_MORE) != 0 || (part.flags != 0 && !bytes))
    return "snapshot_next: unknown flags of a part";
  if (!bytes && part.bytes.size != 0) return "snapshot_next: a part of this kind has no bytes";
  if (part.bytes.data == nullptr && part.bytes.size != 0) return "snapshot_next: bytes are NULL";
  if ((open.unfinished ? open.part_bytes : 0) + part.bytes.size > BOP_PART_SIZE_MAX)
    return "snapshot_next: a part exceeds BOP_PART_SIZE_MAX";
  if (part.kind == BOP_PART_SAME && !open.has_base) return "snapshot_next: there is no base";
  if (part.kind == BOP_PART_FILE && (!open.has_scratch || !is_below(part.path)))
    return "snapshot_next: the path of a file is not below scratch";
  return {};
}

// Without further events. The machine's functions are not called while it is in one of them.
void SnapshotCalls::close(uint64_t handle) {
  std::erase_if(open_, [handle](const Open& open) { return open.handle == handle; });
  BOP_ASSERT(!calls_.in_machine);
  calls_.in_machine = true;
  calls_.table.snapshot_end(calls_.machine, handle);
  calls_.in_machine = false;
}

void SnapshotCalls::fail(Open& open, int32_t status, const char* function) {
  SnapshotEvents& events = *open.events;
  close(open.handle);
  events.failed(error_of(status, function));
}

void SnapshotCalls::end(uint64_t handle) {
  Open* open = find(handle);
  if (open == nullptr || open->stage == Stage::ending) return;
  if (open->stage == Stage::ready) return close(handle);
  const Call kind = open->stage == Stage::beginning ? Call::snapshot : Call::part;
  open->stage = Stage::ending;
  if (calls_.table.cancel == nullptr) return;
  calls_.in_machine = true;
  calls_.table.cancel(calls_.machine, token_of(kind, open->call, static_cast<uint32_t>(handle)));
  calls_.in_machine = false;
}

std::string SnapshotCalls::at_point(uint64_t handle, bop_position applied) {
  Open* open = find(handle);
  if (open == nullptr) return "host->snapshot_point: no such snapshot is open";
  if (open->at_point) return "host->snapshot_point was called twice for one snapshot";
  open->at_point = true;
  if (open->stage != Stage::ending) open->events->at_point(applied);
  return {};
}

std::string SnapshotCalls::complete_snapshot(uint64_t token, int32_t status) {
  Open* open = find_call(token);
  const bool begins = open != nullptr && open->call == 1;
  if (!begins) return "host->complete was called for a snapshot that is not beginning";
  begun(*open, status);
  return {};
}

std::string SnapshotCalls::complete_part(uint64_t token, int32_t status, const bop_part* part) {
  Open* open = call_of(token) == Call::part ? find_call(token) : nullptr;
  if (open == nullptr) return "host->complete_part was called for a call that is not open";
  if (status == BOP_OK && part == nullptr) return "host->complete_part: part is NULL";
  static constexpr bop_part none{};
  return take(*open, status, part != nullptr ? *part : none);
}

// ---- restore ----

Status SnapshotCalls::begin_restore(const RestoreOptions& options, RestoreEvents& events) {
  BOP_ASSERT(!restoring());
  if (calls_.table.restore_begin == nullptr)
    return bop::fail(BOP_E_UNSUPPORTED,
                     std::string("the machine ") + calls_.table.kind + " restores no snapshots");
  restore_.events = &events;
  bop_restore_options given{};
  given.size = sizeof given;
  given.kind = options.kind.c_str();
  given.version = options.version;
  given.bytes = options.bytes;
  call_restore("restore_begin", [&](uint64_t token) {
    return calls_.call(calls_.table.restore_begin, static_cast<const bop_restore_options*>(&given),
                       token);
  });
  return {};
}

void SnapshotCalls::restore(const bop_part& part) {
  call_restore("restore_part", [&](uint64_t token) {
    return calls_.call(calls_.table.restore_part, &part, token);
  });
}

void SnapshotCalls::finish_restore(bop_position position) {
  call_restore("restore_end", [&](uint64_t token) {
    return calls_.call(calls_.table.restore_end, position, token);
  });
}

template <class Call>
void SnapshotCalls::call_restore(const char* function, Call call) {
  BOP_ASSERT(restoring() && !restore_.busy);
  restore_.busy = true;
  const int32_t status = call(token_of(machine::Call::restore, ++restore_.call, 0));
  if (status != BOP_PENDING && calls_.violation.empty()) restored(status, function);
}

void SnapshotCalls::restored(int32_t status, const char* function) {
  restore_.busy = false;
  if (status == BOP_OK) return restore_.events->restored({});
  std::exchange(restore_.events, nullptr)->restored(std::unexpected(error_of(status, function)));
}

std::string SnapshotCalls::complete_restore(uint64_t token, int32_t status) {
  if (!restore_.busy || token != token_of(Call::restore, restore_.call, 0))
    return "host->complete was called for a restore that is not in progress";
  restored(status, "restore");
  return {};
}

void SnapshotCalls::fail_all(const Error& error) {
  for (const Open& open : std::exchange(open_, {}))
    if (open.stage != Stage::ending) open.events->failed(error);
  restore_.busy = false;
  if (restoring()) std::exchange(restore_.events, nullptr)->restored(std::unexpected(error));
}

}  // namespace bop::machine

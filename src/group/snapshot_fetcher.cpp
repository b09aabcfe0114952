#include "group/snapshot_fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::group {

namespace {

constexpr Hash128 manifest_digest{};

// What is known once the manifest is here.
struct Wanted {
  std::vector<snapshot::Part> missing;
  uint64_t total = 0;  // bytes of all parts
  uint64_t here = 0;   // of those that are not missing
};

Status check_manifest_of(const raft::SnapshotRef& wanted, GroupId group, Bytes bytes,
                         snapshot::Manifest& manifest) {
  if (snapshot::id_of(bytes) != wanted.id)
    return fail(BOP_E_DAMAGED, "the manifest has another digest than was offered");
  BOP_TRY_ASSIGN(manifest, snapshot::decode(bytes));
  if (manifest.group != group || manifest.index != wanted.at.index ||
      manifest.term != wanted.at.term)
    return fail(BOP_E_DAMAGED, "the manifest is of another group or entry than was offered");
  return {};
}

// Parts without bytes need no transfer.
Result<Wanted> take_manifest(SnapshotFiles& files, snapshot::Manifest manifest) {
  Wanted out;
  std::set<std::pair<uint64_t, uint64_t>> seen;
  for (const snapshot::Part& part : manifest.parts) {
    out.total += part.size;
    if (part.size == 0) BOP_TRY(files.receive({}, part));
    const bool first = seen.insert({part.digest.low, part.digest.high}).second;
    if (first && !files.snapshots->has_part(part.digest))
      out.missing.push_back(part);
    else
      out.here += part.size;
  }
  files.wanted = std::move(manifest);
  return out;
}

}  // namespace

SnapshotFetcher::SnapshotFetcher(Options options, std::shared_ptr<SnapshotFiles> files,
                                 machine::Offload& offload, Port& port, TokenBucket& budget)
    : options_(std::move(options)),
      files_(std::move(files)),
      offload_(offload),
      port_(port),
      budget_(budget),
      patience_(options_.patience) {}

SnapshotFetcher::~SnapshotFetcher() { ++*run_; }

template <class Work, class Then>
void SnapshotFetcher::run(Work work, Then then) {
  run_snapshot_job(offload_, files_, run_, std::move(work), std::move(then));
}

void SnapshotFetcher::call_step_again() const {
  if (wake) wake();
}

// ---- beginning and end ----

void SnapshotFetcher::fetch(Instant now, const raft::SnapshotRef& snapshot, NodeId source,
                            const std::vector<NodeId>& others, Done done) {
  if (fetching()) {
    const bool known = std::ranges::find(sources_, source) != sources_.end();
    if (snapshot.id == wanted_.id && !known) sources_.push_back(source);
    return;
  }
  if (std::exchange(failed_, false)) {
    retry_at_ = now + retry_after_;
    retry_after_ = std::min(2 * retry_after_, most_retry);
  }
  if (now < retry_at_) return;
  wanted_ = snapshot;
  done_ = std::move(done);
  sources_ = {source};
  for (const NodeId other : others)
    if (other != source && other != options_.self) sources_.push_back(other);
  patience_ = options_.patience;
  not_before_ = 0;
  stage_ = Stage::opening;
  run(
      [id = snapshot.id](SnapshotFiles& files) -> Result<std::optional<snapshot::Stored>> {
        BOP_TRY(files.open());
        const snapshot::Stored* found = files.find(id);
        return found != nullptr ? std::optional(*found) : std::nullopt;
      },
      [this](const Result<std::optional<snapshot::Stored>>& found) {
        if (!found) return end(std::unexpected(found.error()));
        if (*found) return end(**found);  // it was fetched, but not installed
        begin_manifest();
        call_step_again();
      });
}

void SnapshotFetcher::begin_manifest() {
  stage_ = Stage::manifest;
  assemblies_.emplace_back();
}

void SnapshotFetcher::cancel() {
  if (!fetching()) return;
  done_ = nullptr;
  end(fail(BOP_E_STOPPED, "it was cancelled"));
}

void SnapshotFetcher::end(const Result<snapshot::Stored>& result) {
  ++*run_;
  stage_ = Stage::idle;
  missing_.clear();
  assemblies_.clear();
  again_.clear();
  requests_.clear();
  sources_.clear();
  writing_ = 0;
  parts_bytes_ = total_bytes_ = 0;
  failed_ = !result;
  if (result) {
    retry_after_ = least_retry;
    logging::info("group {}: fetched the snapshot at entry {}, {} bytes in {} parts", options_.name,
                  result->index, result->bytes, result->parts);
  } else {
    // What is here stays until another snapshot makes it unnecessary: an offer that is repeated goes on with it.
    logging::warning("group {}: the snapshot at entry {} was not fetched: {}", options_.name,
                     wanted_.at.index, result.error().to_string());
  }
  if (const Done done = std::exchange(done_, nullptr)) done(result);
}

// ---- what is asked for ----

SnapshotFetcher::Assembly* SnapshotFetcher::find(const Hash128& part) {
  const auto found = std::ranges::find_if(
      assemblies_, [&part](const Assembly& each) { return each.part.digest == part; });
  return found != assemblies_.end() ? &*found : nullptr;
}

uint64_t SnapshotFetcher::slot_bytes(const Assembly& assembly, size_t slot) {
  const uint64_t begin = uint64_t{slot} * proto::max_chunk_bytes;
  // The size of a manifest is not known before its first chunk.
  if (assembly.part.size == 0) return proto::max_chunk_bytes;
  return std::min<uint64_t>(proto::max_chunk_bytes, assembly.part.size - begin);
}

size_t SnapshotFetcher::in_flight() const {
  return static_cast<size_t>(std::ranges::count(requests_, false, &Request::late));
}

uint64_t SnapshotFetcher::arrived_bytes() const {
  uint64_t sum = 0;
  if (stage_ == Stage::parts)
    for (const Assembly& each : assemblies_) sum += each.arrived;
  return sum;
}

uint64_t SnapshotFetcher::assembly_bytes() const {
  uint64_t sum = 0;
  for (const Assembly& each : assemblies_) sum += each.part.size;
  return sum;
}

// The next slot to ask for, at the front of again_; nullptr: none now.
const SnapshotFetcher::Slot* SnapshotFetcher::next_slot() {
  if (!again_.empty()) return &again_.front();
  do {
    for (Assembly& each : assemblies_) {
      const bool unknown = each.part.size == 0;
      const size_t slots = unknown ? 1 : each.have.size();
      if (each.asked == slots) continue;
      if (each.have.size() <= each.asked) each.have.resize(each.asked + 1);
      again_.push_back({each.part.digest, each.asked++});
      return &again_.front();
    }
  } while (start_part());
  return nullptr;
}

bool SnapshotFetcher::start_part() {
  if (stage_ != Stage::parts || missing_.empty() || writing_ >= max_writing) return false;
  const snapshot::Part& next = missing_.front();
  if (!assemblies_.empty() && assembly_bytes() + next.size > max_assembly_bytes) return false;
  Assembly assembly;
  assembly.bytes.resize(next.size);
  assembly.have.resize((next.size + proto::max_chunk_bytes - 1) / proto::max_chunk_bytes);
  assembly.part = next;
  missing_.pop_front();
  assemblies_.push_back(std::move(assembly));
  return true;
}

// False: no source takes a request now.
bool SnapshotFetcher::send(Instant now, const Slot& slot) {
  const Assembly* assembly = find(slot.part);
  BOP_ASSERT(assembly != nullptr);
  const uint32_t have = assembly->have[slot.number];
  proto::FetchItem item;
  item.group = options_.group;
  item.request = next_request_;
  item.snapshot = wanted_.id;
  item.part = slot.part;
  item.offset = uint64_t{slot.number} * proto::max_chunk_bytes + have;
  item.length = static_cast<uint32_t>(slot_bytes(*assembly, slot.number) - have);
  for (size_t i = 0; i < sources_.size(); ++i) {
    const NodeId source = sources_.front();
    if (port_.fetch(source, item)) {
      requests_.push_back({next_request_++, source, slot, item.offset, now + patience_, false});
      return true;
    }
    ask_later(source);
  }
  return false;
}

void SnapshotFetcher::ask_again(const Slot& slot) {
  if (std::ranges::find(again_, slot) == again_.end()) again_.push_back(slot);
}

// The others are asked before it.
void SnapshotFetcher::ask_later(NodeId source) {
  if (sources_.empty() || sources_.front() != source) return;
  sources_.pop_front();
  sources_.push_back(source);
}

// The answer may be on its way, or lost with the source.
void SnapshotFetcher::give_up_late(Instant now) {
  bool late = false;
  for (Request& request : requests_) {
    if (request.late || request.due > now) continue;
    request.late = late = true;
    ask_again(request.slot);
    ask_later(request.source);
  }
  if (late) patience_ = std::min(2 * patience_, options_.most_patience);
  while (requests_.size() - in_flight() > max_late)
    requests_.erase(std::ranges::find(requests_, true, &Request::late));
}

Instant SnapshotFetcher::step(Instant now) {
  if (stage_ != Stage::manifest && stage_ != Stage::parts) return never;
  give_up_late(now);
  Instant deadline = never;
  while (in_flight() < options_.max_in_flight) {
    if (now < not_before_) {
      deadline = not_before_;
      break;
    }
    const Slot* slot = next_slot();
    if (slot == nullptr) break;
    if (sources_.empty()) {
      if (in_flight() == 0) {
        end(fail(BOP_E_UNAVAILABLE, "no node is left that has it"));
        return never;
      }
      break;
    }
    const Assembly* assembly = find(slot->part);
    const uint64_t length = slot_bytes(*assembly, slot->number) - assembly->have[slot->number];
    if (!budget_.take(length, now)) {
      deadline = budget_.available_at(length, now);
      break;
    }
    const Slot asked = *slot;
    if (!send(now, asked)) {
      budget_.give_back(length);
      deadline = not_before_ = now + busy_wait;
      break;
    }
    std::erase(again_, asked);
  }
  const bool all_here = stage_ == Stage::parts && missing_.empty() && assemblies_.empty();
  if (all_here && writing_ == 0) {
    commit();
    return never;
  }
  for (const Request& request : requests_)
    if (!request.late) deadline = std::min(deadline, request.due);
  return deadline;
}

// ---- what arrives ----

void SnapshotFetcher::receive(Instant now, NodeId from, const proto::ChunkItem& chunk) {
  received_ += chunk.bytes.size();
  const auto found = std::ranges::find(requests_, chunk.request, &Request::number);
  if (found == requests_.end() || found->source != from) return;
  const Request request = *found;
  requests_.erase(found);
  if (find(request.slot.part) == nullptr) return;  // it is complete by another answer
  if (chunk.status == BOP_E_OVERLOADED) {
    ask_again(request.slot);
    ask_later(from);
    not_before_ = now + busy_wait;
  } else if (chunk.status != BOP_OK) {
    ask_again(request.slot);
    drop_source(from, bop_error_name(static_cast<bop_status>(chunk.status)));
  } else if (!take(now, request, chunk)) {
    ask_again(request.slot);
    drop_source(from, "it sent other bytes than were asked for");
  }
}

// False: the chunk is not what was asked for.
bool SnapshotFetcher::take(Instant now, const Request& request, const proto::ChunkItem& chunk) {
  Assembly& assembly = *find(request.slot.part);
  if (assembly.part.digest == manifest_digest && assembly.part.size == 0) {
    if (chunk.size > snapshot::max_manifest_bytes || chunk.size == 0) return false;
    assembly.part.size = chunk.size;
    assembly.bytes.resize(chunk.size);
    assembly.have.resize((chunk.size + proto::max_chunk_bytes - 1) / proto::max_chunk_bytes);
  }
  const size_t slot = request.slot.number;
  const uint64_t begin = uint64_t{slot} * proto::max_chunk_bytes;
  const uint64_t end_of_slot = begin + slot_bytes(assembly, slot);
  const bool fits = chunk.offset == request.offset && chunk.size == assembly.part.size &&
                    chunk.bytes.size() <= end_of_slot - chunk.offset;
  if (!fits) return false;
  if (chunk.offset != begin + assembly.have[slot]) return true;  // here already, by another answer
  std::memcpy(assembly.bytes.data() + chunk.offset, chunk.bytes.data(), chunk.bytes.size());
  assembly.have[slot] += static_cast<uint32_t>(chunk.bytes.size());
  assembly.arrived += chunk.bytes.size();
  assembly.source = request.source;
  patience_ = options_.patience;
  not_before_ = std::min(not_before_, now);
  if (begin + assembly.have[slot] < end_of_slot)
    ask_again(request.slot);
  else
    std::erase(again_, request.slot);
  if (assembly.arrived < assembly.part.size) return true;
  Assembly whole = std::move(assembly);
  std::erase_if(assemblies_,
                [&whole](const Assembly& each) { return each.part.digest == whole.part.digest; });
  complete(std::move(whole));
  return true;
}

void SnapshotFetcher::complete(Assembly assembly) {
  if (stage_ == Stage::manifest)
    check_manifest(std::move(assembly));
  else
    write(std::move(assembly));
}

void SnapshotFetcher::drop_source(NodeId source, const char* why) {
  if (std::erase(sources_, source) == 0) return;
  logging::info("group {}: node {} is not asked for the snapshot at entry {} any more: {}",
                options_.name, source, wanted_.at.index, why);
}

void SnapshotFetcher::node_lost(NodeId node) {
  if (!fetching()) return;
  drop_source(node, "it is lost");
  for (Request& request : requests_) {
    if (request.source != node || request.late) continue;
    request.late = true;
    ask_again(request.slot);
  }
}

// ---- files ----

void SnapshotFetcher::check_manifest(Assembly manifest) {
  stage_ = Stage::checking;
  const NodeId source = manifest.source;
  run(
      [bytes = std::move(manifest.bytes), wanted = wanted_,
       group = options_.group](SnapshotFiles& files) -> Result<Wanted> {
        snapshot::Manifest decoded;
        BOP_TRY(check_manifest_of(wanted, group, bytes, decoded));
        return take_manifest(files, std::move(decoded));
      },
      [this, source](const Result<Wanted>& known) {
        if (!known && known.error().code == BOP_E_DAMAGED) {
          drop_source(source, known.error().detail.c_str());
          begin_manifest();
          return call_step_again();
        }
        if (!known) return end(std::unexpected(known.error()));
        stage_ = Stage::parts;
        missing_ = {known->missing.begin(), known->missing.end()};
        total_bytes_ = known->total;
        parts_bytes_ = known->here;
        logging::info("group {}: fetches the snapshot at entry {}: {} of its {} bytes are here",
                      options_.name, wanted_.at.index, parts_bytes_, total_bytes_);
        call_step_again();
      });
}

void SnapshotFetcher::write(Assembly part) {
  ++writing_;
  run([bytes = std::move(part.bytes),
       expected = part.part](SnapshotFiles& files) { return files.receive(bytes, expected); },
      [this, source = part.source, expected = part.part](const Status& written) {
        --writing_;
        if (written) {
          parts_bytes_ += expected.size;
        } else if (written.error().code == BOP_E_DAMAGED) {
          missing_.push_front(expected);
          drop_source(source, written.error().detail.c_str());
        } else {
          return end(std::unexpected(written.error()));
        }
        call_step_again();
      });
}

void SnapshotFetcher::commit() {
  stage_ = Stage::committing;
  run([](SnapshotFiles& files) { return files.commit_received(); },
      [this](const Result<snapshot::Stored>& stored) { end(stored); });
}

}  // namespace bop::group

#include "group/snapshot_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/logging.h"

namespace bop::group {

namespace {

std::pair<uint64_t, uint64_t> key(const snapshot::Part& part) {
  return {part.digest.low, part.digest.high};
}

}  // namespace

Status SnapshotFiles::open() {
  if (snapshots) return {};
  BOP_TRY_ASSIGN(auto opened, snapshot::Snapshots::open(files, directory));
  for (const Error& damage : opened.damaged())
    logging::error("a snapshot cannot be read and is not used: {}", damage.to_string());
  snapshots.emplace(std::move(opened));
  return {};
}

Result<bool> SnapshotFiles::open_if_there() {
  if (snapshots) return true;
  const auto names = files.list_now(directory);
  if (!names && names.error().code == BOP_E_NOT_FOUND) return false;
  BOP_TRY(names);
  BOP_TRY(open());
  return true;
}

Result<std::optional<snapshot::Stored>> SnapshotFiles::newest() {
  BOP_TRY_ASSIGN(const bool there, open_if_there());
  if (!there || snapshots->list().empty()) return std::nullopt;
  return snapshots->list().back();
}

// ---- taken ----

Result<std::optional<snapshot::Part>> SnapshotFiles::write(Bytes bytes, const std::string& label,
                                                           bool last_piece) {
  if (!writer) {
    BOP_TRY_ASSIGN(auto begun, snapshots->begin_part());
    writer.emplace(std::move(begun));
  }
  BOP_TRY(writer->append(bytes));
  if (!last_piece) return std::optional<snapshot::Part>();
  BOP_TRY_ASSIGN(auto part, snapshots->publish(*std::exchange(writer, std::nullopt), label));
  return std::optional(std::move(part));
}

Result<snapshot::Stored> SnapshotFiles::commit_taken(const snapshot::Manifest& manifest) {
  BOP_TRY(snapshots->commit(manifest));
  // The snapshot exists; what is left of older ones costs space alone.
  if (const Status dropped = drop_older(); !dropped)
    logging::warning("older snapshots were not removed: {}", dropped.error().to_string());
  // Not the last of the list: it may be a received one.
  const auto found = std::ranges::find(snapshots->list(), manifest.index, &snapshot::Stored::index);
  if (found == snapshots->list().end())
    return fail(BOP_E_UNAVAILABLE, "newer snapshots were received while this one was taken");
  return *found;
}

Status SnapshotFiles::drop_older() {
  while (snapshots->list().size() > kept) {
    const snapshot::Stored oldest = snapshots->list().front();
    BOP_TRY(snapshots->remove(oldest));
  }
  return snapshots->collect(wanted ? &*wanted : nullptr);
}

// ---- received ----

const snapshot::Stored* SnapshotFiles::find(const Hash128& id) const {
  const auto found = std::ranges::find(snapshots->list(), id, &snapshot::Stored::id);
  return found != snapshots->list().end() ? &*found : nullptr;
}

Status SnapshotFiles::receive(Bytes bytes, const snapshot::Part& part) {
  if (snapshots->has_part(part.digest)) return {};
  BOP_TRY_ASSIGN(auto received, snapshots->begin_part(snapshot::Snapshots::Purpose::receive));
  BOP_TRY(received.append(bytes));
  BOP_TRY(snapshots->publish(std::move(received), part.label, &part));
  return {};
}

Result<snapshot::Stored> SnapshotFiles::commit_received() {
  BOP_TRY(snapshots->commit(*wanted));
  const Index index = wanted->index;
  wanted.reset();
  // Older ones: nobody installs them, and a peer that fetches one finds it elsewhere.
  while (snapshots->list().size() > kept && snapshots->list().front().index < index) {
    const snapshot::Stored oldest = snapshots->list().front();
    if (const Status removed = snapshots->remove(oldest); !removed) {
      logging::warning("an older snapshot was not removed: {}", removed.error().to_string());
      break;
    }
  }
  const auto found = std::ranges::find(snapshots->list(), index, &snapshot::Stored::index);
  if (found == snapshots->list().end()) return fail(BOP_E_INTERNAL, "a snapshot vanished");
  return *found;
}

// ---- sent ----

Status SnapshotFiles::take_up(const Hash128& id) {
  if (open_ && open_->id == id) return {};
  BOP_TRY(open());
  const snapshot::Stored* stored = find(id);
  if (stored == nullptr)
    return fail(BOP_E_NOT_FOUND, fmt::format("no snapshot {} is here", snapshot::to_hex(id)));
  Open opened;
  opened.id = id;
  BOP_TRY_ASSIGN(opened.bytes, snapshots->manifest_bytes(*stored));
  BOP_TRY_ASSIGN(auto manifest, snapshot::decode(opened.bytes));
  opened.parts = std::move(manifest.parts);
  std::ranges::sort(opened.parts, {}, key);
  open_ = std::move(opened);
  return {};
}

Result<SnapshotFiles::Piece> SnapshotFiles::read(const Hash128& id, const Hash128& part,
                                                 uint64_t offset, size_t length) {
  BOP_TRY(take_up(id));
  Piece piece;
  if (part == Hash128()) {
    piece.size = open_->bytes.size();
    if (offset >= piece.size) return fail(BOP_E_INVALID_ARGUMENT, "an offset behind the manifest");
    const Bytes rest = Bytes(open_->bytes).subspan(offset);
    const Bytes wanted_bytes = rest.first(std::min(length, rest.size()));
    piece.bytes.assign(wanted_bytes.begin(), wanted_bytes.end());
    return piece;
  }
  const auto found =
      std::ranges::lower_bound(open_->parts, std::pair(part.low, part.high), {}, key);
  if (found == open_->parts.end() || found->digest != part)
    return fail(BOP_E_NOT_FOUND, fmt::format("snapshot {} has no part {}", snapshot::to_hex(id),
                                             snapshot::to_hex(part)));
  piece.size = found->size;
  if (offset >= piece.size) return fail(BOP_E_INVALID_ARGUMENT, "an offset behind the part");
  piece.bytes.resize(std::min<uint64_t>(length, piece.size - offset));
  BOP_TRY(snapshots->read(*found, offset, piece.bytes));
  return piece;
}

}  // namespace bop::group

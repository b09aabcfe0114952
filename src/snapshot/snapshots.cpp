#include "snapshot/snapshots.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/assert.h"
#include "snapshot/seeded_bugs.h"

namespace bop::snapshot {

namespace {

constexpr const char* new_file = "new";  // a manifest or a part while it is written
constexpr const char* received_file =
    "received";  // a part of another node's snapshot while it is written

std::optional<std::pair<Index, Term>> position_of(std::string_view name) {
  Index index = 0;
  Term term = 0;
  const char* end = name.data() + name.size();
  const auto [dash, bad_index] = std::from_chars(name.data(), end, index);
  if (bad_index != std::errc() || dash == end || *dash != '-') return {};
  const auto [last, bad_term] = std::from_chars(dash + 1, end, term);
  if (bad_term != std::errc() || last != end) return {};
  return std::pair(index, term);
}

std::optional<Hash128> digest_of(std::string_view name) {
  if (name.size() != 32) return {};
  std::array<uint8_t, 16> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* at = name.data() + 2 * i;
    const auto [end, bad] = std::from_chars(at, at + 2, bytes[i], 16);
    if (bad != std::errc() || end != at + 2) return {};
  }
  const Hash128 digest{load_le<uint64_t>(bytes.data()), load_le<uint64_t>(bytes.data() + 8)};
  return to_hex(digest) == name ? std::optional(digest) : std::nullopt;
}

Result<std::vector<uint8_t>> read_whole(port::FileSystem& files, const std::string& path,
                                        uint64_t most) {
  BOP_TRY_ASSIGN(const auto file, files.open_now(path, {.read_only = true}));
  BOP_TRY_ASSIGN(const uint64_t size, file->size());
  if (size > most)
    return fail(BOP_E_DAMAGED, fmt::format("{}: it has {} bytes; the limit is {}",
                                           files.describe(path), size, most));
  std::vector<uint8_t> bytes(size);
  BOP_TRY_ASSIGN(const size_t read, file->read_now(0, bytes));
  bytes.resize(read);
  return bytes;
}

Status remove_if_there(port::FileSystem& files, const std::string& path) {
  const Status removed = files.remove_now(path);
  return removed || removed.error().code == BOP_E_NOT_FOUND ? Status() : removed;
}

}  // namespace

// ---- opening ----

Result<Snapshots> Snapshots::open(port::FileSystem& files, std::string directory) {
  Snapshots opened(files, std::move(directory));
  BOP_TRY(opened.scan());
  return opened;
}

Status Snapshots::scan() {
  BOP_TRY(files_->make_directory_now(directory_ + "/parts"));
  BOP_TRY(remove_if_there(*files_, directory_ + "/" + new_file));
  for (const char* aside : {new_file, received_file})
    BOP_TRY(remove_if_there(*files_, directory_ + "/parts/" + aside));
  BOP_TRY_ASSIGN(const auto names, files_->list_now(directory_));
  for (const std::string& name : names) BOP_TRY(take_up(name));
  std::ranges::sort(stored_, {}, &Stored::index);
  return scan_parts();
}

Status Snapshots::take_up(const std::string& name) {
  const auto position = position_of(name);
  if (!position) return {};
  const std::string path = directory_ + "/" + name;
  BOP_TRY_ASSIGN(const auto bytes, read_whole(*files_, path, max_manifest_bytes));
  auto decoded = decode(bytes);
  if (decoded && std::pair(decoded->index, decoded->term) != *position)
    decoded = fail(BOP_E_DAMAGED, "it is the manifest of another snapshot");
  if (!decoded) {
    damaged_.push_back(
        {decoded.error().code, files_->describe(path) + ": " + decoded.error().detail});
    return {};
  }
  stored_.push_back({.index = decoded->index,
                     .term = decoded->term,
                     .id = id_of(bytes),
                     .bytes = decoded->bytes(),
                     .parts = decoded->parts.size()});
  return {};
}

Status Snapshots::scan_parts() {
  BOP_TRY_ASSIGN(const auto names, files_->list_now(directory_ + "/parts"));
  for (const std::string& name : names)
    if (const auto digest = digest_of(name)) parts_[key(*digest)] = *digest;
  return {};
}

std::string Snapshots::path_of(const Stored& snapshot) const {
  return fmt::format("{}/{}-{}", directory_, snapshot.index, snapshot.term);
}

std::string Snapshots::path_of(const Hash128& digest) const {
  return directory_ + "/parts/" + to_hex(digest);
}

Result<std::vector<uint8_t>> Snapshots::manifest_bytes(const Stored& snapshot) const {
  const std::string path = path_of(snapshot);
  BOP_TRY_ASSIGN(auto bytes, read_whole(*files_, path, max_manifest_bytes));
  if (id_of(bytes) != snapshot.id)
    return fail(BOP_E_DAMAGED, files_->describe(path) + ": its bytes have another digest");
  return bytes;
}

Result<Manifest> Snapshots::manifest(const Stored& snapshot) const {
  BOP_TRY_ASSIGN(const auto bytes, manifest_bytes(snapshot));
  return decode(bytes);
}

// ---- parts ----

Status PartWriter::append(Bytes bytes) {
  if (size_ + bytes.size() > max_part_bytes)
    return fail(BOP_E_TOO_LARGE,
                fmt::format("a part of a snapshot has at most {} bytes", max_part_bytes));
  BOP_TRY(file_->write_now(size_, bytes));
  hasher_.add(bytes);
  size_ += bytes.size();
  return {};
}

Result<PartWriter> Snapshots::begin_part(Purpose purpose) {
  std::string path = directory_ + "/parts/" + (purpose == Purpose::take ? new_file : received_file);
  BOP_TRY(remove_if_there(*files_, path));
  BOP_TRY_ASSIGN(auto file, files_->open_now(path, {.create = true}));
  return PartWriter(std::move(file), std::move(path));
}

Result<Part> Snapshots::publish(PartWriter writer, std::string label, const Part* expected) {
  const Part part{std::move(label), writer.size_, writer.hasher_.hash()};
  const bool verified = expected == nullptr || seeded(Bug::part_not_verified) ||
                        (part.size == expected->size && part.digest == expected->digest);
  if (!verified)
    return fail(BOP_E_DAMAGED,
                fmt::format("part {} has {} bytes with digest {} in place of {} with {}",
                            to_hex(expected->digest), part.size, to_hex(part.digest),
                            expected->size, to_hex(expected->digest)));
  const Hash128 name = expected != nullptr ? expected->digest : part.digest;
  if (has_part(name)) return part;
  BOP_TRY(writer.file_->sync_now());
  writer.file_.reset();
  BOP_TRY(files_->rename_now(writer.aside_, path_of(name)));
  parts_[key(name)] = name;
  return part;
}

Result<size_t> Snapshots::read(const Part& part, uint64_t offset, std::span<uint8_t> into) const {
  if (offset > part.size)
    return fail(BOP_E_INVALID_ARGUMENT,
                fmt::format("part {} has {} bytes", to_hex(part.digest), part.size));
  const size_t wanted = std::min<uint64_t>(into.size(), part.size - offset);
  BOP_TRY_ASSIGN(const auto file, files_->open_now(path_of(part.digest), {.read_only = true}));
  BOP_TRY_ASSIGN(const size_t read, file->read_now(offset, into.first(wanted)));
  if (read != wanted) return damaged_part(part, "it is too short");
  return read;
}

Result<std::vector<uint8_t>> Snapshots::load(const Part& part) const {
  BOP_TRY_ASSIGN(auto bytes, read_whole(*files_, path_of(part.digest), max_part_bytes));
  if (bytes.size() != part.size) return damaged_part(part, "its size is another one");
  if (hash128(bytes) != part.digest) return damaged_part(part, "its bytes have another digest");
  return bytes;
}

std::unexpected<Error> Snapshots::damaged_part(const Part& part, const char* what) const {
  return fail(BOP_E_DAMAGED, fmt::format("{}, part \"{}\" of a snapshot: {}",
                                         files_->describe(path_of(part.digest)), part.label, what));
}

// ---- snapshots ----

Status Snapshots::commit(const Manifest& manifest) {
  BOP_TRY(check(manifest));
  for (const Part& part : manifest.parts)
    if (!has_part(part.digest))
      return fail(BOP_E_NOT_FOUND, fmt::format("part \"{}\" ({}) of the snapshot is not here",
                                               part.label, to_hex(part.digest)));
  const std::vector<uint8_t> bytes = encode(manifest);
  const Stored snapshot{.index = manifest.index,
                        .term = manifest.term,
                        .id = id_of(bytes),
                        .bytes = manifest.bytes(),
                        .parts = manifest.parts.size()};
  const auto same = std::ranges::find(stored_, snapshot.index, &Stored::index);
  if (same != stored_.end() && same->id == snapshot.id) return {};
  if (!seeded(Bug::manifest_before_parts))
    BOP_TRY(files_->sync_directory_now(directory_ + "/parts"));
  const std::string aside = directory_ + "/" + new_file;
  BOP_TRY(remove_if_there(*files_, aside));
  {
    BOP_TRY_ASSIGN(const auto file, files_->open_now(aside, {.create = true}));
    BOP_TRY(file->write_now(0, bytes));
    BOP_TRY(file->sync_now());
  }
  BOP_TRY(files_->rename_now(aside, path_of(snapshot)));
  BOP_TRY(files_->sync_directory_now(directory_));
  if (same != stored_.end()) stored_.erase(same);
  stored_.push_back(snapshot);
  std::ranges::sort(stored_, {}, &Stored::index);
  return {};
}

Status Snapshots::verify(const Stored& snapshot) const {
  BOP_TRY_ASSIGN(const Manifest manifest, this->manifest(snapshot));
  for (const Part& part : manifest.parts) BOP_TRY(load(part));
  return {};
}

Status Snapshots::remove(const Stored& snapshot) {
  const Index index = snapshot.index;
  BOP_TRY(files_->remove_now(path_of(snapshot)));
  std::erase_if(stored_, [index](const Stored& each) { return each.index == index; });
  return files_->sync_directory_now(directory_);
}

Status Snapshots::collect(const Manifest* wanted) {
  std::set<PartKey> needed;
  const auto need = [&needed](const Manifest& manifest) {
    for (const Part& part : manifest.parts) needed.insert(key(part.digest));
  };
  if (wanted != nullptr) need(*wanted);
  for (const Stored& snapshot : stored_) {
    BOP_TRY_ASSIGN(const Manifest kept, manifest(snapshot));
    need(kept);
  }
  for (auto part = parts_.begin(); part != parts_.end();) {
    if (needed.contains(part->first)) {
      ++part;
      continue;
    }
    BOP_TRY(files_->remove_now(path_of(part->second)));
    part = parts_.erase(part);
  }
  return {};
}

}  // namespace bop::snapshot

#include "node/incarnations.h"

#include <fmt/format.h>

#include <memory>

#include "base/checksum.h"

namespace bop::node {

namespace {

constexpr const char* peers_file = "peers";
constexpr const char* new_peers_file = "peers.new";

// docs/formats/directory.md
constexpr std::string_view magic("BOPPEER\n", 8);
constexpr uint32_t version = 1;
constexpr size_t header_bytes = 16;
constexpr size_t peer_bytes = 16;
constexpr uint32_t max_peers = 1024;

Result<std::map<NodeId, uint64_t>> decode(Bytes bytes, const std::string& path) {
  Reader reader(bytes);
  const bool ours = as_text(reader.bytes(magic.size())) == magic;
  const uint32_t found_version = reader.u32();
  const uint32_t count = reader.u32();
  if (!ours || !reader.ok()) return fail(BOP_E_DAMAGED, path + " at 0: not a peers file of bop");
  if (found_version > version) {
    return fail(BOP_E_NEWER_FORMAT, fmt::format("{}: has format version {}, this program knows {}",
                                                path, found_version, version));
  }
  if (count > max_peers || bytes.size() != header_bytes + count * peer_bytes + 4 ||
      load_le<uint32_t>(bytes.data() + bytes.size() - 4) != crc32c(bytes.first(bytes.size() - 4)))
    return fail(BOP_E_DAMAGED, path + " at 0: its checksum does not hold");
  std::map<NodeId, uint64_t> known;
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId node = reader.u64();
    known[node] = reader.u64();
  }
  return known;
}

std::vector<uint8_t> encode(const std::map<NodeId, uint64_t>& known) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.bytes(as_bytes(magic));
  writer.u32(version);
  writer.u32(static_cast<uint32_t>(known.size()));
  for (const auto& [node, incarnation] : known) {
    writer.u64(node);
    writer.u64(incarnation);
  }
  writer.u32(crc32c(out));
  return out;
}

}  // namespace

Result<Incarnations> Incarnations::load(port::FileSystem& files) {
  Incarnations loaded;
  auto file = files.open_now(peers_file, {.read_only = true});
  if (!file && file.error().code == BOP_E_NOT_FOUND) return loaded;
  if (!file) return std::unexpected(file.error());
  BOP_TRY_ASSIGN(const uint64_t size, (*file)->size());
  if (size > header_bytes + max_peers * peer_bytes + 4)
    return fail(BOP_E_DAMAGED, files.describe(peers_file) + ": is too large");
  std::vector<uint8_t> bytes(size);
  BOP_TRY_ASSIGN(const size_t read, (*file)->read_now(0, bytes));
  BOP_TRY_ASSIGN(loaded.known_, decode(Bytes(bytes).first(read), files.describe(peers_file)));
  loaded.saved_ = loaded.known_.size();
  return loaded;
}

Status Incarnations::verify(NodeId node, uint64_t incarnation) {
  const auto found = known_.find(node);
  if (found == known_.end()) {
    if (known_.size() >= max_peers) return fail(BOP_E_OVERLOADED, "too many peers to remember");
    known_[node] = incarnation;
    return {};
  }
  if (found->second == incarnation) return {};
  return fail(
      BOP_E_WRONG_INCARNATION,
      fmt::format(
          "the data directory of node {} was reformatted (incarnation {:016x}, known {:016x}): "
          "it may have forgotten votes and acknowledged entries",
          node, incarnation, found->second));
}

Status Incarnations::save(port::FileSystem& files) const {
  if (const Status removed = files.remove_now(new_peers_file);
      !removed && removed.error().code != BOP_E_NOT_FOUND)
    return removed;
  {
    BOP_TRY_ASSIGN(const std::unique_ptr<port::File> file,
                   files.open_now(new_peers_file, {.create = true}));
    BOP_TRY(file->write_now(0, encode(known_)));
    BOP_TRY(file->sync_now());
  }
  BOP_TRY(files.rename_now(new_peers_file, peers_file));
  return files.sync_directory_now(".");
}

}  // namespace bop::node

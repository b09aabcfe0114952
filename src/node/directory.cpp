#include "node/directory.h"

#include <fmt/format.h>

#include <memory>

#include "base/assert.h"
#include "base/bytes.h"

namespace bop::node {
namespace {

constexpr const char* format_file = "format";
constexpr const char* new_format_file = "format.new";

// docs/formats/directory.md
constexpr std::string_view magic("BOPNODE\n", 8);
constexpr uint32_t format_version = 2;
constexpr size_t format_bytes = 88;
constexpr size_t checksum_at = 84;
constexpr uint32_t served_flag = 1;

std::vector<uint8_t> encode(const Identity& identity) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.bytes(as_bytes(magic));
  writer.u32(format_version);
  writer.bytes(identity.cluster);
  writer.u64(identity.node);
  writer.u64(identity.incarnation);
  writer.u64(identity.bootstrap.low);
  writer.u64(identity.bootstrap.high);
  writer.u32(identity.served ? served_flag : 0);
  writer.u32(0);
  writer.u64(identity.formation.low);
  writer.u64(identity.formation.high);
  BOP_ASSERT_EQ(writer.size(), checksum_at);
  writer.u32(crc32c(out));
  BOP_ASSERT_EQ(writer.size(), format_bytes);
  return out;
}

Result<Identity> decode(Bytes bytes, const std::string& path) {
  Reader reader(bytes);
  const bool ours = as_text(reader.bytes(magic.size())) == magic;
  const uint32_t version = reader.u32();
  if (!ours || !reader.ok() || version == 0) {
    return fail(BOP_E_DAMAGED, path + " at 0: is not a format file of bop");
  }
  if (version > format_version) {
    return fail(BOP_E_NEWER_FORMAT,
                fmt::format("{}: format version {} is newer than version {} of this program", path,
                            version, format_version));
  }
  if (version < format_version) {
    return fail(BOP_E_OLDER_FORMAT,
                fmt::format("{}: format version {} is older than version {} of this program", path,
                            version, format_version));
  }
  if (bytes.size() != format_bytes ||
      load_le<uint32_t>(bytes.data() + checksum_at) != crc32c(bytes.first(checksum_at))) {
    return fail(BOP_E_DAMAGED, path + " at 0: wrong checksum");
  }
  Identity identity;
  const Bytes cluster = reader.bytes(identity.cluster.size());
  std::copy(cluster.begin(), cluster.end(), identity.cluster.begin());
  identity.node = reader.u64();
  identity.incarnation = reader.u64();
  identity.bootstrap.low = reader.u64();
  identity.bootstrap.high = reader.u64();
  identity.served = (reader.u32() & served_flag) != 0;
  reader.u32();
  identity.formation.low = reader.u64();
  identity.formation.high = reader.u64();
  return identity;
}

// The file appears whole or not at all: written aside, synced, renamed, directory synced.
Status replace_file(port::FileSystem& files, const Identity& identity) {
  if (const Status removed = files.remove_now(new_format_file);
      !removed && removed.error().code != BOP_E_NOT_FOUND) {
    return removed;
  }
  {
    BOP_TRY_ASSIGN(const std::unique_ptr<port::File> file,
                   files.open_now(new_format_file, {.create = true}));
    BOP_TRY(file->write_now(0, encode(identity)));
    BOP_TRY(file->sync_now());
  }
  BOP_TRY(files.rename_now(new_format_file, format_file));
  return files.sync_directory_now(".");
}

std::string hex(const std::array<uint8_t, 16>& id) {
  std::string out;
  for (const uint8_t byte : id) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

Hash128 formation_digest(const std::vector<FormationGroup>& groups) {
  std::vector<uint8_t> out;
  Writer writer(out);
  const auto put_text = [&](const std::string& text) {
    writer.u32(static_cast<uint32_t>(text.size()));
    writer.bytes(as_bytes(text));
  };
  for (const FormationGroup& group : groups) {
    writer.u64(group.id);
    put_text(group.name);
    put_text(group.machine);
    writer.u32(static_cast<uint32_t>(group.voters.size()));
    for (const NodeId voter : group.voters) writer.u64(voter);
  }
  return hash128(out);
}

Hash128 bootstrap_digest(const std::vector<FormationGroup>& groups) {
  std::vector<FormationGroup> system = groups;
  std::erase_if(system, [](const FormationGroup& group) { return group.id != system_group; });
  return formation_digest(system);
}

Status format_directory(port::FileSystem& files, const Identity& identity) {
  BOP_ASSERT(identity.node != 0);
  BOP_ASSERT(!identity.served);
  const Result<std::unique_ptr<port::File>> present =
      files.open_now(format_file, {.read_only = true});
  if (present)
    return fail(BOP_E_ALREADY_FORMATTED,
                files.describe(format_file) + ": the directory is already formatted");
  if (present.error().code != BOP_E_NOT_FOUND) return std::unexpected(present.error());
  return replace_file(files, identity);
}

Result<Identity> read_identity(port::FileSystem& files) {
  const Result<std::unique_ptr<port::File>> file = files.open_now(format_file, {.read_only = true});
  const std::string path = files.describe(format_file);
  if (!file) {
    if (file.error().code != BOP_E_NOT_FOUND) return std::unexpected(file.error());
    return fail(BOP_E_NOT_FORMATTED,
                path + " does not exist; run `bopd format --config FILE` first");
  }
  std::vector<uint8_t> bytes(format_bytes + 1);  // one more would show that it is longer
  BOP_TRY_ASSIGN(const size_t size, (*file)->read_now(0, bytes));
  return decode(Bytes(bytes).first(size), path);
}

Status check_identity(port::FileSystem& files, const Identity& found, const Identity& expected) {
  const std::string path = files.describe(format_file);
  if (found.cluster != expected.cluster) {
    return fail(BOP_E_FOREIGN_DIRECTORY, fmt::format("{}: belongs to cluster {}, not to {}", path,
                                                     hex(found.cluster), hex(expected.cluster)));
  }
  if (found.node != expected.node) {
    return fail(BOP_E_FOREIGN_DIRECTORY,
                fmt::format("{}: belongs to node {}, not to {}", path, found.node, expected.node));
  }
  if (found.bootstrap != expected.bootstrap) {
    return fail(BOP_E_BAD_CONFIG,
                fmt::format("{}: the name, machine and voters of group {} must stay as they were "
                            "when the directory was formatted",
                            path, system_group));
  }
  // Until the groups are in the log, the configuration that made the digest is the only record of them.
  if (!found.served && found.formation != expected.formation) {
    return fail(BOP_E_BAD_CONFIG, path +
                                      ": until the first start, the groups, their machines and "
                                      "voters must stay as they were when the directory was "
                                      "formatted");
  }
  return {};
}

Status mark_served(port::FileSystem& files, Identity& identity) {
  Identity served = identity;
  served.served = true;
  BOP_TRY(replace_file(files, served));
  identity = served;
  return {};
}

uint64_t log_id(const Identity& identity, uint32_t shard) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.bytes(identity.cluster);
  writer.u64(identity.node);
  writer.u64(identity.incarnation);
  writer.u32(shard);
  return hash64(out);
}

}  // namespace bop::node

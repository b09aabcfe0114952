#include "snapshot/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace bop::snapshot {

namespace {

constexpr std::string_view magic("BOPSNAP\n", 8);
constexpr uint16_t format_version = 1;
constexpr size_t fixed_bytes = 101;  // of a manifest without kind, configuration and parts
constexpr size_t part_bytes = 25;    // of a part without its label

std::unexpected<Error> damaged(const char* what) {
  return fail(BOP_E_DAMAGED, std::string("not a manifest of a snapshot: ") + what);
}

std::unexpected<Error> newer(const char* what) {
  return fail(BOP_E_NEWER_FORMAT,
              std::string("a snapshot with ") + what + ", which this version does not know");
}

std::unexpected<Error> refused(std::string what) {
  return fail(BOP_E_INVALID_ARGUMENT, "snapshot: " + std::move(what));
}

Status check_parts(const std::vector<Part>& parts) {
  const std::string* last = nullptr;
  for (const Part& part : parts) {
    if (part.label.empty() || part.label.size() > max_label_bytes)
      return refused(fmt::format("a part's label has {} bytes; it must have 1 to {}",
                                 part.label.size(), max_label_bytes));
    if (last != nullptr && part.label <= *last)
      return refused("the labels of its parts do not ascend");
    if (part.size > max_part_bytes)
      return refused(
          fmt::format("a part has {} bytes; the limit is {}", part.size, max_part_bytes));
    last = &part.label;
  }
  return {};
}

size_t encoded_bytes(const Manifest& manifest) {
  size_t size = fixed_bytes + manifest.kind.size() + manifest.configuration.size();
  for (const Part& part : manifest.parts) size += part_bytes + part.label.size();
  return size;
}

void read_part(Reader& reader, std::vector<Part>& parts) {
  Part part;
  part.label = as_text(reader.bytes(reader.u8()));
  part.size = reader.u64();
  part.digest.low = reader.u64();
  part.digest.high = reader.u64();
  if (reader.ok()) parts.push_back(std::move(part));
}

}  // namespace

uint64_t Manifest::bytes() const {
  uint64_t sum = 0;
  for (const Part& part : parts) sum += part.size;
  return sum;
}

Status check(const Manifest& manifest) {
  if (manifest.group == 0 || manifest.index == 0 || manifest.term == 0)
    return refused("its group, index or term is 0");
  if (manifest.kind.empty() || manifest.kind.size() > max_kind_bytes)
    return refused("the name of its machine is empty or too long");
  if (manifest.configuration.empty()) return refused("it has no configuration");
  if (manifest.configuration_index > manifest.index)
    return refused("its configuration is of a later entry");
  BOP_TRY(check_parts(manifest.parts));
  if (encoded_bytes(manifest) > max_manifest_bytes)
    return refused(fmt::format("a manifest of {} bytes; the limit is {}", encoded_bytes(manifest),
                               max_manifest_bytes));
  return {};
}

std::vector<uint8_t> encode(const Manifest& manifest) {
  BOP_ASSERT(check(manifest).has_value());
  std::vector<uint8_t> out;
  out.reserve(encoded_bytes(manifest));
  Writer writer(out);
  writer.bytes(as_bytes(magic));
  writer.u16(format_version);
  writer.u16(0);
  writer.u32(0);  // generation of the group
  writer.bytes(manifest.cluster);
  writer.u64(manifest.group);
  writer.u64(0);  // recovery epoch of the cluster
  writer.u64(manifest.index);
  writer.u64(manifest.term);
  writer.i64(manifest.time_ns);
  writer.u32(manifest.version);
  writer.u8(static_cast<uint8_t>(manifest.kind.size()));
  writer.bytes(as_bytes(manifest.kind));
  writer.u64(manifest.configuration_index);
  writer.u32(static_cast<uint32_t>(manifest.configuration.size()));
  writer.bytes(manifest.configuration);
  writer.u32(0);  // bytes of sessions
  writer.u32(static_cast<uint32_t>(manifest.parts.size()));
  for (const Part& part : manifest.parts) {
    writer.u8(static_cast<uint8_t>(part.label.size()));
    writer.bytes(as_bytes(part.label));
    writer.u64(part.size);
    writer.u64(part.digest.low);
    writer.u64(part.digest.high);
  }
  writer.u32(crc32c(out));
  BOP_ASSERT_EQ(out.size(), encoded_bytes(manifest));
  return out;
}

Result<Manifest> decode(Bytes bytes) {
  if (bytes.size() > max_manifest_bytes) return damaged("it is too large");
  Reader reader(bytes);
  if (as_text(reader.bytes(magic.size())) != magic) return damaged("its first bytes are others");
  const uint16_t version = reader.u16();
  if (reader.ok() && version > format_version)
    return fail(BOP_E_NEWER_FORMAT, fmt::format("a snapshot of format version {}, this program "
                                                "knows {}",
                                                version, format_version));
  if (bytes.size() < 4 ||
      load_le<uint32_t>(bytes.data() + bytes.size() - 4) != crc32c(bytes.first(bytes.size() - 4)))
    return damaged("its checksum does not hold");
  if (version != format_version) return damaged("its version is 0");
  const uint16_t flags = reader.u16();
  const uint32_t generation = reader.u32();

  Manifest out;
  std::ranges::copy(reader.bytes(out.cluster.size()), out.cluster.begin());
  out.group = reader.u64();
  const uint64_t recovery_epoch = reader.u64();
  out.index = reader.u64();
  out.term = reader.u64();
  out.time_ns = reader.i64();
  out.version = reader.u32();
  out.kind = as_text(reader.bytes(reader.u8()));
  out.configuration_index = reader.u64();
  const Bytes configuration = reader.bytes(reader.u32());
  out.configuration.assign(configuration.begin(), configuration.end());
  const uint32_t sessions = reader.u32();
  if (!reader.ok()) return damaged("it ends too early");
  if (flags != 0) return newer("unknown flags");
  if (generation != 0) return newer("a generation");
  if (recovery_epoch != 0) return newer("a recovery epoch");
  if (sessions != 0) return newer("sessions");
  // No memory is reserved for the claimed count.
  for (uint32_t left = reader.u32(); left > 0 && reader.ok(); --left) read_part(reader, out.parts);
  reader.u32();  // the checksum
  if (!reader.complete()) return damaged("its length is not that of its parts");
  if (const Status valid = check(out); !valid) return damaged(valid.error().detail.c_str());
  return out;
}

Hash128 id_of(Bytes encoded_manifest) { return hash128(encoded_manifest); }

std::string to_hex(const Hash128& digest) {
  std::array<uint8_t, 16> bytes;
  store_le(bytes.data(), digest.low);
  store_le(bytes.data() + 8, digest.high);
  std::string digits;
  for (const uint8_t byte : bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

}  // namespace bop::snapshot

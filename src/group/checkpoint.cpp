#include "group/checkpoint.h"

#include <algorithm>

#include "base/assert.h"
#include "raft/configuration.h"

namespace bop::group {

namespace {

constexpr size_t section_header_bytes = 8;
constexpr size_t max_kind_bytes = 255;

enum class Section : uint16_t {
  configuration = 1,
  sessions = 2,
  machine = 3,
  origin = 4,
  vote_floor = 5,
};
constexpr uint16_t sections = 5;  // each once, in order
constexpr size_t origin_bytes = 24;
constexpr size_t vote_floor_bytes = 24;

std::unexpected<Error> malformed(const char* what) {
  return fail(BOP_E_PROTOCOL, std::string("a checkpoint with ") + what);
}

std::unexpected<Error> newer(const char* what) {
  return fail(BOP_E_NEWER_FORMAT,
              std::string("a checkpoint with ") + what + ", which this version does not know");
}

void begin(Writer& writer, Section section, size_t bytes) {
  writer.u16(static_cast<uint16_t>(section));
  writer.u16(0);  // flags
  writer.u32(static_cast<uint32_t>(bytes));
}

void write_zeros(Writer& writer, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) writer.u8(0);
}

bool all_zero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; });
}

Status read_configuration(Bytes bytes, Checkpoint& into) {
  Reader reader(bytes);
  into.configuration_index = reader.u64();
  if (!reader.ok()) return malformed("a configuration without an index");
  BOP_TRY_ASSIGN(into.configuration, raft::decode_configuration(reader.rest()));
  if (into.configuration_index > into.at.index)
    return malformed("a configuration of a later entry than its own");
  return {};
}

Status read_machine(Bytes bytes, Checkpoint& into) {
  Reader reader(bytes);
  into.instance = reader.u64();
  into.machine_version = reader.u32();
  if (!reader.ok()) return malformed("a machine of too few bytes");
  const Bytes kind = reader.rest();
  if (kind.empty() || kind.size() > max_kind_bytes) return malformed("a machine without a kind");
  if (into.instance == 0) return malformed("a machine without an instance");
  into.machine = as_text(kind);
  return {};
}

Status read_section(Section section, Bytes bytes, Checkpoint& into) {
  switch (section) {
    case Section::configuration: return read_configuration(bytes, into);
    case Section::sessions:
      if (!bytes.empty()) return newer("sessions");
      return {};
    case Section::machine: return read_machine(bytes, into);
    case Section::origin:
      if (bytes.size() != origin_bytes) return malformed("an origin of another size");
      if (!all_zero(bytes)) return newer("an origin other than this replica");
      return {};
    case Section::vote_floor:
      if (bytes.size() != vote_floor_bytes) return malformed("a vote floor of another size");
      if (!all_zero(bytes)) return newer("a vote floor");
      return {};
  }
  return newer("an unknown section");
}

}  // namespace

std::vector<uint8_t> encode(const Checkpoint& checkpoint) {
  BOP_ASSERT_NE(checkpoint.instance, 0u);
  BOP_ASSERT(!checkpoint.machine.empty() && checkpoint.machine.size() <= max_kind_bytes);
  BOP_ASSERT_LE(checkpoint.configuration_index, checkpoint.at.index);
  const mem::Buffer configuration = raft::encode_configuration(checkpoint.configuration);
  std::vector<uint8_t> bytes;
  Writer writer(bytes);
  begin(writer, Section::configuration, 8 + configuration.size());
  writer.u64(checkpoint.configuration_index);
  writer.bytes(configuration.bytes());
  begin(writer, Section::sessions, 0);
  begin(writer, Section::machine, 12 + checkpoint.machine.size());
  writer.u64(checkpoint.instance);
  writer.u32(checkpoint.machine_version);
  writer.bytes(as_bytes(checkpoint.machine));
  begin(writer, Section::origin, origin_bytes);
  write_zeros(writer, origin_bytes);  // made here
  begin(writer, Section::vote_floor, vote_floor_bytes);
  write_zeros(writer, vote_floor_bytes);
  return bytes;
}

Result<Checkpoint> decode_checkpoint(raft::EntryId at, Bytes bytes) {
  Checkpoint out;
  out.at = at;
  Reader reader(bytes);
  for (uint16_t expected = 1; expected <= sections; ++expected) {
    const uint16_t type = reader.u16();
    const uint16_t flags = reader.u16();
    const uint32_t length = reader.u32();
    if (!reader.ok() || length > reader.remaining()) return malformed("a section that is cut off");
    if (type > sections) return newer("an unknown section");
    if (flags != 0) return newer("unknown flags");
    if (type != expected) return malformed("sections that are missing or out of order");
    BOP_TRY(read_section(static_cast<Section>(type), reader.bytes(length), out));
  }
  if (reader.remaining() > 0) {
    if (reader.remaining() < section_header_bytes || reader.u16() <= sections)
      return malformed("bytes after its last section");
    return newer("an unknown section");
  }
  return out;
}

}  // namespace bop::group

#include "proto/peer_sections.h"

#include "base/assert.h"

namespace bop::proto {

namespace {

enum class SectionKind : uint8_t {
  introduction = 1,
  node_report = 2,
  group_reports = 3,
  addresses = 4,
};

constexpr size_t section_head_bytes = 4;
constexpr size_t group_report_bytes = 68;
constexpr size_t max_version_bytes = 63;
constexpr size_t max_sections_bytes = 1024;  // of one frame

// Reserves the section's header, which is filled in when the size of its body is known.
size_t begin_section(std::vector<uint8_t>& out) {
  out.resize(out.size() + section_head_bytes);
  return out.size();
}

void end_section(std::vector<uint8_t>& out, SectionKind kind, size_t body_at) {
  const size_t size = out.size() - body_at;
  BOP_ASSERT_LE(size, size_t{UINT16_MAX});
  uint8_t* head = out.data() + body_at - section_head_bytes;
  head[0] = static_cast<uint8_t>(kind);
  head[1] = 0;
  store_le<uint16_t>(head + 2, static_cast<uint16_t>(size));
}

void put_text(Writer& writer, std::string_view text, size_t most) {
  const std::string_view cut = text.substr(0, most);
  writer.u8(static_cast<uint8_t>(cut.size()));
  writer.bytes(as_bytes(cut));
}

std::string_view read_text(Reader& reader) { return as_text(reader.bytes(reader.u8())); }

Error malformed(std::string_view what) {
  return {BOP_E_PROTOCOL, "a malformed " + std::string(what) + " section"};
}

}  // namespace

void encode(const IntroductionSection& section, std::vector<uint8_t>& out) {
  const size_t at = begin_section(out);
  Writer writer(out);
  writer.u64(section.instance);
  put_text(writer, section.address, max_section_text_bytes);
  put_text(writer, section.native, max_section_text_bytes);
  end_section(out, SectionKind::introduction, at);
}

void encode(const NodeReport& section, std::vector<uint8_t>& out) {
  const size_t at = begin_section(out);
  Writer writer(out);
  writer.u64(section.uptime_ms);
  writer.u64(section.conditions);
  writer.u64(section.second_process_of);
  put_text(writer, section.version, max_version_bytes);
  end_section(out, SectionKind::node_report, at);
}

void encode(std::span<const GroupReport> groups, std::vector<uint8_t>& out) {
  BOP_ASSERT_LE(groups.size(), max_reported_groups);
  if (groups.empty()) return;
  const size_t at = begin_section(out);
  Writer writer(out);
  for (const GroupReport& group : groups) {
    writer.u64(group.id);
    writer.u64(group.term);
    writer.u64(group.commit);
    writer.u64(group.applied);
    writer.u64(group.last);
    writer.u64(group.hash_index);
    writer.u64(group.hash_low);
    writer.u64(group.hash_high);
    writer.u8(group.role);
    writer.u8(group.flags);
    writer.u16(0);
  }
  BOP_ASSERT_EQ(out.size() - at, groups.size() * group_report_bytes);
  end_section(out, SectionKind::group_reports, at);
}

size_t encode(std::span<const NodeAddress> addresses, std::vector<uint8_t>& out) {
  if (addresses.empty()) return 0;
  const size_t at = begin_section(out);
  Writer writer(out);
  size_t count = 0;
  for (const NodeAddress& known : addresses) {
    if (out.size() + 8 + 1 + known.address.size() > max_sections_bytes) break;
    writer.u64(known.node);
    put_text(writer, known.address, max_section_text_bytes);
    ++count;
  }
  end_section(out, SectionKind::addresses, at);
  return count;
}

Result<PeerSections> decode_sections(Bytes bytes) {
  PeerSections out;
  Reader reader(bytes);
  while (reader.remaining() > 0) {
    const auto kind = static_cast<SectionKind>(reader.u8());
    reader.u8();
    const uint16_t size = reader.u16();
    const Bytes body_bytes = reader.bytes(size);
    if (!reader.ok()) return std::unexpected(malformed("peer frame"));
    Reader body(body_bytes);
    switch (kind) {
      case SectionKind::introduction: {
        IntroductionSection section;
        section.instance = body.u64();
        section.address = read_text(body);
        section.native = read_text(body);
        if (!body.ok()) return std::unexpected(malformed("introduction"));
        out.introduction = section;
        break;
      }
      case SectionKind::node_report: {
        NodeReport section;
        section.uptime_ms = body.u64();
        section.conditions = body.u64();
        section.second_process_of = body.u64();
        section.version = read_text(body);
        if (!body.ok()) return std::unexpected(malformed("node report"));
        out.node = section;
        break;
      }
      case SectionKind::group_reports:
        if (size % group_report_bytes != 0) return std::unexpected(malformed("group report"));
        out.groups = body_bytes;
        break;
      case SectionKind::addresses:
        while (body.remaining() > 0 && body.ok()) {
          body.u64();
          read_text(body);
        }
        if (!body.ok()) return std::unexpected(malformed("address"));
        out.addresses = body_bytes;
        break;
      default: break;  // of a later version
    }
  }
  return out;
}

std::vector<GroupReport> decode_group_reports(Bytes groups) {
  std::vector<GroupReport> out(groups.size() / group_report_bytes);
  Reader reader(groups);
  for (GroupReport& group : out) {
    group.id = reader.u64();
    group.term = reader.u64();
    group.commit = reader.u64();
    group.applied = reader.u64();
    group.last = reader.u64();
    group.hash_index = reader.u64();
    group.hash_low = reader.u64();
    group.hash_high = reader.u64();
    group.role = reader.u8();
    group.flags = reader.u8();
    reader.u16();
  }
  BOP_ASSERT(reader.ok());
  return out;
}

std::vector<NodeAddress> decode_addresses(Bytes addresses) {
  std::vector<NodeAddress> out;
  Reader reader(addresses);
  while (reader.remaining() > 0) {
    NodeAddress& known = out.emplace_back();
    known.node = reader.u64();
    known.address = read_text(reader);
  }
  BOP_ASSERT(reader.ok());
  return out;
}

}  // namespace bop::proto

// What a snapshot consists of: the state of a group after one entry, as the configuration in force and the machine's
// parts. Parts are named by their digest, so that equal parts of two snapshots, or of two replicas, are one. Byte table:
// docs/formats/snapshot.md. It has places for what later versions bring (sessions, generations, recovery epochs); a
// value there is refused by name.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/ids.h"
#include "base/result.h"

namespace bop::snapshot {

// Of an encoded manifest: some 600,000 parts.
inline constexpr size_t max_manifest_bytes = 16 << 20;
inline constexpr size_t max_label_bytes = 255;
inline constexpr size_t max_kind_bytes = 64;
// A part is kept in memory while it is sent, verified or restored.
inline constexpr uint64_t max_part_bytes = 64 << 20;

struct Part {
  std::string label;  // given by the machine: 1 to 255 bytes, in ascending order within a snapshot
  uint64_t size = 0;  // bytes
  Hash128 digest;     // XXH3-128 of the bytes
  friend bool operator==(const Part&, const Part&) = default;
};

struct Manifest {
  std::array<uint8_t, 16> cluster{};
  GroupId group = 0;
  Index index = 0;       // the state is that after this entry
  Term term = 0;         // of that entry
  int64_t time_ns = 0;   // of that entry: ns since 1970
  std::string kind;      // of the machine
  uint32_t version = 0;  // of the machine's state
  Index configuration_index =
      0;  // of the entry with the configuration in force; 0: the one from the bootstrap
  std::vector<uint8_t> configuration;  // as in that entry (raft/configuration.h)
  std::vector<Part> parts;             // by label

  uint64_t bytes() const;  // of all parts
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// INVALID_ARGUMENT, with a message that names what breaks a rule or a limit above.
Status check(const Manifest& manifest);
// The manifest must pass check().
std::vector<uint8_t> encode(const Manifest& manifest);
// DAMAGED: the bytes are no manifest, or their checksum does not hold. NEWER_FORMAT: another version wrote it.
Result<Manifest> decode(Bytes bytes);

// What identifies the snapshot: a digest of the encoded manifest.
Hash128 id_of(Bytes encoded_manifest);

// 32 lower-case hexadecimal digits: the 16 bytes of the digest, as formats write it.
std::string to_hex(const Hash128& digest);

}  // namespace bop::snapshot

// Takes a snapshot on a disk that fails at each operation in turn, then loses power, and looks at what is left.
#pragma once

#include <string>

#include "example.h"
#include "sim/disk.h"
#include "snapshot/snapshots.h"

namespace bop::snapshot::test {

inline constexpr const char* directory = "shard0/snap/group-7";

inline Result<Part> add_part(Snapshots& snapshots, std::string label, std::string_view bytes,
                             const Part* expected = nullptr) {
  BOP_TRY_ASSIGN(PartWriter writer, snapshots.begin_part());
  const size_t half = bytes.size() / 2;
  BOP_TRY(writer.append(as_bytes(bytes.substr(0, half))));
  BOP_TRY(writer.append(as_bytes(bytes.substr(half))));
  return snapshots.publish(std::move(writer), std::move(label), expected);
}

// A snapshot at `index` of three parts, of which the first is the same in all snapshots.
inline Status take(Snapshots& snapshots, Index index) {
  Manifest manifest = example();
  manifest.index = index;
  manifest.configuration_index = 1;
  manifest.parts.clear();
  const std::string at = std::to_string(index);
  for (const auto& [label, bytes] :
       {std::pair{"a", std::string(3000, 's')}, {"b", std::string(5000, 'b') + at}, {"c", at}}) {
    BOP_TRY_ASSIGN(const Part part, add_part(snapshots, label, bytes));
    manifest.parts.push_back(part);
  }
  return snapshots.commit(manifest);
}

// Keeps the snapshot at `index` alone.
inline Status keep_only(Snapshots& snapshots, Index index) {
  const auto all = snapshots.list();
  for (const Stored& each : all)
    if (each.index != index) BOP_TRY(snapshots.remove(each));
  return snapshots.collect();
}

// What is wrong after the attempt; empty: nothing. `failed` tells whether the disk's failure was met.
inline std::string crash_at(sim::DiskOperation kind, uint64_t nth, uint64_t seed, bool& failed) {
  sim::Disk disk(seed);
  {
    auto opened = Snapshots::open(disk, directory);
    if (!opened || !take(*opened, 10)) return "the first snapshot was not taken";
  }
  disk.fail(kind, BOP_E_IO, nth);
  bool second_taken = false;
  {
    auto opened = Snapshots::open(disk, directory);
    failed = !opened;
    if (opened) {
      second_taken = take(*opened, 20).has_value();
      failed = !second_taken || !keep_only(*opened, 20);
    }
  }
  disk.heal();
  disk.power_loss();
  const auto left = Snapshots::open(disk, directory);
  if (!left) return "it does not open: " + left.error().to_string();
  if (!left->damaged().empty()) return "damaged: " + left->damaged().front().to_string();
  if (left->list().empty()) return "no snapshot is left";
  if (second_taken && left->list().back().index != 20) return "the second snapshot was lost";
  for (const Stored& each : left->list())
    if (const Status verified = left->verify(each); !verified)
      return "snapshot " + std::to_string(each.index) + ": " + verified.error().to_string();
  return {};
}

// Of all operations and `seeds` ways in which the power loss tears them.
inline std::string crash_everywhere(uint64_t seeds) {
  using enum sim::DiskOperation;
  for (const sim::DiskOperation kind : {write, sync, open, rename, remove, sync_directory})
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      bool failed = true;
      for (uint64_t nth = 1; failed; ++nth)
        if (const std::string wrong = crash_at(kind, nth, seed, failed); !wrong.empty())
          return "operation " + std::to_string(static_cast<int>(kind)) + ", number " +
                 std::to_string(nth) + ", seed " + std::to_string(seed) + ": " + wrong;
    }
  return {};
}

}  // namespace bop::snapshot::test

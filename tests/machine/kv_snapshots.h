// Takes snapshots of a kv, part by part, and restores them.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv_replica.h"
#include "machine/kv/store_memory.h"

namespace bop::machine::kv::test {

struct PartOf {
  std::string label, bytes;
  friend bool operator==(const PartOf&, const PartOf&) = default;
};

class Taking final : public SnapshotEvents {
 public:
  Taking(Replica& replica, uint64_t part_bytes) : replica_(replica) {
    const auto begun =
        replica.driver().begin_snapshot({.scratch = {}, .part_bytes = part_bytes}, *this);
    if (begun)
      handle = *begun;
    else
      error = begun.error();
  }

  // Asks for the next part, and runs the workers until it is there. False: there is no more.
  bool next() {
    if (ended || error) return false;
    replica_.driver().next_part(handle);
    replica_.finish();
    return !ended && !error;
  }
  bool all() {
    replica_.finish();
    while (next()) {
    }
    return ended;
  }
  void end() { replica_.driver().end_snapshot(handle); }

  void begun() override { has_begun = true; }
  void at_point(bop_position applied) override { point = applied; }
  void part(const bop_part& part) override {
    if (part.kind == BOP_PART_END) {
      ended = true;
      return;
    }
    parts.push_back({std::string(as_text({part.label.data, part.label.size})),
                     std::string(as_text({part.bytes.data, part.bytes.size}))});
  }
  void failed(const Error& why) override { error = why; }

  uint64_t handle = 0;
  bool has_begun = false;
  bool ended = false;
  bop_position point{0, 0};
  std::vector<PartOf> parts;
  std::optional<Error> error;

 private:
  Replica& replica_;
};

class Restoring final : public RestoreEvents {
 public:
  explicit Restoring(Replica& replica) : replica_(replica) {}

  // The first error, or that of the end.
  Status restore(const std::vector<PartOf>& parts, bop_position position,
                 const std::string& kind = "kv", uint32_t version = BOP_KV_VERSION) {
    BOP_TRY(begin(parts, kind, version));
    for (const PartOf& part : parts) BOP_TRY(take(part));
    return end(position);
  }
  Status begin(const std::vector<PartOf>& parts, const std::string& kind = "kv",
               uint32_t version = BOP_KV_VERSION) {
    RestoreOptions options;
    options.kind = kind;
    options.version = version;
    for (const PartOf& part : parts) options.bytes += part.bytes.size();
    BOP_TRY(replica_.driver().begin_restore(options, *this));
    return result();
  }
  // In pieces of at most `piece` bytes.
  Status take(const PartOf& part, size_t piece = SIZE_MAX) {
    for (size_t at = 0; at < part.bytes.size() || at == 0;) {
      const size_t bytes = std::min(piece, part.bytes.size() - at);
      bop_part given{};
      given.size = sizeof given;
      given.kind = BOP_PART_BYTES;
      given.label = as_c(part.label);
      given.bytes = {reinterpret_cast<const uint8_t*>(part.bytes.data()) + at, bytes};
      at += bytes;
      if (at < part.bytes.size()) given.flags = BOP_PART_MORE;
      replica_.driver().restore_part(given);
      BOP_TRY(result());
      if (bytes == 0) break;
    }
    return {};
  }
  Status take_file(const std::string& label, const std::string& path) {
    bop_part given{};
    given.size = sizeof given;
    given.kind = BOP_PART_FILE;
    given.label = as_c(label);
    given.path = path.c_str();
    replica_.driver().restore_part(given);
    return result();
  }
  Status end(bop_position position) {
    replica_.driver().finish_restore(position);
    return result();
  }

  void restored(const Status& status) override { result_ = status; }

 private:
  static bop_bytes as_c(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  Status result() {
    replica_.finish();
    EXPECT_TRUE(result_) << "the call did not complete";
    return *std::exchange(result_, std::nullopt);
  }

  Replica& replica_;
  std::optional<Status> result_;
};

}  // namespace bop::machine::kv::test

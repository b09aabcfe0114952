#include "node/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "base/logging.h"

namespace bop::node {

namespace {

// The number of a directory `prefix` + number; nothing: another name.
template <class Number>
std::optional<Number> number_after(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return {};
  name.remove_prefix(prefix.size());
  Number number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return {};
  return number;
}

std::string directory_of(uint32_t shard, GroupId group) {
  return fmt::format("shard{}/group-{}", shard, group);
}

Result<std::map<GroupId, uint32_t>> groups_of_directory(port::FileSystem& files) {
  std::map<GroupId, uint32_t> found;
  BOP_TRY_ASSIGN(const auto top, files.list_now("."));
  for (const std::string& shard_name : top) {
    const auto shard = number_after<uint32_t>("shard", shard_name);
    if (!shard) continue;
    BOP_TRY_ASSIGN(const auto names, files.list_now(shard_name));
    for (const std::string& name : names) {
      const auto group = number_after<GroupId>("group-", name);
      if (!group) continue;
      const auto [known, first] = found.emplace(*group, *shard);
      if (!first)
        return fail(BOP_E_DAMAGED,
                    fmt::format("{}: the group is also on shard {}",
                                files.describe(directory_of(*shard, *group)), known->second));
    }
  }
  return found;
}

}  // namespace

Status place_groups(port::FileSystem& files, uint32_t shards, std::vector<GroupSpec>& groups) {
  BOP_TRY_ASSIGN(const auto found, groups_of_directory(files));
  for (const auto& [id, shard] : found) {
    const auto spec = std::ranges::find(groups, id, &GroupSpec::id);
    const std::string where = files.describe(directory_of(shard, id));
    if (spec == groups.end())
      return fail(BOP_E_BAD_CONFIG, where + ": the configuration has no group with this id");
    if (shard >= shards)
      return fail(BOP_E_BAD_CONFIG,
                  fmt::format("{}: group {} is on shard {}, but the configuration has only {}",
                              where, spec->name, shard, shards));
    if (spec->shard == shard) continue;
    logging::warning("group {}: stays on shard {}; the configuration's shard {} is ignored",
                     spec->name, shard, spec->shard);
    spec->shard = shard;
  }
  return {};
}

}  // namespace bop::node

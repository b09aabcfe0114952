#include "node/open_log.h"

#include <algorithm>

#include "base/logging.h"
#include "node/directory.h"

namespace bop::node {

namespace {

log::Options log_options(const ShardOptions& options, const ShardPorts& ports) {
  log::Options out = options.log;
  const Identity identity{.cluster = options.cluster,
                          .node = options.self,
                          .incarnation = options.incarnation,
                          .bootstrap = {},
                          .formation = {},
                          .served = !options.fresh};
  out.log_id = log_id(identity, options.shard);
  out.write_ns = ports.log_write_ns;
  return out;
}

void log_recovery(uint32_t shard, const log::Recovery& recovery) {
  logging::info("shard {}: log epoch {}, {} frames, {} bytes", shard, recovery.epoch,
                recovery.frames, recovery.bytes);
  if (recovery.torn)
    logging::info("shard {}: cut an unacknowledged end at {} of {}", shard, recovery.cut.offset,
                  recovery.cut.file);
}

}  // namespace

Result<std::unique_ptr<log::Log>> open_log(const ShardOptions& options, const ShardPorts& ports) {
  const std::string directory = "shard" + std::to_string(options.shard);
  BOP_TRY(ports.files.make_directory_now(directory));
  // A shard without groups has acknowledged nothing: it may have been added to the configuration just now.
  const bool empty = std::ranges::none_of(
      options.groups, [&](const GroupSpec& group) { return group.shard == options.shard; });
  auto opened = log::Log::open(ports.files, directory, log_options(options, ports), ports.clock,
                               ports.timers, ports.post, options.fresh || empty);
  if (!opened && opened.error().code == BOP_E_NOT_FORMATTED)
    return fail(BOP_E_DAMAGED, opened.error().detail + ", although the directory has served");
  if (opened) log_recovery(options.shard, (*opened)->recovery());
  return opened;
}

}  // namespace bop::node

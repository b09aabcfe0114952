#include "log/closed_log.h"

#include <utility>

namespace bop::log {

void ClosedLog::read(GroupId, Index, size_t,
                     std::function<void(Result<std::vector<raft::Entry>>)> done) {
  post_.post([why = why_, done = std::move(done)] { done(std::unexpected(why)); });
}

Log::Capacity ClosedLog::capacity() const {
  return {.obstacle = why_.code,
          .full = true,
          .needed_bytes = 0,
          .max_bytes = 0,
          .detail = why_.detail};
}

}  // namespace bop::log

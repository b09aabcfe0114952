// A worker thread: jobs run in order, one at a time, and report their end to a loop.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "io/loop.h"
#include "port/post.h"

namespace bop::io {

// Starts one thread, whose name (at most 15 characters) top and perf show. The loop must outlive it.
// Errors: those of start_thread.
Result<std::unique_ptr<port::Worker>> make_worker(Loop& loop, const char* name);

}  // namespace bop::io

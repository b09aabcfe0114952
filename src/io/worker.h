// A worker thread: jobs run one after the other, in order, and their ends come back to a loop.
#pragma once

#include <functional>
#include <memory>

#include "io/loop.h"
#include "port/post.h"

namespace bop::io {

// One thread of its own, named `name` (at most 15 characters) for those who look with top or perf.
// The loop must outlive it.
std::unique_ptr<port::Worker> make_worker(Loop& loop, const char* name);

}  // namespace bop::io

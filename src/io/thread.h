// Starts bop's threads: each has a name and blocks the host program's signals.
#pragma once

#include <functional>
#include <thread>

namespace bop::io {

// `name`: at most 15 characters. The thread blocks every signal that a program could handle, so that the
// host program's handlers run on its own threads, and a write beyond RLIMIT_FSIZE fails with EFBIG
// instead of raising SIGXFSZ.
std::thread start_thread(const char* name, std::function<void()> run);

// Blocks SIGXFSZ alone in the calling thread: for a loop that runs on a thread of the host program.
void block_file_size_signal();

}  // namespace bop::io

// Starting threads the way all of bop's threads start: named, and deaf to the host's signals.
#pragma once

#include <functional>
#include <thread>

namespace bop::io {

// `name`: at most 15 characters. The thread blocks every signal that a program could handle, so that
// its host's handlers run on its host's threads, and a write over RLIMIT_FSIZE is an error (EFBIG)
// instead of SIGXFSZ.
std::thread start_thread(const char* name, std::function<void()> run);

// The same for the calling thread, SIGXFSZ alone: for a loop that runs on a thread of its host.
void block_file_size_signal();

}  // namespace bop::io

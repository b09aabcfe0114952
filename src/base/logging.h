// The process's diagnostic log (not the replicated log). The thread that logs a line only formats and
// queues it; a thread of spdlog writes it. A full queue drops its oldest line, so logging never blocks.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>

#include "base/result.h"

namespace bop::logging {

enum class Level { debug, info, warning, error, off };

struct Options {
  Level level = Level::info;
  bool json = false;           // each line is a JSON object; else "TIME LEVEL TEXT"
  const char* path = nullptr;  // nullptr: standard error
  // Used in place of both: receives each line on the thread that logs it. For the simulator.
  std::function<void(Level, std::string_view text)> sink = nullptr;
};

// Call it before the first line is logged: until then, lines of level warning and above go to standard
// error. IO: the path cannot be opened. INVALID_ARGUMENT: logging was started already.
Status start(const Options& options);
// Opens `path` (nullptr: standard error) and writes there from now on, for example after a rotation
// renamed the old file. IO: it cannot be opened, and lines still go to the old file. INVALID_ARGUMENT:
// logging was not started.
Status reopen(const char* path);
void set_level(Level level);
// Writes what is queued and returns to the state before start(). No other thread may log meanwhile.
void stop();

bool enabled(Level level);
const char* name_of(Level level);
void write(Level level, std::string_view text);

template <class... Args>
void line(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::warning, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::error, format, std::forward<Args>(args)...);
}

}  // namespace bop::logging

// What the program says about itself (the diagnostic log, not the replicated one). The loop's
// threads only format and enqueue; a thread of spdlog's writes, and under a flood the oldest lines
// give way, so saying a line never blocks.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>

#include "base/result.h"

namespace bop::logging {

enum class Level { debug, info, warning, error, off };

struct Options {
  Level level = Level::info;
  bool json = false;           // one JSON object a line, else a console line
  const char* path = nullptr;  // nullptr: standard error
  // In place of both: gets every line at once, on the thread that logs it. The simulator's.
  std::function<void(Level, std::string_view text)> sink = nullptr;
};

// Before the first line; without it lines of warning and above go to standard error. IO when the
// path cannot be opened, INVALID_ARGUMENT when it was started already.
Status start(const Options& options);
// Opens the file again, or another: after a rotation, the old one was renamed. nullptr: standard error. IO
// when it cannot be opened; lines then go on to where they went. INVALID_ARGUMENT before start().
Status reopen(const char* path);
void set_level(Level level);
// Writes what is queued, when the threads that say lines are gone; then all is as before start().
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

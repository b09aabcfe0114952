#include "base/logging.h"

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

namespace bop::logging {
namespace {

constexpr size_t queue_lines = 8192;  // a line more drops the oldest

// A file that can be reopened while other threads log.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // nullptr: standard error.
  Status open(const char* path) {
    if (path != nullptr) BOP_TRY(check_kind(path));
    File opened(path == nullptr ? stderr : std::fopen(path, "ae"));
    if (opened == nullptr) {
      return fail(BOP_E_IO, std::string(path) + ": cannot be opened: " + std::strerror(errno));
    }
    const std::lock_guard lock(mutex_);
    file_.swap(opened);
    return {};
  }

 private:
  // Opening a FIFO would block until somebody reads it.
  static Status check_kind(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code error;
    const char* kind = nullptr;
    switch (fs::status(path, error).type()) {
      case fs::file_type::directory: kind = "a directory"; break;
      case fs::file_type::block: kind = "a block device"; break;
      case fs::file_type::socket: kind = "a socket"; break;
      // The pipe behind /dev/stdout has no path, and its reader.
      case fs::file_type::fifo:
        kind = fs::exists(fs::canonical(path, error)) ? "a FIFO" : nullptr;
        break;
      default: break;
    }
    if (kind == nullptr) return {};
    return fail(BOP_E_IO, path + " is " + kind + ": must be a regular file or a character device");
  }

  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stderr) std::fclose(file);
    }
  };
  using File = std::unique_ptr<std::FILE, Close>;

  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::fwrite(line.data(), 1, line.size(), file_.get());
  }
  // On a full disk lines are lost; nothing else fails.
  void flush_() override {
    std::fflush(file_.get());
    std::clearerr(file_.get());
  }

  File file_;
};

struct Logger {
  std::shared_ptr<FileSink> file;
  std::shared_ptr<spdlog::details::thread_pool> writer;
  std::shared_ptr<spdlog::async_logger> logger;
  bool json = false;
  std::function<void(Level, std::string_view)> sink;  // in place of the logger
};

// Global, as standard error is: the process has one diagnostic log.
std::atomic<Logger*> active = nullptr;
std::atomic<Level> threshold = Level::warning;

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::off: break;
  }
  return spdlog::level::off;
}

// The length of the UTF-8 sequence at the front of `text` (RFC 3629 §4); 0: it is not valid.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) > 0x9f;
  const bool too_large = first == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_large ? 0 : length;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  // C1 controls, U+0080 to U+009F, control a terminal as those below U+0020 do.
  return first < 0x20 || first == 0x7f ||
         (first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0);
}

// Keeps a line one line of valid UTF-8, whatever bytes of a client or a file it quotes: control
// characters and invalid bytes are written as \n, \r, \t or \xHH. In JSON, json_string escapes the
// control characters instead.
std::string one_line(std::string_view text, bool json) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length > 0 && (json || !is_control(character))) {
      out += character;
    } else if (character == "\n") {
      out += "\\n";
    } else if (character == "\r") {
      out += "\\r";
    } else if (character == "\t") {
      out += "\\t";
    } else {
      for (const char c : character) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
      }
    }
  }
  return out;
}

// A line as a JSON string (RFC 8259 §7).
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::unique_ptr<spdlog::formatter> make_formatter(bool json) {
  // In JSON, %v is a quoted string already.
  const char* pattern = json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","text":%v})"
                             : "%Y-%m-%dT%H:%M:%S.%fZ %-7l %v";
  return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc);
}

void name_this_thread() {
#ifdef __linux__
  pthread_setname_np(pthread_self(), "bop-log");  // <thread> declares it
#endif
}

// A logger to a file or standard error; its lines are written by another thread.
Status start_writer(Logger& started, const Options& options) {
  try {
    started.file = std::make_shared<FileSink>();
    BOP_TRY(started.file->open(options.path));
    started.file->set_formatter(make_formatter(options.json));
    started.writer =
        std::make_shared<spdlog::details::thread_pool>(queue_lines, 1, name_this_thread);
    started.logger = std::make_shared<spdlog::async_logger>(
        "bop", started.file, started.writer, spdlog::async_overflow_policy::overrun_oldest);
    started.logger->set_level(to_spdlog(options.level));
    started.logger->flush_on(spdlog::level::debug);
  } catch (const spdlog::spdlog_ex& error) {
    return fail(BOP_E_IO, error.what());
  } catch (const std::system_error& error) {
    return fail(BOP_E_OVERLOADED,
                std::string("the thread that writes the log cannot be started: ") +
                    error.code().message() +
                    "; raise the limit of threads (ulimit -u) or of the address space (ulimit -v)");
  }
  return {};
}

}  // namespace

Status start(const Options& options) {
  if (active.load() != nullptr) return fail(BOP_E_INVALID_ARGUMENT, "logging is started already");
  auto started = std::make_unique<Logger>();
  started->sink = options.sink;
  if (!started->sink) BOP_TRY(start_writer(*started, options));
  started->json = options.json;
  threshold = options.level;
  active = started.release();
  return {};
}

Status reopen(const char* path) {
  const Logger* started = active.load();
  if (started == nullptr) return fail(BOP_E_INVALID_ARGUMENT, "logging is not started");
  return started->file ? started->file->open(path) : Status();  // a sink has no file
}

void set_level(Level level) {
  threshold = level;
  const Logger* started = active.load();
  if (started != nullptr && started->logger) started->logger->set_level(to_spdlog(level));
}

void stop() {
  const std::unique_ptr<Logger> stopped(active.exchange(nullptr));
  threshold = Level::warning;
  // Its members are destroyed in reverse order: the writer's destructor writes what is queued, before the
  // file is closed.
}

bool enabled(Level level) {
  return level >= threshold.load(std::memory_order_relaxed) && level != Level::off;
}

const char* name_of(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
    case Level::off: break;
  }
  return "off";
}

void write(Level level, std::string_view unescaped) {
  const Logger* to = active.load(std::memory_order_acquire);
  const std::string text = one_line(unescaped, to != nullptr && to->json);
  if (to == nullptr) {
    std::fprintf(stderr, "bop: %s: %.*s\n", name_of(level), static_cast<int>(text.size()),
                 text.data());
    return;
  }
  if (to->sink) return to->sink(level, text);
  if (to->json) {
    const std::string quoted = json_string(text);
    to->logger->log(to_spdlog(level), spdlog::string_view_t(quoted.data(), quoted.size()));
  } else {
    to->logger->log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
  }
}

}  // namespace bop::logging

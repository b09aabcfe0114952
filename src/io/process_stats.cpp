#include "io/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string>

namespace bop::io {

namespace {

// proc(5): the fields of /proc/self/stat after the program's name, which may contain spaces and ends at the
// last parenthesis. The first field after it is the state, field 3.
constexpr size_t first_field = 3;
constexpr size_t last_field = 24;

std::array<uint64_t, last_field + 1> read_stat() {
  std::array<uint64_t, last_field + 1> fields{};
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return fields;
  std::istringstream rest(text.substr(end + 1));
  std::string state;
  rest >> state;
  // Fields that may be negative (such as the priority) are not used.
  int64_t value = 0;
  for (size_t field = first_field + 1; field <= last_field && rest >> value; ++field)
    fields[field] = static_cast<uint64_t>(value);
  return fields;
}

double boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  return 0;
}

uint64_t count_fds() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = readdir(directory))
    if (entry->d_name[0] != '.') ++count;
  closedir(directory);
  return count - 1;  // without the descriptor of `directory` itself
}

}  // namespace

ProcessStats read_process_stats() {
  ProcessStats out;
  const auto stat = read_stat();
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  out.cpu_seconds = static_cast<double>(stat[14] + stat[15]) / ticks;
  out.threads = stat[20];
  static const double booted = boot_time();
  out.start_time_seconds = booted + static_cast<double>(stat[22]) / ticks;
  out.virtual_bytes = stat[23];
  out.resident_bytes = stat[24] * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  out.open_fds = count_fds();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = limit.rlim_cur;
  return out;
}

}  // namespace bop::io

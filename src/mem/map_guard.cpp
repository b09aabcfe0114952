#include "mem/map_guard.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#ifdef __linux__
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#endif

namespace bop::mem {

#ifdef __linux__

namespace {

constexpr uint64_t readable = UINT64_MAX;

// What the handler reads. `begin` is set last and cleared first.
struct Slot {
  std::atomic<uintptr_t> begin{0};  // address of the map; 0: no map
  std::atomic<size_t> bytes{0};
  std::atomic<uint64_t> unreadable{readable};  // offset of a page
};

std::mutex slots_mutex;  // of those who take and return slots; the handler takes no lock
std::array<Slot, MapGuard::max_guards> slots;
std::atomic<size_t> slots_used{0};  // no slot at or after this one was ever used
uintptr_t page_bytes = 0;
struct sigaction previous;

// In a signal handler: only system calls and atomics.
bool replace_page(uintptr_t address) {
  const size_t used = slots_used.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; ++i) {
    Slot& slot = slots[i];
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address - begin >= slot.bytes.load()) continue;
    const uintptr_t page = address & ~(page_bytes - 1);
    slot.unreadable.store(page - begin);
    return mmap(reinterpret_cast<void*>(page), page_bytes, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const bool replaced = replace_page(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = saved;
  if (replaced) return;
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    return previous.sa_handler(signal);
  // The access is repeated when the handler returns, and ends the process.
  ::signal(SIGBUS, SIG_DFL);
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = on_bus_error;
    // On the alternative stack where a thread has one, as runtimes such as Go's require.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
  });
}

// From the first page that is mapped from the file to the last: the kernel lists a map in several pieces when it was
// given different advice for them.
Bytes map_of(int file) {
  struct stat status;
  if (fstat(file, &status) != 0) return {};
  std::ifstream maps("/proc/self/maps");
  uintptr_t first = 0;
  uintptr_t last = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0, inode = 0;
    unsigned major = 0, minor = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %*s %x:%x %lu", &begin, &end, &major, &minor,
                    &inode) != 5)
      continue;
    if (inode != status.st_ino || makedev(major, minor) != status.st_dev) continue;
    if (first == 0) first = begin;
    last = end;
  }
  if (first == 0) return {};
  return {reinterpret_cast<const uint8_t*>(first), last - first};
}

size_t take_slot(Bytes map) {
  const std::lock_guard lock(slots_mutex);
  const auto free = std::ranges::find_if(slots, [](const Slot& slot) { return slot.begin == 0; });
  if (free == slots.end()) return MapGuard::max_guards;
  const auto index = static_cast<size_t>(free - slots.begin());
  free->unreadable = readable;
  free->bytes = map.size();
  free->begin.store(reinterpret_cast<uintptr_t>(map.data()), std::memory_order_release);
  slots_used = std::max(slots_used.load(), index + 1);
  return index;
}

}  // namespace

MapGuard::MapGuard(int file) : map_(map_of(file)), slot_(max_guards) {
  if (map_.empty()) return;
  install_handler();
  slot_ = take_slot(map_);
}

MapGuard::~MapGuard() {
  if (slot_ == max_guards) return;
  const std::lock_guard lock(slots_mutex);
  slots[slot_].begin = 0;
}

std::optional<uint64_t> MapGuard::unreadable() const {
  if (slot_ == max_guards) return {};
  const uint64_t offset = slots[slot_].unreadable;
  return offset == readable ? std::nullopt : std::optional(offset);
}

#else

MapGuard::MapGuard(int) : slot_(max_guards) {}
MapGuard::~MapGuard() = default;
std::optional<uint64_t> MapGuard::unreadable() const { return {}; }

#endif

}  // namespace bop::mem

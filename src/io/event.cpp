#include "io/event.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/assert.h"
#include "io/file/os_error.h"
#include "io/loop.h"

namespace bop::io {

Result<Event> Event::make() {
  Descriptor descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!descriptor) return os_failure(errno, "creation", "an event descriptor");
  return Event(std::move(descriptor));
}

void Event::set() const {
  // The counter cannot overflow in practice: clear() resets it, and callers do not set a set event often.
  const int written = eventfd_write(descriptor_.get(), 1);
  BOP_ASSERT(written == 0 || errno == EAGAIN);
}

void Event::clear() const {
  eventfd_t count;
  const int read = eventfd_read(descriptor_.get(), &count);
  BOP_ASSERT(read == 0 || errno == EAGAIN);
}

bool Event::wait(Duration limit) const {
  const Instant until = limit < 0 ? never : Loop::read_clock() + limit;
  for (;;) {
    int timeout = -1;
    if (until != never) {
      const Duration left = std::max<Duration>(until - Loop::read_clock(), 0);
      timeout =
          static_cast<int>(std::min<Duration>((left + milliseconds - 1) / milliseconds, INT_MAX));
    }
    pollfd descriptor{descriptor_.get(), POLLIN, 0};
    const int ready = poll(&descriptor, 1, timeout);
    if (ready > 0) return true;
    if (ready == 0 && until != never && Loop::read_clock() >= until) return false;
    BOP_ASSERT(ready >= 0 || errno == EINTR);
  }
}

}  // namespace bop::io

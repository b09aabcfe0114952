// Log lines that clients and peers can cause, with a rate limit (base/log_limit.h): a few at once, then one
// line with the number of the others. Used on the loop's thread.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/log_limit.h"
#include "base/logging.h"
#include "port/timer.h"

namespace bop::net {

class LogLines {
 public:
  // `subject` appears in the summary: "12 more lines about SUBJECT were not logged".
  LogLines(std::function<Instant()> now, port::Timers& timers, std::string subject)
      : now_(std::move(now)),
        subject_(std::move(subject)),
        timer_(timers.make_timer([this] { summarize(); })) {}

  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    const bool first_missed = !limit_.missed_any();
    if (limit_.admit(now_())) return logging::warning(format, std::forward<Args>(args)...);
    if (first_missed) timer_->arm(limit_.summary_due());
  }

 private:
  void summarize() {
    logging::warning("{} more lines about {} were not logged", limit_.take_missed(now_()),
                     subject_);
  }

  const std::function<Instant()> now_;
  const std::string subject_;
  LogLimit limit_;
  std::unique_ptr<port::Timer> timer_;
};

}  // namespace bop::net

// One client: a connection that keeps a fixed number of commands under way.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace bench {

using Clock = std::chrono::steady_clock;

class Connection {
 public:
  // Connects, blocking; throws std::system_error.
  Connection(const std::string& host, uint16_t port);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const { return descriptor_; }
  size_t under_way() const { return sent_.size(); }

  // A command to send with the next flush().
  void add(std::string_view command);
  // Writes the queued bytes, as many as the socket accepts. True: some are left, wait until it is writable.
  bool flush();
  // Reads what is there and calls `seen` with each reply's latency and error text ("" when it worked).
  void receive(const std::function<void(Clock::duration, std::string_view)>& seen);

 private:
  int descriptor_ = -1;
  std::string out_;
  size_t written_ = 0;
  std::string in_;
  std::deque<Clock::time_point> sent_;  // when each command under way was added, oldest first
};

}  // namespace bench

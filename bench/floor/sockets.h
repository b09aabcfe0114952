// Plain non-blocking TCP. What cannot go on ends the program: a floor has no error handling to measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench_floor {

[[noreturn]] void die(const std::string& what);  // with errno's text
[[noreturn]] void die_plainly(const std::string& what);

int listen_on(uint16_t port);   // 127.0.0.1
int accept_from(int listener);  // -1: none waits
int connect_to(uint16_t port);  // tries for some seconds

// An edge-triggered watch for input, and output when asked for.
void watch(int poll, int descriptor, uint64_t tag, bool output = false);

// A connection's unread bytes and unsent ones.
class Channel {
 public:
  explicit Channel(int socket) : socket_(socket), input_(1 << 16) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  // Reads what is there; false at the end of the stream.
  bool fill();
  const uint8_t* data() const { return input_.data() + begin_; }
  size_t available() const { return end_ - begin_; }
  void consume(size_t size) { begin_ += size; }
  // So that a message of that size fits.
  void want(size_t size);

  void append(const void* bytes, size_t size);
  // Sends what the socket takes.
  void flush();

  int socket() const { return socket_; }

 private:
  int socket_;
  std::vector<uint8_t> input_;
  size_t begin_ = 0, end_ = 0;
  std::vector<uint8_t> output_;
  size_t sent_ = 0;
};

}  // namespace bench_floor

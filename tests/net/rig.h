// Shared by the tests of this module: a loop, a plain blocking client and a handler that records.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/loop.h"
#include "net/acceptor.h"
#include "net/dialer.h"
#include "net/stream.h"

namespace bop::tests {

inline constexpr Duration long_enough = 60 * seconds;

// Records the bytes that it is shown, and does what the test tells it to.
class Recorder : public net::StreamHandler {
 public:
  net::Consumed on_bytes(const mem::Buffer& bytes) override {
    ++shows;
    if (when_bytes) return when_bytes(bytes);
    received += as_text(bytes.bytes());
    return {bytes.size()};
  }
  bool on_end() override {
    ++ends;
    return keep_at_end;
  }
  void on_closed(const Error& reason) override {
    EXPECT_FALSE(closed.has_value()) << "closed twice";
    closed = reason;
  }
  void on_drained() override { ++drained; }
  void on_stalled() override { ++stalled; }

  std::function<net::Consumed(const mem::Buffer&)> when_bytes;
  bool keep_at_end = false;
  std::string received;
  int shows = 0, ends = 0, drained = 0, stalled = 0;
  std::optional<Error> closed;
};

// A connection and its handler, destroyed in the right order.
struct Side {
  Recorder recorder;
  std::unique_ptr<net::Connection> connection;

  void start(std::unique_ptr<net::Connection> started) {
    connection = std::move(started);
    connection->start(recorder);
  }
};

inline net::ListenOptions on_free_port() {
  net::ListenOptions options;
  options.address = {.host = "127.0.0.1", .port = 0, .path = {}};
  return options;
}

// A client that uses the system's calls directly. It blocks, with a time limit; the loop runs on another
// thread, or `turn` runs it between the calls.
class PlainClient {
 public:
  explicit PlainClient(const net::Address& address);
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;
  ~PlainClient() { close(); }

  // Writes as much as the socket accepts at once.
  size_t send_some(std::string_view bytes);
  // Reads the bytes that are available; empty when there are none.
  std::string receive_some();
  bool ended() const { return ended_; }  // end of stream or reset was received
  bool reset() const { return reset_; }
  void end_sending();
  void close();
  void reset_connection();  // closes with RST

 private:
  int socket_ = -1;
  bool ended_ = false;
  bool reset_ = false;
};

}  // namespace bop::tests

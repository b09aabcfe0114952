// What a connection lives in, for tests: a model service, a post, and wires whose ends the test holds.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "model_service.h"
#include "serve/client_connections.h"
#include "serve/wire.h"

namespace bop::serve {

class TestWire final : public Wire {
 public:
  void append(const mem::Buffer& buffer) override { sent += as_text(buffer.bytes()); }
  size_t queued_bytes() const override { return reads ? 0 : sent.size(); }
  void hold(size_t input, size_t output) override {
    held_input = input;
    held_output = output;
  }
  void pause() override { paused = true; }
  void resume() override { paused = false; }
  void expect_progress(bool expected) override { expects_progress = expected; }
  void finish(const Error& error) override {
    finished = true;
    reason = error;
  }
  std::string_view peer() const override { return "127.0.0.1:50000"; }

  std::string take() { return std::exchange(sent, {}); }

  std::string sent;
  bool reads = true;  // the other side does
  size_t held_input = 0;
  size_t held_output = 0;
  bool paused = false;
  bool expects_progress = false;  // the test calls on_stalled()
  bool finished = false;
  Error reason;
};

struct Harness {
  explicit Harness(const Options& chosen = {}) : options(chosen) {
    options.version = "0.1.0";
    options.resp_port = 7101;
  }

  // Answers and ends turns until nothing is left to do.
  void settle() {
    for (bool busy = true; busy;) {
      busy = service.run();
      busy = post.run() || busy;
    }
  }

  // Until `time`, and what is due then.
  void advance(Instant time) {
    service.time = time;
    timers.run(time);
    settle();
  }

  ModelService service;
  ModelPost post;
  ModelTimers timers;
  metrics::Registry registry;
  ScanCursors cursors{7};
  Options options;
  ClientConnections connections{Shared{service, post, timers, registry, cursors, options}};
};

// A connection with a connection of the given kind.
template <class ConnectionKind>
class Client {
 public:
  explicit Client(Harness& harness)
      : harness_(harness),
        connection_(&harness.connections.add(std::make_unique<ConnectionKind>(
            harness.connections.next_id(), harness.connections, wire))) {}
  ~Client() { close(); }

  void send(std::string_view bytes) { connection_->on_bytes(mem::Buffer::copy(as_bytes(bytes))); }
  // What comes back, all of it.
  std::string talk(std::string_view bytes) {
    send(bytes);
    harness_.settle();
    return wire.take();
  }
  // The connection breaks; what waits goes on waiting.
  void drop() {
    if (connection_ != nullptr) connection_->on_closed();
    connection_ = nullptr;
  }
  void close() {
    drop();
    harness_.settle();
  }
  ClientConnection& connection() { return *connection_; }

  TestWire wire;

 private:
  Harness& harness_;
  ClientConnection* connection_;
};

}  // namespace bop::serve

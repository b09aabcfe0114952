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
  void pause() override { paused = true; }
  void resume() override { paused = false; }
  void finish(const Error& error) override {
    finished = true;
    reason = error;
  }
  std::string_view peer() const override { return "127.0.0.1:50000"; }

  std::string take() { return std::exchange(sent, {}); }

  std::string sent;
  bool reads = true;  // the other side does
  bool paused = false;
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

  ModelService service;
  ModelPost post;
  metrics::Registry registry;
  ScanCursors cursors{7};
  Options options;
  ClientConnections connections{Shared{service, post, registry, cursors, options}};
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

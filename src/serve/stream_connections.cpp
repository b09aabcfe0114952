#include "serve/stream_connections.h"

#include <algorithm>

namespace bop::serve {

class StreamConnections::StreamWire final : public Wire, public net::StreamHandler {
 public:
  StreamWire(StreamConnections& owner, std::unique_ptr<net::Connection> connection)
      : owner_(owner), connection_(std::move(connection)) {}
  ~StreamWire() override {
    if (client_ != nullptr) client_->on_closed();
  }

  void start(ClientConnection& client) {
    client_ = &client;
    connection_->start(*this);
  }

  // Wire
  void append(const mem::Buffer& buffer) override { connection_->append(buffer); }
  size_t queued_bytes() const override { return connection_->queued_bytes(); }
  void hold(size_t input_bytes, size_t output_bytes) override {
    connection_->hold(input_bytes, output_bytes);
  }
  void pause() override { connection_->pause(); }
  void resume() override { connection_->resume(); }
  void expect_progress(bool expected) override {
    connection_->expect_progress(expected ? stall_limit : 0);
  }
  void finish(const Error& reason) override { connection_->finish(reason); }
  std::string_view peer() const override { return connection_->peer(); }

  // net::StreamHandler
  net::Consumed on_bytes(const mem::Buffer& bytes) override {
    const size_t size = bytes.size();
    client_->on_bytes(bytes);
    return {.bytes = size, .wanted = 0};
  }
  bool on_end() override { return client_->on_end(); }
  void on_drained() override { client_->on_drained(); }
  void on_stalled() override { client_->on_stalled(); }
  void on_closed(const Error& reason) override {
    // It crossed a limit of its own.
    if (reason.code == BOP_E_OVERLOADED || reason.code == BOP_E_TOO_LARGE) {
      owner_.connections_.client_log().warning("{}: closed: {}", peer(), reason.to_string());
    }
    owner_.wires_.erase(this);
  }

 private:
  StreamConnections& owner_;
  std::unique_ptr<net::Connection> connection_;
  ClientConnection* client_ = nullptr;  // owned by ClientConnections until it is finished
};

StreamConnections::StreamConnections(ClientConnections& connections) : connections_(connections) {}

StreamConnections::~StreamConnections() = default;

bool StreamConnections::all_sent() const {
  return std::ranges::all_of(wires_,
                             [](const auto& entry) { return entry.second->queued_bytes() == 0; });
}

void StreamConnections::take(std::unique_ptr<net::Connection> connection,
                             const MakeConnection& make) {
  auto wire = std::make_unique<StreamWire>(*this, std::move(connection));
  StreamWire& kept = *wire;
  wires_.emplace(&kept, std::move(wire));
  kept.start(connections_.add(make(connections_.next_id(), connections_, kept)));
}

}  // namespace bop::serve

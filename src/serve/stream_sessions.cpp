#include "serve/stream_sessions.h"

namespace bop::serve {

class StreamSessions::StreamWire final : public Wire, public net::StreamHandler {
 public:
  StreamWire(StreamSessions& owner, std::unique_ptr<net::Connection> connection)
      : owner_(owner), connection_(std::move(connection)) {}
  ~StreamWire() override {
    if (session_ != nullptr) session_->on_closed();
  }

  void start(Session& session) {
    session_ = &session;
    connection_->start(*this);
  }

  // Wire
  void append(const mem::Buffer& buffer) override { connection_->append(buffer); }
  size_t queued_bytes() const override { return connection_->queued_bytes(); }
  void pause() override { connection_->pause(); }
  void resume() override { connection_->resume(); }
  void finish(const Error& reason) override { connection_->finish(reason); }
  std::string_view peer() const override { return connection_->peer(); }

  // net::StreamHandler
  net::Consumed on_bytes(const mem::Buffer& bytes) override {
    const size_t size = bytes.size();
    session_->on_bytes(bytes);
    return {.bytes = size, .wanted = 0};
  }
  bool on_end() override { return session_->on_end(); }
  void on_drained() override { session_->on_drained(); }
  void on_closed(const Error&) override { owner_.wires_.erase(this); }

 private:
  StreamSessions& owner_;
  std::unique_ptr<net::Connection> connection_;
  Session* session_ = nullptr;  // owned by Sessions until it is finished
};

StreamSessions::StreamSessions(Sessions& sessions) : sessions_(sessions) {}

StreamSessions::~StreamSessions() = default;

void StreamSessions::take(std::unique_ptr<net::Connection> connection, const MakeSession& make) {
  auto wire = std::make_unique<StreamWire>(*this, std::move(connection));
  StreamWire& kept = *wire;
  wires_.emplace(&kept, std::move(wire));
  kept.start(sessions_.add(make(sessions_.next_id(), sessions_, kept)));
}

}  // namespace bop::serve

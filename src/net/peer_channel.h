// One channel to one peer, at its caller or at its called: see the states in peer_transport.h.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/random.h"
#include "net/dialer.h"
#include "net/peer_transport.h"
#include "net/stream.h"
#include "port/timer.h"

namespace bop::net {

class PeerChannel final : public StreamHandler {
 public:
  // What a channel needs of the transport it belongs to.
  struct Owner {
    Streams& streams;
    const PeerOptions& options;
    PeerHandshake& handshake;
    Random& random;
    PeerTransport::Counters& counters;
    port::TransportReceiver*& receiver;
  };

  PeerChannel(const Owner& owner, const PeerAddress& peer, port::Channel channel);

  // Calls, if this node is the one to call.
  void start();
  // The peer called, and was found to be who it says.
  void take(std::unique_ptr<Connection> connection);
  bool send(std::span<const mem::Buffer> parts);
  // Closes it for a reason of this side's.
  void cut(const std::string& why);

  bool up() const { return state_ == State::up; }
  uint64_t queued_bytes() const { return up() ? connection_->queued_bytes() : 0; }
  Instant last_heard() const { return last_heard_; }

  Consumed on_bytes(const mem::Buffer& bytes) override;
  void on_closed(const Error& reason) override;

  static StreamLimits limits(const PeerOptions& options);

 private:
  enum class State : uint8_t { down, waiting, dialling, greeting, up };

  bool calls() const { return owner_.options.self < peer_.id; }
  uint64_t most_queued() const;
  io::Loop& loop() { return owner_.streams.loop(); }
  std::string name() const;

  void dial_peer();
  void on_dialled(Result<std::unique_ptr<Connection>> result);
  void on_time();
  void on_answer(const mem::Buffer& frame);
  void become_up();
  void lose(const Error& reason);
  void say_up();
  void say_lost(const Error& reason);
  void wait_to_retry();

  const Owner owner_;
  const PeerAddress peer_;
  const port::Channel channel_;
  State state_ = State::down;
  std::unique_ptr<Dial> dial_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<port::Timer> timer_;  // of the retry, or of the greeting
  Instant last_heard_ = 0;
  unsigned failures_ = 0;             // since it was up
  bop_status said_failure_ = BOP_OK;  // of those, what was logged last
};

}  // namespace bop::net

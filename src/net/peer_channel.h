// One channel to one peer, whichever side called: see the states in peer_transport.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
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
    // Whether the process behind a connection is the one that the peer's channels lead to; if so, its
    // introduction is passed on.
    std::function<Status(NodeId peer, const port::Introduction& of, const std::string& address)>
        admit;
    // Sends what is queued and closes the connection, while the channel goes on without it.
    std::function<void(std::unique_ptr<Connection> connection, const Error& reason)> dismiss;
  };

  PeerChannel(const Owner& owner, const PeerAddress& peer, port::Channel channel);

  void start();
  // The peer is said to be at `address`: tried when the configured address fails.
  void learn(const Address& address);
  // The peer called and proved who it is.
  void take(std::unique_ptr<Connection> connection);
  bool send(std::span<const mem::Buffer> parts);
  // Closes it for a reason of this side's.
  void cut(const std::string& why);
  // Cuts it when bytes are queued and none left for options.silence_limit.
  void check_progress();

  bool up() const { return state_ == State::up; }
  // This side called and has precedence: a call of the peer's that crosses it is refused, but not as long
  // as one that nobody answers would last.
  bool awaits_answer() const;
  uint64_t queued_bytes() const { return up() ? connection_->queued_bytes() : 0; }
  uint64_t delivered_bytes() const { return up() ? connection_->delivered_bytes() : 0; }
  Instant last_heard() const { return last_heard_; }

  Consumed on_bytes(const mem::Buffer& bytes) override;
  void on_closed(const Error& reason) override;

  static StreamLimits limits(const PeerOptions& options, port::Channel channel);

 private:
  enum class State : uint8_t { down, waiting, dialling, greeting, up };

  bool calls_first() const { return owner_.options.self < peer_.id; }
  uint64_t max_queued_bytes() const;
  io::Loop& loop() { return owner_.streams.loop(); }
  std::string name() const;

  void dial_configured();
  void dial_learned(const Error& configured_failure);
  void dial_peer();
  void on_dialled(Result<std::unique_ptr<Connection>> result);
  void on_time();
  void on_answer(const mem::Buffer& frame);
  void refuse(const Error& reason);
  void become_up(bool called);
  void lose(const Error& reason);
  bool failed_at_configured() const;
  void log_up();
  void log_moved();
  void log_lost(const Error& reason);
  void wait_to_retry();

  const Owner owner_;
  const PeerAddress peer_;  // as it is configured: the first choice
  const port::Channel channel_;
  State state_ = State::down;
  std::optional<Address> learned_;           // where the peer is, as far as nodes say
  Address dialled_;                          // where the attempt under way, or the last one, goes
  std::optional<Error> configured_failure_;  // of the attempt before, when this one goes elsewhere
  std::unique_ptr<Dial> dial_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<port::Timer> timer_;  // of the retry, or of the greeting
  Instant last_heard_ = 0;
  Instant greeting_since_ = 0;
  bool first_frame_ = false;  // of a connection that the peer made: it may still refuse this node
  uint64_t progress_bytes_ = 0;  // sent when progress was last seen
  Instant progress_at_ = 0;
  unsigned failures_ = 0;               // since it was up
  bop_status logged_failure_ = BOP_OK;  // of those, the last one that was logged
};

}  // namespace bop::net

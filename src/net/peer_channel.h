// One channel to one peer, whichever side connected. peer_transport.h explains the states.
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
    port::TransportReceiver*& receiver;
    // Checks that the process at the other end is the one that the peer's channels are connected to; if so,
    // its introduction is passed on.
    std::function<Status(NodeId peer, const port::Introduction& of, const std::string& address)>
        admit;
    // Sends the queued bytes and closes the connection, which no longer belongs to the channel.
    std::function<void(std::unique_ptr<Connection> connection, const Error& reason)> dismiss;
  };

  PeerChannel(const Owner& owner, PeerTransport::Counters& counters, const PeerAddress& peer,
              port::Channel channel);

  void start();
  // The peer reportedly is at `address`, which is tried when the configured address fails.
  void learn(const Address& address);
  // Takes a connection that the peer made, after its hello was accepted.
  void take(std::unique_ptr<Connection> connection);
  bool send(std::span<const mem::Buffer> parts);
  // Closes the connection, for a reason on this side.
  void cut(const std::string& why);
  // Cuts the connection when bytes are queued and none was sent for options.silence_limit.
  void check_progress();

  bool up() const { return state_ == State::up; }
  // This side connects first and waits for the answer to its hello: a hello of the peer that arrives
  // meanwhile is refused. Ends after half of connect_limit, in case no answer comes at all.
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
  PeerTransport::Counters& counters_;  // of the peer
  const PeerAddress peer_;             // as configured; this address is tried first
  const port::Channel channel_;
  State state_ = State::down;
  std::optional<Address> learned_;  // the peer's address, as nodes reported it
  Address dialled_;                 // address of the current or last attempt
  std::optional<Error>
      configured_failure_;  // of the attempt before, if dialled_ is a learned address
  std::unique_ptr<Dial> dial_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<port::Timer> timer_;  // for the next attempt, or the limit of the greeting
  Instant last_heard_ = 0;              // when bytes of the peer last arrived
  Instant greeting_since_ = 0;
  bool first_frame_ =
      false;  // the next frame is the first on a connection of the peer: see read_refusal
  uint64_t progress_bytes_ = 0;         // bytes that had been sent at progress_at_ ...
  Instant progress_at_ = 0;             // ... when progress was last seen
  unsigned failures_ = 0;               // since the channel was up
  bop_status logged_failure_ = BOP_OK;  // the failure since then that was logged last
};

}  // namespace bop::net

// Channel: one connection to one endpoint, from dialing to its end.
//
//   idle ──call──► dialing ──► greeting ──hello_ack──► ready
//     ▲               │            │                     │
//     └───────────────┴────────────┴──── closed ◄────────┘
//
// It sends what it is told to and says what came; what that means for a call is the Core's affair.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/transport.h"
#include "proto/client.h"

namespace bop::client {

class Channel;

class ChannelOwner {
 public:
  virtual ~ChannelOwner() = default;
  virtual void on_ready(Channel& channel) = 0;
  virtual void on_reply(Channel& channel, const proto::ClientReply& reply) = 0;
  // The connection is gone or was never made; the channel is idle again. Never from within a call of
  // the channel.
  virtual void on_lost(Channel& channel, const Error& reason) = 0;
};

// What all channels of a client share.
struct ChannelContext {
  Transport& transport;
  ChannelOwner& owner;
  proto::PartWriter& writer;
  proto::ClusterId cluster;
  std::string name;
  Duration patience;  // for a connection, a greeting, a sign of life; of a first attempt
};

class Channel final : public net::StreamHandler {
 public:
  Channel(ChannelContext& context, size_t endpoint, const net::Address& address);
  ~Channel() override;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  bool idle() const { return state_ == State::idle; }
  bool ready() const { return state_ == State::ready; }
  size_t endpoint() const { return endpoint_; }
  // The server stopped in order: what it had not answered when it closed, it did not execute.
  bool stopped_in_order() const { return goodbye_.code == BOP_E_STOPPED; }

  void call();                                     // when idle
  void send(const proto::ClientRequest& request);  // when ready
  // Gives up a server that says nothing although something is waited for, not even when it is asked.
  void check_silence(Instant now);

  // Correlations of calls that wait until it is ready.
  std::vector<uint64_t> queued;
  // Calls under way on it are the owner's to count.
  void began() {
    if (sent_++ == 0) waiting_since_ = now();
  }
  void ended() { --sent_; }
  size_t sent() const { return sent_; }

  // net::StreamHandler
  net::Consumed on_bytes(const mem::Buffer& bytes) override;
  void on_closed(const Error& reason) override;

 private:
  enum class State : uint8_t { idle, dialing, greeting, ready };

  Duration patience() const { return context_.patience << impatient_; }
  void connected(Result<std::unique_ptr<Link>> link);
  void lose(const Error& reason);
  Status take_frame(const mem::Buffer& frame);
  Status take_hello_ack(const proto::ClientHelloAck& ack);
  void write();
  Instant now() const { return context_.transport.now(); }

  ChannelContext& context_;
  const size_t endpoint_;
  const net::Address address_;
  State state_ = State::idle;
  size_t sent_ = 0;
  // Attempts in a row that ended because nothing was heard in time: each waits twice as long as the one before,
  // because the round trip may be longer than the first one's patience.
  unsigned impatient_ = 0;
  Instant called_at_ = 0;
  Instant heard_ = 0;          // when something last came
  Instant waiting_since_ = 0;  // when `sent` last rose from 0
  bool asked_ = false;         // whether it lives, since it was last heard
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<Link> dead_;  // until it is safe to destroy
  Error goodbye_{BOP_OK, {}};   // what the server said before it closed
};

}  // namespace bop::client

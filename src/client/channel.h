// Channel: one connection to one endpoint, from dialing to its end.
//
//   idle ──call──► dialing ──► greeting ──hello_ack──► ready
//     ▲               │            │                     │
//     └───────────────┴────────────┴──── closed ◄────────┘
//
// It sends requests and reports replies; the Core decides what they mean for a call.
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
  // The connection was lost or could not be made; the channel is idle again. Never called from within a
  // call of the channel.
  virtual void on_lost(Channel& channel, const Error& reason) = 0;
};

// Shared by all channels of a client.
struct ChannelContext {
  Transport& transport;
  ChannelOwner& owner;
  proto::PartWriter& writer;
  proto::ClusterId cluster;  // that servers must belong to; all zero: any
  std::string name;          // of the program, sent to servers
  Duration
      patience;  // of a first attempt: limit for connecting, for the greeting, and for the reply to a ping
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
  // The server stopped cleanly: it did not execute requests that it had not answered when it closed.
  bool stopped_in_order() const { return goodbye_.code == BOP_E_STOPPED; }

  void call();                                     // when idle
  void send(const proto::ClientRequest& request);  // when ready
  // Closes the connection when replies are expected, nothing was received for `patience`, and then not even
  // a ping is answered for as long again.
  void check_silence(Instant now);

  // Correlations of calls that wait until the channel is ready.
  std::vector<uint64_t> queued;
  // The owner calls these when a call is sent, and when it has ended.
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
  size_t sent_ = 0;  // calls without a reply
  // Consecutive attempts that ended because nothing was received in time: each waits twice as long as the one
  // before, because the round trip may be longer than the patience of a first attempt.
  unsigned impatient_ = 0;
  Instant called_at_ = 0;      // when the current attempt began
  Instant heard_ = 0;          // when bytes last arrived
  Instant waiting_since_ = 0;  // when sent_ last rose from 0
  bool asked_ = false;         // a ping was sent since bytes last arrived
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<Link> dead_;  // a closed link, until it is safe to destroy it
  Error goodbye_{BOP_OK, {}};   // the server's reason for closing; BOP_OK: it gave none
};

}  // namespace bop::client

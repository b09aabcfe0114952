// Transport: all that the client needs of the outside, a clock, timers and byte streams.
//
// NetTransport is the real one. A test brings its own and so runs the core without sockets and without
// waiting: the same calls and bytes always take the same course.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "base/time.h"
#include "mem/buffer.h"
#include "net/address.h"
#include "net/dialer.h"
#include "net/stream.h"
#include "port/timer.h"

namespace bop::client {

// One open connection. Destroying it closes it at once, and its handler is not called any more.
class Link {
 public:
  virtual ~Link() = default;
  // Once: begins to read. The handler outlives the link or its on_closed().
  virtual void start(net::StreamHandler& handler) = 0;
  // Sent at the end of the turn. Nothing happens on a closed link.
  virtual void append(const mem::Buffer& bytes) = 0;
  // The handler's on_closed() follows later, never from within this call.
  virtual void close(Error reason) = 0;
};

// Everything here belongs to one thread.
class Transport {
 public:
  using Dialed = std::function<void(Result<std::unique_ptr<Link>>)>;

  virtual ~Transport() = default;
  // Constant within a turn.
  virtual Instant now() const = 0;
  virtual std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) = 0;
  // Connects within `limit`; `done` is called once, later, and may destroy the Dial. See net::dial.
  virtual std::unique_ptr<net::Dial> dial(const net::Address& address, Duration limit,
                                          Dialed done) = 0;
};

// Over the sockets of one loop.
class NetTransport final : public Transport {
 public:
  explicit NetTransport(io::Loop& loop) : loop_(loop), streams_(loop) {}

  Instant now() const override;
  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override;
  std::unique_ptr<net::Dial> dial(const net::Address& address, Duration limit,
                                  Dialed done) override;

 private:
  io::Loop& loop_;
  net::Streams streams_;
};

}  // namespace bop::client

// Transport: the client's interface to clock, timers and byte streams.
//
// NetTransport implements it on sockets. A test brings its own, and so runs the core deterministically,
// without sockets and without waiting.
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

// One open connection. Destroying it closes it at once; its handler is not called any more.
class Link {
 public:
  virtual ~Link() = default;
  // Begins to read; call it once. The handler must live until on_closed() or the link's destruction.
  virtual void start(net::StreamHandler& handler) = 0;
  // Queues bytes, which are sent at the end of the turn. Does nothing on a closed link.
  virtual void append(const mem::Buffer& bytes) = 0;
  // The handler's on_closed() is called later, never from within this call.
  virtual void close(Error reason) = 0;
};

// Used on one thread.
class Transport {
 public:
  using Dialed = std::function<void(Result<std::unique_ptr<Link>>)>;

  virtual ~Transport() = default;
  // Constant within a turn.
  virtual Instant now() const = 0;
  virtual std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) = 0;
  // As net::dial.
  virtual std::unique_ptr<net::Dial> dial(const net::Address& address, Duration limit,
                                          Dialed done) = 0;
};

// On the sockets of one loop.
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

// Listens, and hands each connection to one of the loops in turn.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/stream.h"

namespace bop::net {

struct ListenOptions {
  Address address;
  StreamLimits limits;
  size_t max_connections = 10'000;  // of this acceptor, on all its loops
  size_t spare_descriptors = 32;    // of the process: kept for files, peers and other listeners
  size_t spare_part = 4;            // but at most one in so many of its descriptors
  std::string refusal;              // sent to those beyond either limit, before they are closed
  int backlog = 1024;
};

// Where accepted connections go: `on_connection` is called on the loop of `streams`.
struct AcceptTarget {
  Streams* streams;
  std::function<void(std::unique_ptr<Connection>)> on_connection;
  StreamBudget* budget = nullptr;  // of the target's loop
  // Called on that loop when a limit is reached: closes a connection that can be spared, so that another one takes its
  // place. False: there is none. Empty: connections beyond the limits are refused.
  std::function<bool()> spare_connection = {};
};

class Acceptor {
 public:
  // Listens on `loop`, which is that of one of the targets. ADDRESS_IN_USE, BAD_ADDRESS or IO, with
  // the address. A UNIX socket's file that nobody listens on any more is replaced.
  static Result<std::unique_ptr<Acceptor>> listen(io::Loop& loop, const ListenOptions& options,
                                                  std::vector<AcceptTarget> targets);
  virtual ~Acceptor() = default;  // stops listening; connections stay

  virtual const Address& address() const = 0;  // with the actual port
  virtual size_t connections() const = 0;      // open now
  // For connections that are accepted from now on. Thread of the loop that listens.
  virtual void set_limits(size_t max_connections, size_t max_output_bytes) = 0;
};

}  // namespace bop::net

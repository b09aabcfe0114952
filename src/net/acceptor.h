// Listens on an address and passes each accepted connection to one of several loops, in rotation.
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
  size_t max_connections = 10'000;  // of this acceptor, on all loops together
  // Descriptors of the process that are left for files, peers and other listeners: connections beyond
  // that are refused. At most a share of 1 / spare_part of all its descriptors.
  size_t spare_descriptors = 32;
  size_t spare_part = 4;
  std::string refusal;  // sent to a connection that is refused, before it is closed
  int backlog = 1024;   // of listen(2)
};

// Receives accepted connections: `on_connection` is called on the loop of `streams`.
struct AcceptTarget {
  Streams* streams;
  std::function<void(std::unique_ptr<Connection>)> on_connection;
  StreamBudget* budget = nullptr;  // shared by the connections of that loop; nullptr: none
  // Called on that loop when a limit is reached: closes a connection that can be spared, so that another one can
  // be accepted. False: there is none. Empty: connections beyond the limits are refused.
  std::function<bool()> spare_connection = {};
};

class Acceptor {
 public:
  // Listens on `loop`, which must be the loop of one of the targets. ADDRESS_IN_USE, BAD_ADDRESS or IO,
  // with the address. The file of a UNIX socket on which no process listens any more is replaced.
  static Result<std::unique_ptr<Acceptor>> listen(io::Loop& loop, const ListenOptions& options,
                                                  std::vector<AcceptTarget> targets);
  virtual ~Acceptor() = default;  // stops listening; accepted connections stay open

  virtual const Address& address() const = 0;  // with the actual port
  virtual size_t connections() const = 0;      // accepted and still open
  // Applies to connections that are accepted from now on. Thread of the loop that listens.
  virtual void set_limits(size_t max_connections, size_t max_output_bytes) = 0;
};

}  // namespace bop::net

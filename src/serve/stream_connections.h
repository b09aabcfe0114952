// Joins each client socket of `net` to its ClientConnection, for one shard.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "net/stream.h"
#include "serve/client_connections.h"
#include "serve/wire.h"

namespace bop::serve {

class StreamConnections {
 public:
  // Makes the protocol side of an accepted socket.
  using MakeConnection =
      std::function<std::unique_ptr<ClientConnection>(uint64_t id, ClientConnections&, Wire&)>;

  explicit StreamConnections(ClientConnections& connections);
  ~StreamConnections();  // closes all connections

  void take(std::unique_ptr<net::Connection> connection, const MakeConnection& make);
  // Whether all replies were given to the operating system.
  bool all_sent() const;

 private:
  class StreamWire;

  ClientConnections& connections_;
  std::map<StreamWire*, std::unique_ptr<StreamWire>> wires_;
};

}  // namespace bop::serve

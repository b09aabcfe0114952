// The connections of one shard: each joins a socket of net to a session.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "net/stream.h"
#include "serve/sessions.h"
#include "serve/wire.h"

namespace bop::serve {

class StreamSessions {
 public:
  // Makes the session of a new connection.
  using MakeSession = std::function<std::unique_ptr<Session>(uint64_t id, Sessions&, Wire&)>;

  explicit StreamSessions(Sessions& sessions);
  ~StreamSessions();  // closes all connections

  void take(std::unique_ptr<net::Connection> connection, const MakeSession& make);

 private:
  class StreamWire;

  Sessions& sessions_;
  std::map<StreamWire*, std::unique_ptr<StreamWire>> wires_;
};

}  // namespace bop::serve

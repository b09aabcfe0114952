// Calls an address.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/address.h"
#include "net/stream.h"

namespace bop::net {

// A call under way; destroying it gives it up.
class Dial {
 public:
  virtual ~Dial() = default;
};

// Connects within `limit`. `done` is called once, later, on the loop's thread, with the connection or
// CONNECTION_REFUSED, TIMEOUT, BAD_ADDRESS (no such name) or IO, each naming the address. It may
// destroy the Dial.
std::unique_ptr<Dial> dial(Streams& streams, const Address& address, const StreamLimits& limits,
                           Duration limit,
                           std::function<void(Result<std::unique_ptr<Connection>>)> done);

}  // namespace bop::net

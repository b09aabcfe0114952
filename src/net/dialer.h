// Connects to an address.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/address.h"
#include "net/stream.h"

namespace bop::net {

// A connection attempt in progress; destroying it cancels it.
class Dial {
 public:
  virtual ~Dial() = default;
};

// Connects within `limit`. `done` is called once, never from within, on the loop's thread, with the
// connection or an error that names the address: CONNECTION_REFUSED, TIMEOUT, BAD_ADDRESS (unknown host)
// or IO. It may destroy the Dial.
std::unique_ptr<Dial> dial(Streams& streams, const Address& address, const StreamLimits& limits,
                           Duration limit,
                           std::function<void(Result<std::unique_ptr<Connection>>)> done);

}  // namespace bop::net

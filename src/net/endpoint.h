// From addresses to what sockets take.
#pragma once

#include <optional>

#include "net/address.h"
#include "net/socket.h"

namespace bop::net {

// Of a numeric address, "localhost" (127.0.0.1) or a UNIX socket; nothing for a name that has to be
// looked up.
std::optional<Endpoint> numeric_endpoint(const Address& address);

// The address that an endpoint is.
Address address_of(const Endpoint& endpoint);

}  // namespace bop::net

// Conversion between addresses and the endpoints of sockets.
#pragma once

#include <optional>

#include "net/address.h"
#include "net/socket.h"

namespace bop::net {

// The endpoint of a numeric address, of "localhost" (127.0.0.1) or of a UNIX socket; nullopt for a name
// that has to be resolved.
std::optional<Endpoint> numeric_endpoint(const Address& address);

// The address of an endpoint.
Address address_of(const Endpoint& endpoint);

}  // namespace bop::net

#include "net/endpoint.h"

#include <netdb.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstring>

namespace bop::net {

namespace asio = boost::asio;

std::optional<Endpoint> numeric_endpoint(const Address& address) {
  if (address.is_unix()) return Endpoint(asio::local::stream_protocol::endpoint(address.path));
  boost::system::error_code error;
  const auto ip =
      asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error) return std::nullopt;
  return Endpoint(asio::ip::tcp::endpoint(ip, address.port));
}

Status check_host(const Address& address) {
  if (numeric_endpoint(address)) return {};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(address.host.c_str(), nullptr, &hints, &found);
  if (error == 0) {
    freeaddrinfo(found);
    return {};
  }
  return fail(BOP_E_BAD_ADDRESS, "unknown host \"" + address.host + "\": " + gai_strerror(error));
}

Address address_of(const Endpoint& endpoint) {
  if (endpoint.protocol().family() == AF_UNIX) {
    asio::local::stream_protocol::endpoint local;
    local.resize(endpoint.size());
    std::memcpy(local.data(), endpoint.data(), endpoint.size());
    return {.host = {}, .port = 0, .path = local.path()};
  }
  asio::ip::tcp::endpoint tcp;
  if (endpoint.size() > tcp.capacity()) return {};
  std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
  return {.host = tcp.address().to_string(), .port = tcp.port(), .path = {}};
}

}  // namespace bop::net

#include "net/path.h"

// Not with netinet/tcp.h, whose tcp_info is older.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace bop::net {

std::optional<Path> path_of(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  constexpr socklen_t needed = offsetof(tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt;
  if (size < needed || info.tcpi_rtt == 0) return std::nullopt;
  return Path{.round_trip = info.tcpi_rtt * microseconds,
              .shortest = info.tcpi_min_rtt * microseconds};
}

}  // namespace bop::net

#include "net/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace bop::net {

using boost::system::error_code;

namespace {

// Detects a dead peer within about a minute. Protocols that need to know earlier send heartbeats.
constexpr int keepalive_idle_s = 30;
constexpr int keepalive_interval_s = 10;
constexpr int keepalive_probes = 3;

void set(Socket& socket, int level, int name, int value) {
  // These cannot fail on a connected TCP socket; if one did, the connection would still work.
  (void)setsockopt(socket.native_handle(), level, name, &value, sizeof value);
}

bool is_tcp(int family) { return family == AF_INET || family == AF_INET6; }

}  // namespace

// The timeouts: without it, each further loss in a row doubles the wait, and a few lost heartbeats on a busy link look
// like a dead node. The class of service: AF21, low-latency data (RFC 4594), as ssh has it.
void set_urgent(Socket& socket) {
  constexpr int af21 = 0x48;
  constexpr int interactive = 6;  // TC_PRIO_INTERACTIVE; after the class, which sets a priority too
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return;
  if (!is_tcp(family)) return;
  set(socket, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1);
  if (family == AF_INET)
    set(socket, IPPROTO_IP, IP_TOS, af21);
  else
    set(socket, IPPROTO_IPV6, IPV6_TCLASS, af21);
  set(socket, SOL_SOCKET, SO_PRIORITY, interactive);
}

uint64_t unacknowledged_bytes(const Socket& socket) {
  int bytes = 0;
  return ioctl(const_cast<Socket&>(socket).native_handle(), SIOCOUTQ, &bytes) == 0
             ? static_cast<uint64_t>(bytes)
             : 0;
}

void set_unacknowledged_limit(Socket& socket, Duration limit) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return;
  if (is_tcp(family))
    set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(limit / milliseconds));
}

error_code assign(Socket& socket, int native) {
  int family = 0;
  socklen_t size = sizeof family;
  error_code error;
  if (getsockopt(native, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
    error.assign(errno, boost::system::system_category());
  } else {
    socket.assign(boost::asio::generic::stream_protocol(family, 0), native, error);
  }
  if (error) {
    ::close(native);
    return error;
  }
  socket.non_blocking(true, error);
  if (is_tcp(family)) {
    set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(socket, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s);
    set(socket, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_s);
    set(socket, IPPROTO_TCP, TCP_KEEPCNT, keepalive_probes);
  }
  return error;
}

}  // namespace bop::net

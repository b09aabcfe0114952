#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace bop::tests {

namespace {

int connect_to(const net::Address& address) {
  const int socket = ::socket(address.is_unix() ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_GE(socket, 0);
  int result = -1;
  if (address.is_unix()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, address.path.c_str(), sizeof name.sun_path - 1);
    result = connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &name.sin_addr);
    result = connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  EXPECT_EQ(result, 0) << std::strerror(errno);
  return socket;
}

}  // namespace

PlainClient::PlainClient(const net::Address& address) : socket_(connect_to(address)) {}

size_t PlainClient::send_some(std::string_view bytes) {
  const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) ended_ = reset_ = true;
  return sent < 0 ? 0 : static_cast<size_t>(sent);
}

std::string PlainClient::receive_some() {
  char bytes[65536];
  const ssize_t got = recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got == 0) ended_ = true;
  if (got < 0 && errno != EAGAIN) ended_ = reset_ = true;
  return std::string(bytes, got > 0 ? static_cast<size_t>(got) : 0);
}

void PlainClient::end_sending() { shutdown(socket_, SHUT_WR); }

void PlainClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void PlainClient::reset_connection() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

}  // namespace bop::tests

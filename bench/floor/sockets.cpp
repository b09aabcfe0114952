#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace bench_floor {

void die(const std::string& what) { die_plainly(what + ": " + std::strerror(errno)); }

void die_plainly(const std::string& what) {
  std::fprintf(stderr, "bop-floor: %s\n", what.c_str());
  std::exit(1);
}

namespace {

sockaddr_in local(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int new_socket() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) die("socket");
  return socket;
}

void set_no_delay(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

int listen_on(uint16_t port) {
  const int socket = new_socket();
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = local(port);
  if (bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (listen(socket, 1024) != 0) die("listen");
  return socket;
}

int accept_from(int listener) {
  const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket >= 0) set_no_delay(socket);
  return socket;
}

int connect_to(uint16_t port) {
  const sockaddr_in address = local(port);
  for (int tries = 0; tries < 1000; ++tries) {
    const int socket = new_socket();
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      set_no_delay(socket);
      return socket;
    }
    ::close(socket);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  die("connect to port " + std::to_string(port));
}

void watch(int poll, int descriptor, uint64_t tag, bool output) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET | (output ? uint32_t{EPOLLOUT} : 0);
  event.data.u64 = tag;
  if (epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) != 0) die("epoll_ctl");
}

Channel::~Channel() { ::close(socket_); }

void Channel::want(size_t size) {
  if (input_.size() - begin_ >= size) return;
  std::memmove(input_.data(), input_.data() + begin_, available());
  end_ -= begin_;
  begin_ = 0;
  if (input_.size() < size) input_.resize(size);
}

bool Channel::fill() {
  while (true) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == input_.size()) want(available() + (size_t{1} << 16));
    const size_t space = input_.size() - end_;
    const ssize_t got = recv(socket_, input_.data() + end_, space, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    end_ += static_cast<size_t>(got);
    // Edge-triggered, but a short read has emptied the socket: the next bytes are the next edge.
    if (static_cast<size_t>(got) < space) return true;
  }
}

void Channel::append(const void* bytes, size_t size) {
  const auto* first = static_cast<const uint8_t*>(bytes);
  output_.insert(output_.end(), first, first + size);
}

void Channel::flush() {
  while (sent_ < output_.size()) {
    const ssize_t sent =
        send(socket_, output_.data() + sent_, output_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) return;
      break;  // the other side is gone; fill() will say so
    }
    sent_ += static_cast<size_t>(sent);
  }
  output_.clear();
  sent_ = 0;
}

}  // namespace bench_floor

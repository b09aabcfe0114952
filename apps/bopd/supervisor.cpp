#include "supervisor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

Supervisor::Supervisor() {
  const char* const name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || (*name != '/' && *name != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(name);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, name, length);
  if (*name == '@') address.sun_path[0] = '\0';  // of the abstract namespace
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), size) == 0) return;
  close(socket_);
  socket_ = -1;
}

Supervisor::~Supervisor() {
  if (socket_ >= 0) close(socket_);
}

void Supervisor::ready() const { send("READY=1"); }

void Supervisor::reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long now_us = now.tv_sec * 1000000ll + now.tv_nsec / 1000;
  send(("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us)).c_str());
}

void Supervisor::stopping() const { send("STOPPING=1"); }

void Supervisor::send(const char* state) const {
  if (socket_ >= 0) (void)::send(socket_, state, std::strlen(state), MSG_NOSIGNAL);
}

#include "connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "replies.h"

namespace bench {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Connection::Connection(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("not an IPv4 address: " + host);
  }
  descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) fail("socket");
  if (connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    const int reason = errno;
    close(descriptor_);
    errno = reason;
    fail("connect");
  }
  const int on = 1;
  setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(descriptor_, F_SETFL, O_NONBLOCK);
}

Connection::~Connection() { close(descriptor_); }

void Connection::add(std::string_view command) {
  out_ += command;
  sent_.push_back(Clock::now());
}

bool Connection::flush() {
  while (written_ < out_.size()) {
    const ssize_t count =
        send(descriptor_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (count < 0) fail("send");
    written_ += static_cast<size_t>(count);
  }
  out_.clear();
  written_ = 0;
  return false;
}

void Connection::receive(const std::function<void(Clock::duration, std::string_view)>& seen) {
  char buffer[64 << 10];
  const ssize_t count = recv(descriptor_, buffer, sizeof buffer, 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (count < 0) fail("recv");
  if (count == 0) throw std::runtime_error("the server closed the connection");
  in_.append(buffer, static_cast<size_t>(count));

  const Clock::time_point now = Clock::now();
  size_t done = 0;
  while (done < in_.size()) {
    const Cut cut = cut_reply(std::string_view(in_).substr(done));
    if (cut.reply == Reply::incomplete) break;
    if (cut.reply == Reply::malformed || sent_.empty()) {
      throw std::runtime_error("not a reply that was asked for: " + std::string(cut.text));
    }
    const Clock::duration latency = now - sent_.front();
    sent_.pop_front();
    done += cut.bytes;
    seen(latency, cut.text);
  }
  in_.erase(0, done);
}

}  // namespace bench

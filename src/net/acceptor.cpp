#include "net/acceptor.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/error.hpp>
#include <utility>

#include "base/assert.h"
#include "net/endpoint.h"
#include "net/log_lines.h"
#include "net/stream_count.h"
#include "port/timer.h"

namespace bop::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using ListenSocket = asio::basic_socket_acceptor<asio::generic::stream_protocol, Executor>;

// Accepted in one turn, so that a storm of connections does not starve those that exist.
constexpr int most_accepts_a_turn = 64;
// Without a free descriptor the listener stays readable: retrying at once would spin.
constexpr Duration pause_after_failure = 100 * milliseconds;

Error listen_error(const Address& address, const error_code& error) {
  const bool in_use = error == asio::error::address_in_use;
  return {in_use ? BOP_E_ADDRESS_IN_USE : BOP_E_IO,
          in_use ? address.to_string() + " is listened on by another process"
                 : "listening on " + address.to_string() + ": " + error.message()};
}

class SocketAcceptor final : public Acceptor {
 public:
  SocketAcceptor(io::Loop& loop, ListenSocket socket, const ListenOptions& options, Address address,
                 std::vector<AcceptTarget> targets)
      : loop_(loop),
        socket_(std::move(socket)),
        options_(options),
        address_(std::move(address)),
        targets_(std::move(targets)),
        log_([&loop] { return loop.now(); }, loop, "connections to " + address_.to_string()),
        retry_(loop.make_timer([this] { accept_all(); })) {
    wait();
  }
  ~SocketAcceptor() override {
    *alive_ = false;
    error_code ignored;
    socket_.close(ignored);
    if (address_.is_unix()) unlink(address_.path.c_str());
  }

  const Address& address() const override { return address_; }
  size_t connections() const override { return count_->value(); }

 private:
  void wait() {
    socket_.async_wait(ListenSocket::wait_read, [this, alive = alive_](const error_code& error) {
      if (*alive && !error) accept_all();
    });
  }

  void accept_all() {
    for (int i = 0; i < most_accepts_a_turn; ++i) {
      Socket accepted(loop_.context().get_executor());
      error_code error;
      socket_.accept(accepted, error);
      if (error == asio::error::would_block) break;
      if (error == asio::error::connection_aborted) continue;
      if (error) {
        log_.warning("accepting on {}: {}; trying again in {} ms", address_.to_string(),
                     error.message(), pause_after_failure / milliseconds);
        retry_->arm(loop_.now() + pause_after_failure);
        return;
      }
      take(std::move(accepted));
    }
    wait();
  }

  void take(Socket accepted) {
    error_code error;
    if (!leaves_spare(accepted.native_handle())) {
      refuse(std::move(accepted), "the process has few descriptors left");
      return;
    }
    if (!count_->enter(options_.max_connections)) {
      refuse(std::move(accepted),
             "there are " + std::to_string(options_.max_connections) + ", which is the limit");
      return;
    }
    const int native = accepted.release(error);
    BOP_ASSERT(!error);
    AcceptTarget& target = targets_[next_target_++ % targets_.size()];
    if (&target.streams->loop() == &loop_) {
      hand_over(target, native, options_.limits, count_);
    } else {
      // The loop may end before the task runs: then its socket is closed with it.
      target.streams->loop().post(
          [target, native = std::make_shared<NativeSocket>(native), limits = options_.limits,
           count = count_] { hand_over(target, native->take(), limits, count); });
    }
  }

  void refuse(Socket accepted, const std::string& reason) {
    error_code ignored;
    accepted.non_blocking(true, ignored);
    accepted.write_some(asio::buffer(options_.refusal), ignored);
    // Closing with unread input would reset the connection, and the client would lose the refusal.
    std::array<char, 4096> said;
    accepted.read_some(asio::buffer(said), ignored);
    log_.warning("{}: a connection is refused: {}", address_.to_string(), reason);
  }

  // The system hands out the lowest free descriptor, so a high one is among the last.
  bool leaves_spare(int native) const {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
    const rlim_t spare =
        std::min<rlim_t>(options_.spare_descriptors, limit.rlim_cur / options_.spare_part);
    return static_cast<rlim_t>(native) + spare < limit.rlim_cur;
  }

  static void hand_over(const AcceptTarget& target, int native, StreamLimits limits,
                        const std::shared_ptr<StreamCount>& count) {
    limits.budget = target.budget;
    auto connection = target.streams->adopt(native, limits, count);
    if (connection) target.on_connection(std::move(*connection));
  }

  struct NativeSocket {
    explicit NativeSocket(int native) : native(native) {}
    ~NativeSocket() {
      if (native >= 0) ::close(native);
    }
    int take() { return std::exchange(native, -1); }
    int native;
  };

  io::Loop& loop_;
  ListenSocket socket_;
  const ListenOptions options_;
  const Address address_;
  std::vector<AcceptTarget> targets_;
  size_t next_target_ = 0;
  LogLines log_;
  std::unique_ptr<port::Timer> retry_;
  const std::shared_ptr<StreamCount> count_ = std::make_shared<StreamCount>();
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The file of a UNIX socket whose listener is gone keeps its name from being bound again.
void remove_stale(const Endpoint& endpoint, const Address& address) {
  asio::io_context context;
  Socket probe(context.get_executor());
  error_code error;
  probe.connect(endpoint, error);
  if (error == asio::error::connection_refused) unlink(address.path.c_str());
}

error_code open_listener(ListenSocket& socket, const Endpoint& endpoint, int backlog) {
  error_code error;
  socket.open(endpoint.protocol(), error);
  // A port in TIME_WAIT is free; one with a listener is not.
  const bool tcp = endpoint.protocol().family() != AF_UNIX;
  if (!error && tcp) socket.set_option(ListenSocket::reuse_address(true), error);
  if (!error) socket.bind(endpoint, error);
  if (!error) socket.listen(backlog, error);
  if (!error) socket.non_blocking(true, error);
  return error;
}

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::listen(io::Loop& loop, const ListenOptions& options,
                                                   std::vector<AcceptTarget> targets) {
  BOP_ASSERT(!targets.empty());
  const auto endpoint = numeric_endpoint(options.address);
  if (!endpoint) {
    return fail(BOP_E_BAD_ADDRESS,
                options.address.to_string() + ": to listen, the address has to be numeric");
  }
  if (options.address.is_unix()) remove_stale(*endpoint, options.address);
  ListenSocket socket(loop.context().get_executor());
  error_code error = open_listener(socket, *endpoint, options.backlog);
  if (error) return std::unexpected(listen_error(options.address, error));
  Address had = options.address;
  if (!had.is_unix()) had.port = address_of(socket.local_endpoint(error)).port;
  return std::unique_ptr<Acceptor>(std::make_unique<SocketAcceptor>(
      loop, std::move(socket), options, std::move(had), std::move(targets)));
}

}  // namespace bop::net

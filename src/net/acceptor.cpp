#include "net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/error.hpp>
#include <deque>
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

// A limit for one turn, so that many new connections do not starve the existing ones.
constexpr int most_accepts_a_turn = 64;
// How long another loop may take to take over a connection.
constexpr Duration handover_patience = 1 * seconds;
// When no descriptor is free, the listener stays readable: retrying at once would be a busy loop.
constexpr Duration pause_after_failure = 100 * milliseconds;

Error listen_error(const Address& address, const error_code& error) {
  const bool in_use = error == asio::error::address_in_use;
  return {in_use ? BOP_E_ADDRESS_IN_USE : BOP_E_IO,
          in_use ? address.to_string() + " is in use by another process"
                 : "listening on " + address.to_string() + ": " + error.message()};
}

// A socket that belongs to no loop.
class NativeSocket {
 public:
  explicit NativeSocket(int native) : native_(native) {}
  NativeSocket(const NativeSocket&) = delete;
  NativeSocket& operator=(const NativeSocket&) = delete;
  ~NativeSocket() {
    if (native_ >= 0) ::close(native_);
  }

  int get() const { return native_; }
  int take() { return std::exchange(native_, -1); }
  // Moves the socket to the lowest free descriptor.
  void move() {
    const int lower = fcntl(native_, F_DUPFD_CLOEXEC, 0);
    if (lower >= 0) ::close(std::exchange(native_, lower));
  }
  // Sends as much of the reply as fits in the socket's buffer.
  void refuse(std::string_view reply) const {
    [[maybe_unused]] const ssize_t sent =
        ::send(native_, reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // Closing with unread input would reset the connection, and the client would lose the refusal.
    std::array<char, 4096> discarded;
    [[maybe_unused]] const ssize_t received =
        ::recv(native_, discarded.data(), discarded.size(), MSG_DONTWAIT);
  }

 private:
  int native_;
};

class SocketAcceptor final : public Acceptor {
 public:
  SocketAcceptor(io::Loop& loop, ListenSocket socket, const ListenOptions& options, Address address,
                 std::vector<AcceptTarget> targets)
      : loop_(loop),
        socket_(std::move(socket)),
        address_(std::move(address)),
        log_([&loop] { return loop.now(); }, loop, "connections to " + address_.to_string()),
        retry_(loop.make_timer([this] { accept_all(); })),
        overdue_(loop.make_timer([this] { take_back_overdue(); })),
        shared_(std::make_shared<Shared>(options, std::move(targets))) {
    wait();
  }
  ~SocketAcceptor() override {
    *alive_ = false;
    error_code ignored;
    socket_.close(ignored);
    if (address_.is_unix()) unlink(address_.path.c_str());
  }

  const Address& address() const override { return address_; }
  size_t connections() const override { return shared_->count->value(); }
  void set_limits(size_t max_connections, size_t max_output_bytes) override {
    shared_->max_connections = max_connections;
    shared_->max_output_bytes = max_output_bytes;
  }

 private:
  // Used on the loops of the targets too, also after the acceptor was destroyed.
  struct Shared {
    Shared(const ListenOptions& given, std::vector<AcceptTarget> loops)
        : options(given),
          targets(std::move(loops)),
          max_connections(given.max_connections),
          max_output_bytes(given.limits.max_output_bytes),
          late(targets.size()) {}
    const ListenOptions options;
    const std::vector<AcceptTarget> targets;
    std::atomic<size_t> max_connections;  // the latest values of set_limits()
    std::atomic<size_t> max_output_bytes;
    // By target: it did not take a connection in time, and has not run since.
    std::vector<std::atomic<bool>> late;
    const std::shared_ptr<StreamCount> count = std::make_shared<StreamCount>();
  };
  using Taken = std::shared_ptr<NativeSocket>;
  // A task for another loop, run by whoever sets `taken`.
  struct Handover {
    std::atomic<bool> taken = false;
    std::function<void(size_t at)> task;
  };
  // That was posted to the loop of target `at`, which alone keeps it.
  struct Posted {
    std::weak_ptr<Handover> handover;
    size_t at;
    Instant since;
  };
  // Logs a text about a connection. Called on any loop.
  using Report = std::function<void(const std::string&)>;

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
      const int native = accepted.release(error);
      BOP_ASSERT(!error);
      take(std::make_shared<NativeSocket>(native));
    }
    wait();
  }

  void take(Taken taken) {
    const size_t at = next_target();
    const std::string limit = reached_limit(*shared_, taken->get());
    on_loop_of(at,
               [shared = shared_, taken = std::move(taken), limit, report = report()](size_t to) {
                 if (limit.empty()) {
                   hand_over(*shared, to, *taken);
                 } else {
                   replace(shared, taken, to, shared->targets.size(), limit, report);
                 }
               });
  }

  bool is_own(size_t at) const { return &shared_->targets[at].streams->loop() == &loop_; }

  // In rotation, without those that are late. This loop runs, so it never is.
  size_t next_target() {
    const size_t targets = shared_->targets.size();
    for (size_t i = 0; i < targets; ++i) {
      const size_t at = next_target_++ % targets;
      if (is_own(at) || !shared_->late[at]) return at;
    }
    return next_target_++ % targets;
  }

  // Runs the task at once if that is this loop. The loop may end before a posted task runs: destroying the task
  // then closes the socket.
  void on_loop_of(size_t at, std::function<void(size_t at)> task) {
    if (is_own(at)) return task(at);
    auto handover = std::make_shared<Handover>();
    handover->task = std::move(task);
    if (posted_.empty()) overdue_->arm(loop_.now() + handover_patience);
    posted_.push_back({handover, at, loop_.now()});
    shared_->targets[at].streams->loop().post([shared = shared_, at, handover] {
      const bool first = !handover->taken.exchange(true);
      shared->late[at] = false;  // it runs
      if (first) handover->task(at);
    });
    while (posted_.front().handover.expired() && posted_.size() > 1) posted_.pop_front();
  }

  // Serves here the connections that another loop has not taken within handover_patience, since that loop may be
  // stuck.
  void take_back_overdue() {
    size_t own = 0;
    while (own < shared_->targets.size() && !is_own(own)) ++own;
    for (; !posted_.empty(); posted_.pop_front()) {
      const Posted& oldest = posted_.front();
      const std::shared_ptr<Handover> handover = oldest.handover.lock();
      if (handover == nullptr) continue;
      if (oldest.since + handover_patience > loop_.now())
        return overdue_->arm(oldest.since + handover_patience);
      if (own == shared_->targets.size()) continue;
      // Before `taken` is set, after which the loop itself says that it runs again.
      shared_->late[oldest.at] = true;
      if (handover->taken.exchange(true)) {
        shared_->late[oldest.at] = false;
        continue;
      }
      handover->task(own);
      handover->task = nullptr;  // the loop may keep it for long, and the socket with it
    }
  }

  // On the loop of target `at`: accepts the connection in place of one that can be spared there, or else on one of
  // the other `left` - 1 targets.
  static void replace(const std::shared_ptr<Shared>& shared, const Taken& taken, size_t at,
                      size_t left, const std::string& limit, const Report& report) {
    const AcceptTarget& target = shared->targets[at];
    // Twice, because another thread may take the descriptor of the first one at once.
    for (int i = 0; i < 2 && target.spare_connection && target.spare_connection(); ++i) {
      taken->move();
      if (!reached_limit(*shared, taken->get()).empty()) continue;
      report("closed a connection without a request to accept another one: " + limit);
      return hand_over(*shared, at, *taken);
    }
    if (left > 1) {
      const size_t next = (at + 1) % shared->targets.size();
      shared->targets[next].streams->loop().post([shared, taken, next, left, limit, report] {
        replace(shared, taken, next, left - 1, limit, report);
      });
      return;
    }
    taken->refuse(shared->options.refusal);
    report("refused a connection: " + limit);
  }

  // Why the connection cannot be accepted. Empty: it can be, and is counted.
  static std::string reached_limit(const Shared& shared, int native) {
    const size_t most = shared.max_connections;
    if (!leaves_spare(shared.options, native)) return "the process has too few descriptors left";
    if (shared.count->enter(most)) return {};
    return "the limit of " + std::to_string(most) + " connections is reached";
  }

  // The system assigns the lowest free descriptor, so a high number means that few are left.
  static bool leaves_spare(const ListenOptions& options, int native) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
    const rlim_t spare =
        std::min<rlim_t>(options.spare_descriptors, limit.rlim_cur / options.spare_part);
    return static_cast<rlim_t>(native) + spare < limit.rlim_cur;
  }

  static void hand_over(const Shared& shared, size_t at, NativeSocket& taken) {
    const AcceptTarget& target = shared.targets[at];
    StreamLimits limits = shared.options.limits;
    limits.max_output_bytes = shared.max_output_bytes;
    limits.budget = target.budget;
    auto connection = target.streams->adopt(taken.take(), limits, shared.count);
    if (connection) target.on_connection(std::move(*connection));
  }

  Report report() {
    return [this, alive = alive_, &loop = loop_](const std::string& text) {
      loop.post([this, alive, text] {
        if (*alive) log_.warning("{}: {}", address_.to_string(), text);
      });
    };
  }

  io::Loop& loop_;
  ListenSocket socket_;
  const Address address_;
  size_t next_target_ = 0;
  LogLines log_;
  std::unique_ptr<port::Timer> retry_, overdue_;
  std::deque<Posted> posted_;  // the oldest first; of the last second, while the loops run
  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The file of a UNIX socket whose listener has ended must be removed before its name can be bound again.
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
  // SO_REUSEADDR: a port in TIME_WAIT can be bound; one with a listener still cannot.
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
                options.address.to_string() + ": a listen address must be numeric");
  }
  if (options.address.is_unix()) remove_stale(*endpoint, options.address);
  ListenSocket socket(loop.context().get_executor());
  error_code error = open_listener(socket, *endpoint, options.backlog);
  if (error) return std::unexpected(listen_error(options.address, error));
  Address actual = options.address;
  if (!actual.is_unix()) actual.port = address_of(socket.local_endpoint(error)).port;
  return std::unique_ptr<Acceptor>(std::make_unique<SocketAcceptor>(
      loop, std::move(socket), options, std::move(actual), std::move(targets)));
}

}  // namespace bop::net

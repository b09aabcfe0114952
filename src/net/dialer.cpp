#include "net/dialer.h"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <utility>
#include <vector>

#include "net/endpoint.h"
#include "port/timer.h"

namespace bop::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;

// Resolves the name if the address is not numeric, then tries its endpoints one after the other.
class Call final : public std::enable_shared_from_this<Call> {
 public:
  using Done = std::function<void(Result<std::unique_ptr<Connection>>)>;

  Call(Streams& streams, const Address& address, const StreamLimits& limits, Done done)
      : streams_(streams),
        address_(address),
        limits_(limits),
        done_(std::move(done)),
        resolver_(streams.loop().context().get_executor()),
        socket_(streams.loop().context().get_executor()) {}

  void start(Duration limit) {
    timer_ = streams_.loop().make_timer([this] { end(failure(BOP_E_TIMEOUT, "no answer")); });
    timer_->arm(streams_.loop().now() + limit);
    if (const auto endpoint = numeric_endpoint(address_)) {
      endpoints_.push_back(*endpoint);
      try_next();
    } else {
      resolver_.async_resolve(address_.host, std::to_string(address_.port),
                              [self = shared_from_this()](const error_code& error,
                                                          const Resolver::results_type& found) {
                                self->on_resolved(error, found);
                              });
    }
  }

  void give_up() {
    done_ = nullptr;
    release();
  }

 private:
  void on_resolved(const error_code& error, const Resolver::results_type& found) {
    if (done_ == nullptr) return;
    if (error) {
      end(failure(BOP_E_BAD_ADDRESS, "unknown host: " + error.message()));
      return;
    }
    for (const auto& entry : found) endpoints_.emplace_back(entry.endpoint());
    try_next();
  }

  void try_next() {
    error_code error;
    socket_.close(error);
    socket_.async_connect(
        endpoints_[next_++],
        [self = shared_from_this()](const error_code& error) { self->on_connected(error); });
  }

  void on_connected(const error_code& error) {
    if (done_ == nullptr) return;
    if (error && next_ < endpoints_.size()) {
      try_next();
      return;
    }
    if (error) {
      const bool refused = error == asio::error::connection_refused ||
                           error == asio::error::host_unreachable ||
                           error == asio::error::network_unreachable ||
                           error == boost::system::errc::no_such_file_or_directory;
      end(failure(refused ? BOP_E_CONNECTION_REFUSED : BOP_E_IO, error.message()));
      return;
    }
    error_code released;
    const auto native = socket_.release(released);
    if (released) {
      end(failure(BOP_E_IO, released.message()));
    } else {
      end(streams_.adopt(native, limits_));
    }
  }

  std::unexpected<Error> failure(bop_status code, const std::string& why) const {
    return fail(code, address_.to_string() + ": " + why);
  }

  void end(Result<std::unique_ptr<Connection>> result) {
    const auto self = shared_from_this();
    const Done done = std::exchange(done_, nullptr);
    release();
    done(std::move(result));
  }

  void release() {
    error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
    timer_.reset();
  }

  Streams& streams_;
  const Address address_;
  const StreamLimits limits_;
  Done done_;
  Resolver resolver_;
  Socket socket_;
  std::unique_ptr<port::Timer> timer_;
  std::vector<Endpoint> endpoints_;
  size_t next_ = 0;
};

class CallDial final : public Dial {
 public:
  explicit CallDial(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~CallDial() override { call_->give_up(); }

 private:
  const std::shared_ptr<Call> call_;
};

}  // namespace

std::unique_ptr<Dial> dial(Streams& streams, const Address& address, const StreamLimits& limits,
                           Duration limit,
                           std::function<void(Result<std::unique_ptr<Connection>>)> done) {
  auto call = std::make_shared<Call>(streams, address, limits, std::move(done));
  call->start(limit);
  return std::make_unique<CallDial>(std::move(call));
}

}  // namespace bop::net

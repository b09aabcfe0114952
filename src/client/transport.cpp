#include "client/transport.h"

#include <cstdint>
#include <utility>

#include "proto/client.h"

namespace bop::client {
namespace {

net::StreamLimits limits() {
  net::StreamLimits limits;
  limits.max_message_bytes = proto::max_client_frame_bytes;
  // No limit here: the unsent bytes are bounded by the number of calls in flight and their deadlines.
  limits.max_output_bytes = SIZE_MAX;
  limits.pause_reading_at = net::never_pause;
  limits.first_block_bytes = 16u << 10;
  return limits;
}

class NetLink final : public Link {
 public:
  explicit NetLink(std::unique_ptr<net::Connection> connection)
      : connection_(std::move(connection)) {}

  void start(net::StreamHandler& handler) override { connection_->start(handler); }
  void append(const mem::Buffer& bytes) override { connection_->append(bytes); }
  void close(Error reason) override { connection_->close(std::move(reason)); }

 private:
  const std::unique_ptr<net::Connection> connection_;
};

}  // namespace

Instant NetTransport::now() const { return loop_.now(); }

std::unique_ptr<port::Timer> NetTransport::make_timer(std::function<void()> on_deadline) {
  return loop_.make_timer(std::move(on_deadline));
}

std::unique_ptr<net::Dial> NetTransport::dial(const net::Address& address, Duration limit,
                                              Dialed done) {
  return net::dial(streams_, address, limits(), limit,
                   [done = std::move(done)](Result<std::unique_ptr<net::Connection>> connection) {
                     if (!connection) return done(std::unexpected(connection.error()));
                     done(std::make_unique<NetLink>(std::move(*connection)));
                   });
}

}  // namespace bop::client

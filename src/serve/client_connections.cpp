#include "serve/client_connections.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace bop::serve {

namespace {

metrics::Labels labels(const std::string& protocol, uint32_t shard, const char* kind = nullptr) {
  metrics::Labels labels{{"protocol", protocol}, {"shard", std::to_string(shard)}};
  if (kind != nullptr) labels.emplace_back("kind", kind);
  return labels;
}

}  // namespace

ProtocolMetrics::ProtocolMetrics(metrics::Registry& registry, const std::string& protocol,
                                 uint32_t shard)
    : connections(registry.counter("bop_client_connections_total", "Client connections accepted",
                                   labels(protocol, shard))),
      connected(registry.gauge("bop_client_connections", "Client connections open now",
                               labels(protocol, shard))),
      commands(registry.counter("bop_client_commands_total", "Commands and requests of clients",
                                labels(protocol, shard))),
      errors(registry.counter("bop_client_errors_total", "Requests of clients that failed",
                              labels(protocol, shard))),
      propose_ns(registry.histogram("bop_client_request_seconds",
                                    "From a client's request to its reply", metrics::seconds_of_ns,
                                    labels(protocol, shard, "propose"))),
      query_ns(registry.histogram("bop_client_request_seconds",
                                  "From a client's request to its reply", metrics::seconds_of_ns,
                                  labels(protocol, shard, "query"))) {}

ClientConnections::ClientConnections(const Shared& shared)
    : shared_(shared),
      resp_(shared.registry, "resp", shared.shard),
      native_(shared.registry, "native", shared.shard),
      http_(shared.registry, "http", shared.shard),
      client_log_([&service = shared.service] { return service.now(); }, shared.timers,
                  "clients of shard " + std::to_string(shared.shard)) {}

ClientConnections::~ClientConnections() { *alive_ = false; }

uint64_t ClientConnections::next_id() { return ++last_number_ << 10 | (shared_.shard & 1023); }

ClientConnection& ClientConnections::add(std::unique_ptr<ClientConnection> connection) {
  ClientConnection& added = *connection;
  const bool is_new = connections_.emplace(connection->id(), std::move(connection)).second;
  BOP_ASSERT(is_new);
  return added;
}

void ClientConnections::stop() {
  for (const auto& [id, connection] : connections_) connection->stop();
  stop_timer_ = shared_.timers.make_timer([this] {
    for (const auto& [id, connection] : connections_) connection->end_stop();
  });
  stop_timer_->arm(shared_.service.now() + stop_grace);
}

bool ClientConnections::all_ending() const {
  return std::ranges::all_of(connections_,
                             [](const auto& entry) { return entry.second->ending(); });
}

void ClientConnections::schedule(ClientConnection& connection) {
  if (connection.waits_for_end_of_turn_) return;
  connection.waits_for_end_of_turn_ = true;
  scheduled_.push_back(&connection);
  if (scheduled_.size() > 1) return;
  shared_.post.at_end_of_turn(port::Phase::apply, [this, alive = alive_] {
    if (*alive) end_turn();
  });
}

uint64_t ClientConnections::turn() {
  if (!std::exchange(turn_ends_, true)) {
    shared_.post.at_end_of_turn(port::Phase::step, [this, alive = alive_] {
      if (!*alive) return;
      turn_ends_ = false;
      ++turn_;
    });
  }
  return turn_;
}

void ClientConnections::end_turn() {
  running_.swap(scheduled_);
  for (ClientConnection* connection : running_) {
    connection->waits_for_end_of_turn_ = false;
    if (!connection->finished()) connection->on_end_of_turn();
    // If it asked for another call, that call decides.
    if (connection->finished() && !connection->waits_for_end_of_turn_)
      connections_.erase(connection->id());
  }
  running_.clear();
}

}  // namespace bop::serve

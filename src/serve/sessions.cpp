#include "serve/sessions.h"

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
      errors(registry.counter("bop_client_errors_total", "Requests of clients answered by an error",
                              labels(protocol, shard))),
      propose_ns(registry.histogram("bop_client_request_seconds",
                                    "From a client's request to its answer", metrics::seconds_of_ns,
                                    labels(protocol, shard, "propose"))),
      query_ns(registry.histogram("bop_client_request_seconds",
                                  "From a client's request to its answer", metrics::seconds_of_ns,
                                  labels(protocol, shard, "query"))) {}

Sessions::Sessions(const Shared& shared)
    : shared_(shared),
      resp_(shared.registry, "resp", shared.shard),
      native_(shared.registry, "native", shared.shard),
      http_(shared.registry, "http", shared.shard) {}

Sessions::~Sessions() { *alive_ = false; }

uint64_t Sessions::next_id() { return ++last_number_ << 10 | (shared_.shard & 1023); }

Session& Sessions::add(std::unique_ptr<Session> session) {
  Session& added = *session;
  const bool is_new = sessions_.emplace(session->id(), std::move(session)).second;
  BOP_ASSERT(is_new);
  return added;
}

void Sessions::later(Session& session) {
  if (session.waits_for_end_of_turn_) return;
  session.waits_for_end_of_turn_ = true;
  later_.push_back(&session);
  if (later_.size() > 1) return;
  shared_.post.at_end_of_turn(port::Phase::apply, [this, alive = alive_] {
    if (*alive) end_turn();
  });
}

void Sessions::end_turn() {
  running_.swap(later_);
  for (Session* session : running_) {
    session->waits_for_end_of_turn_ = false;
    if (!session->finished()) session->go_on();
    // It may have asked for another round, which will end it.
    if (session->finished() && !session->waits_for_end_of_turn_) sessions_.erase(session->id());
  }
  running_.clear();
}

}  // namespace bop::serve

#include "capi/node/listeners.h"

#include <algorithm>

#include "bop/bop.h"
#include "net/http.h"
#include "net/stream_budget.h"
#include "serve/http_front.h"
#include "serve/native_connection.h"
#include "serve/resp_connection.h"

namespace bop::capi {

// The client connections of one shard. Used on its loop's thread, except for construction.
struct Listeners::ShardListener {
  ShardListener(const ListenOn& on, const net::StreamBudgetLimits& limits,
                metrics::Registry& registry, uint32_t shard)
      : loop(*on.loop), streams(*on.streams), budget(loop, limits, registry, shard) {}

  struct Waiting {
    std::string listener;
    std::unique_ptr<net::Connection> connection;
  };

  io::Loop& loop;
  net::Streams& streams;
  net::StreamBudget budget;
  serve::Options options;        // reload() changes it
  std::vector<Waiting> waiting;  // accepted before serve(); they are not read yet
  std::unique_ptr<serve::ClientConnections> connections;
  std::unique_ptr<serve::StreamConnections> streams_in;
  std::unique_ptr<serve::HttpFront> front;
  std::unique_ptr<net::HttpServer> http;

  void finish(Duration patience, std::function<void()> done);
  void check_finished();

  std::unique_ptr<port::Timer> finish_timer;
  std::function<void()> finished;  // set while finish() is in progress
  Instant finish_deadline = 0;
  Instant sent_at = never;  // when the last reply was passed to the kernel
};

// How long clients have to close their side once everything is sent. The end of the process resets connections, and some
// clients then discard replies that they have not read yet.
constexpr Duration close_patience = 100 * milliseconds;

void Listeners::ShardListener::finish(Duration limit, std::function<void()> done) {
  waiting.clear();
  if (connections == nullptr) return done();
  finished = std::move(done);
  finish_deadline = loop.now() + limit;
  finish_timer = loop.make_timer([this] { check_finished(); });
  connections->stop();
  http->stop();
  // In the next turn: the end of this one sends what the connections wrote.
  finish_timer->arm(loop.now());
}

void Listeners::ShardListener::check_finished() {
  const Instant now = loop.now();
  const bool closed = connections->count() == 0 && http->connections() == 0;
  const bool sent = connections->all_ending() && streams_in->all_sent() && http->all_sent();
  if (sent) sent_at = std::min(sent_at, now);
  const Instant deadline = sent ? sent_at + close_patience : finish_deadline;
  if (!closed && now < deadline) return finish_timer->arm(now + 5 * milliseconds);
  std::exchange(finished, nullptr)();
}

namespace {

serve::Options serve_options(const Settings& settings, const node::Identity& identity) {
  serve::Options options;
  if (!settings.node.groups.empty()) options.group = settings.node.groups.front().name;
  options.max_pipeline = settings.limits.in_flight;
  options.max_input_bytes = settings.limits.input_bytes;
  options.max_connections = settings.limits.connections;
  options.version = bop_version();
  options.cluster = identity.cluster;
  options.node = identity.node;
  for (const Peer& peer : settings.peers)
    if (!peer.native.empty()) options.native_addresses[peer.id] = peer.native;
  return options;
}

// What a client beyond the limit of connections is sent.
std::string refusal(const std::string& listener) {
  if (listener == "resp") return serve::RespConnection::refusal();
  const Error error{BOP_E_OVERLOADED, "too many connections (limits.connections)"};
  return listener == "native" ? serve::NativeConnection::refusal(error)
                              : serve::HttpFront::refusal(error);
}

net::StreamBudgetLimits budget_limits(const ClientLimits& limits, size_t shards) {
  return {.input_bytes = limits.total_input_bytes / shards,
          .output_bytes = limits.total_output_bytes / shards};
}

// So that alerts can compare use with the limit, whatever is configured.
void export_limits(metrics::Registry& registry, const ClientLimits& limits) {
  const auto set = [&](const std::string& key, uint64_t value) {
    registry.gauge("bop_limit_" + key, "limits." + key + " of the configuration in force")
        .set(static_cast<int64_t>(value));
  };
  set("connections", limits.connections);
  set("in_flight", limits.in_flight);
  set("output_bytes", limits.output_bytes);
  set("input_bytes", limits.input_bytes);
  set("total_output_bytes", limits.total_output_bytes);
  set("total_input_bytes", limits.total_input_bytes);
}

}  // namespace

Listeners::Listeners(const Settings& settings, const node::Identity& identity,
                     metrics::Registry& registry, const std::vector<ListenOn>& listen_on)
    : settings_(settings),
      registry_(registry),
      options_(serve_options(settings, identity)),
      cursors_(identity.incarnation) {
  export_limits(registry, settings.limits);
  registry
      .gauge("bop_limit_peer_queue_bytes", "limits.peer_queue_bytes of the configuration in force")
      .set(static_cast<int64_t>(settings.node.peer_queue_bytes));
  const net::StreamBudgetLimits limits = budget_limits(settings.limits, listen_on.size());
  for (const ListenOn& listener : listen_on) {
    const auto shard = static_cast<uint32_t>(listeners_.size());
    listeners_.push_back(std::make_unique<ShardListener>(listener, limits, registry, shard));
  }
}

Listeners::~Listeners() = default;

Result<std::unique_ptr<Listeners>> Listeners::open(const Settings& settings,
                                                   const node::Identity& identity,
                                                   metrics::Registry& registry,
                                                   const std::vector<ListenOn>& listen_on) {
  std::unique_ptr<Listeners> listeners(new Listeners(settings, identity, registry, listen_on));
  BOP_TRY(listeners->listen("native", settings.listen_native));
  BOP_TRY(listeners->listen("resp", settings.listen_resp));
  BOP_TRY(listeners->listen("http", settings.listen_http));
  return listeners;
}

Status Listeners::listen(const std::string& name, const std::string& address) {
  if (address.empty()) return {};
  net::ListenOptions options;
  BOP_TRY_ASSIGN(options.address, net::parse_address(address));
  options.max_connections = settings_.limits.connections;
  // HTTP may use half of the descriptors that are reserved, so that status and metrics stay available.
  options.spare_descriptors = name == "http" ? 32 : 64;
  options.spare_part = name == "http" ? 8 : 4;
  options.refusal = refusal(name);
  if (name == "http") {
    options.limits = net::HttpServer::stream_limits(serve::HttpFront::limits());
  } else {
    options.limits.handler_pauses = true;
    // A client that writes its whole pipeline before it reads must be able to finish writing, or it never reads the error.
    options.limits.linger_bytes = uint64_t{256} << 20;
    options.limits.linger_rounds = 30;
  }
  options.limits.max_output_bytes = settings_.limits.output_bytes;
  std::vector<net::AcceptTarget> targets;
  for (const auto& listener : listeners_) {
    targets.push_back(
        {&listener->streams,
         [this, name, &listener = *listener](std::unique_ptr<net::Connection> connection) {
           take(name, listener, std::move(connection));
         },
         &listener->budget,
         name == "http" ? std::function<bool()>([&listener = *listener] {
           return listener.http != nullptr && listener.http->close_longest_waiting();
         })
                        : nullptr});
  }
  BOP_TRY_ASSIGN(acceptors_[name],
                 net::Acceptor::listen(listeners_.front()->loop, options, std::move(targets)));
  addresses_[name] = acceptors_[name]->address().to_string();
  if (name == "http") {
    options_.http_hosts = http_hosts(settings_);
  }
  if (name == "resp") options_.resp_port = acceptors_[name]->address().port;
  if (name == "native") options_.native_addresses.emplace(options_.node, addresses_[name]);
  return {};
}

// Names of the listener: as it is configured at the start, the address that this resolves to, and http.hosts.
serve::HttpHosts Listeners::http_hosts(const Settings& settings) const {
  const auto listener = acceptors_.find("http");
  if (listener == acceptors_.end()) return {};
  std::vector<std::string> names = settings.http_hosts;
  names.push_back(listener->second->address().host);
  return {net::parse_address(settings_.listen_http)->host, names};
}

void Listeners::reload(const Settings& settings) {
  export_limits(registry_, settings.limits);
  for (const auto& [name, acceptor] : acceptors_)
    acceptor->set_limits(settings.limits.connections, settings.limits.output_bytes);
  for (const auto& listener : listeners_) {
    listener->loop.post([&listener = *listener, limits = settings.limits,
                         hosts = http_hosts(settings), shards = listeners_.size()] {
      listener.options.max_pipeline = limits.in_flight;
      listener.options.max_input_bytes = limits.input_bytes;
      listener.options.max_connections = limits.connections;
      listener.options.http_hosts = hosts;
      listener.budget.set_limits(budget_limits(limits, shards));
    });
  }
}

void Listeners::take(const std::string& name, ShardListener& listener,
                     std::unique_ptr<net::Connection> connection) {
  if (listener.connections == nullptr) {
    listener.waiting.push_back({name, std::move(connection)});
    return;
  }
  if (name == "http") return listener.http->take(std::move(connection));
  using Made = std::unique_ptr<serve::ClientConnection>;
  listener.streams_in->take(
      std::move(connection),
      [native = name == "native"](uint64_t id, serve::ClientConnections& connections,
                                  serve::Wire& wire) {
        return native ? Made(std::make_unique<serve::NativeConnection>(id, connections, wire))
                      : Made(std::make_unique<serve::RespConnection>(id, connections, wire));
      });
}

void Listeners::serve(node::Node& node) {
  const auto shards = static_cast<uint32_t>(listeners_.size());
  for (uint32_t shard = 0; shard < shards; ++shard) {
    ShardListener& listener = *listeners_[shard];
    listener.loop.post([this, &node, &listener, shard, shards] {
      listener.options = options_;
      listener.connections =
          std::make_unique<serve::ClientConnections>(serve::Shared{.service = node.service(shard),
                                                                   .post = listener.loop,
                                                                   .timers = listener.loop,
                                                                   .registry = registry_,
                                                                   .cursors = cursors_,
                                                                   .options = listener.options,
                                                                   .shard = shard,
                                                                   .shards = shards});
      listener.streams_in = std::make_unique<serve::StreamConnections>(*listener.connections);
      listener.front = std::make_unique<serve::HttpFront>(*listener.connections);
      listener.http = std::make_unique<net::HttpServer>(listener.streams, *listener.front,
                                                        serve::HttpFront::limits());
      for (ShardListener::Waiting& waiting : std::exchange(listener.waiting, {}))
        take(waiting.listener, listener, std::move(waiting.connection));
    });
  }
}

void Listeners::close() { acceptors_.clear(); }

void Listeners::finish(Duration patience, const std::function<void()>& done) {
  auto left = std::make_shared<size_t>(listeners_.size());  // used on the first shard's thread only
  io::Loop& first = listeners_.front()->loop;
  for (const auto& listener : listeners_) {
    listener->loop.post([&listener = *listener, &first, patience, left, done] {
      listener.finish(patience, [&first, left, done] {
        first.post([left, done] {
          if (--*left == 0) done();
        });
      });
    });
  }
}

const std::string& Listeners::address(std::string_view listener) const {
  static const std::string none;
  const auto found = addresses_.find(listener);
  return found == addresses_.end() ? none : found->second;
}

}  // namespace bop::capi

// bop/client.h.
#include "bop/client.h"

#include <string>

#include "capi/queue.h"
#include "capi/shell.h"
#include "client/client.h"

using bop::Result;
using bop::Status;
using bop::capi::Completions;
using bop::capi::guarded;
using bop::capi::known;
namespace client = bop::client;

struct bop_client final : client::Listener {
  explicit bop_client(const Completions& completions) : completions_(completions) {}

  void complete(const client::Outcome& outcome) override {
    const std::string detail(outcome.detail);  // adds the NUL
    bop_completion completion{};
    completion.tag = outcome.tag;
    completion.status = outcome.status;
    completion.attempts = outcome.attempts;
    completion.index = outcome.index;
    completion.leader = outcome.leader;
    completion.body = {outcome.body.data(), outcome.body.size()};
    completion.detail = detail.c_str();
    completions_.complete(completion);
  }

  Status submit(const client::Request& request) {
    if (!completions_.reserve()) return bop::fail(BOP_E_OVERLOADED, "the queue is full");
    Status submitted = client_->submit(request);
    if (!submitted) completions_.cancel_reservation();
    return submitted;
  }

  const Completions completions_;
  std::unique_ptr<client::Client> client_;
};

namespace {

constexpr uint32_t default_timeout_ms = 5000;

Result<std::vector<bop::net::Address>> read_endpoints(std::string_view text) {
  std::vector<bop::net::Address> endpoints;
  for (;;) {
    const size_t comma = text.find(',');
    BOP_TRY_ASSIGN(bop::net::Address address, bop::net::parse_address(text.substr(0, comma)));
    endpoints.push_back(std::move(address));
    if (comma == text.npos) return endpoints;
    text.remove_prefix(comma + 1);
  }
}

Result<client::Options> read_options(const bop_client_options& given) {
  client::Options options;
  if (given.endpoints == nullptr) {
    return bop::fail(BOP_E_INVALID_ARGUMENT, "endpoints is required");
  }
  BOP_TRY_ASSIGN(options.endpoints, read_endpoints(given.endpoints));
  if (given.connections != 0) options.connections = given.connections;
  if (given.max_in_flight != 0) options.max_in_flight = given.max_in_flight;
  if (given.connect_timeout_ms != 0) {
    options.connect_timeout = given.connect_timeout_ms * bop::milliseconds;
  }
  if (given.cluster_id != nullptr) {
    BOP_TRY_ASSIGN(options.cluster, bop::proto::cluster_from_hex(given.cluster_id));
  }
  return options;
}

Status open_client(const bop_client_options& given, bop_client** out) {
  BOP_TRY_ASSIGN(client::Options options, read_options(given));
  BOP_TRY_ASSIGN(const Completions completions,
                 Completions::of(given.queue, given.callback, given.context));
  auto opened = std::make_unique<bop_client>(completions);
  BOP_TRY_ASSIGN(opened->client_, client::Client::open(std::move(options), *opened));
  *out = opened.release();
  return {};
}

// "take", "list" or "verify", as the protocol has them; 0: none of them.
uint8_t snapshot_action(std::string_view text) {
  using bop::proto::SnapshotAction;
  if (text == "take") return static_cast<uint8_t>(SnapshotAction::take);
  if (text == "list") return static_cast<uint8_t>(SnapshotAction::list);
  if (text == "verify") return static_cast<uint8_t>(SnapshotAction::verify);
  return 0;
}

int32_t submit(bop_client* handle, const bop_request* request, bop::proto::RequestKind kind) {
  if (handle == nullptr || request == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&]() -> int32_t {
    const bop_request given = known(request);
    if (given.payload.data == nullptr && given.payload.size > 0) return BOP_E_INVALID_ARGUMENT;
    client::Request out;
    out.kind = kind;
    if (kind != bop::proto::RequestKind::status) {
      out.group = given.group;
      out.group_name = given.group_name == nullptr ? "kv" : given.group_name;
      out.payload = {given.payload.data, given.payload.size};
    }
    std::string snapshot_payload;
    if (kind == bop::proto::RequestKind::snapshot) {
      const uint8_t action = snapshot_action(bop::as_text(out.payload));
      if (action == 0) return BOP_E_INVALID_ARGUMENT;
      snapshot_payload = std::string(1, static_cast<char>(action)) + std::string(out.group_name);
      out.payload = bop::as_bytes(snapshot_payload);
    }
    out.timeout =
        (given.timeout_ms == 0 ? default_timeout_ms : given.timeout_ms) * bop::milliseconds;
    out.tag = given.tag;
    out.connection = given.connection;
    const Status submitted = handle->submit(out);
    return submitted ? static_cast<int32_t>(BOP_OK) : submitted.error().code;
  });
}

}  // namespace

int32_t bop_client_open(const bop_client_options* options, bop_client** client, char* error,
                        size_t error_capacity) {
  if (options == nullptr || client == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    return bop::capi::give(open_client(known(options), client), error, error_capacity);
  });
}

void bop_client_close(bop_client* client) {
  if (client == nullptr) return;
  client->client_.reset();  // completes all calls in flight
  delete client;
}

int32_t bop_client_propose(bop_client* client, const bop_request* request) {
  return submit(client, request, bop::proto::RequestKind::propose);
}

int32_t bop_client_query(bop_client* client, const bop_request* request) {
  return submit(client, request, bop::proto::RequestKind::query);
}

int32_t bop_client_status(bop_client* client, const bop_request* request) {
  return submit(client, request, bop::proto::RequestKind::status);
}

int32_t bop_client_snapshot(bop_client* client, const bop_request* request) {
  return submit(client, request, bop::proto::RequestKind::snapshot);
}

void bop_client_causes(bop_client* client, char* text, size_t capacity) {
  if (client == nullptr || text == nullptr || capacity == 0) return;
  (void)guarded([&] {
    bop::capi::write_text(client->client_->causes(), text, capacity);
    return BOP_OK;
  });
}

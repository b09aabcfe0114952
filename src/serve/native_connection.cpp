#include "serve/native_connection.h"

#include <fmt/format.h>

#include "serve/status_json.h"

namespace bop::serve {

namespace {

constexpr uint64_t default_group_id = 0;

}  // namespace

NativeConnection::NativeConnection(uint64_t id, ClientConnections& connections, Wire& wire)
    : PipelinedConnection(id, connections, connections.native(), wire),
      hello_timer_(connections.shared().timers.make_timer([this] { on_hello_limit(); })) {
  hello_timer_->arm(connections.service().now() + hello_limit);
}

void NativeConnection::on_hello_limit() {
  if (wire_ == nullptr || ending()) return;
  end_with({BOP_E_TIMEOUT, fmt::format("the client sent no hello within {} s of connecting",
                                       hello_limit / seconds)});
}

std::string NativeConnection::refusal(const Error& error) {
  proto::PartWriter out;
  out.begin();
  proto::encode(proto::ClientGoodbye{error.code, error.detail}, out);
  std::string bytes;
  for (const mem::Buffer& part : out.finish()) bytes += as_text(part.bytes());
  return bytes;
}

template <class Frame>
void NativeConnection::send(const Frame& frame) {
  proto::PartWriter& out = connections_.scratch();
  out.begin();
  proto::encode(frame, out);
  for (const mem::Buffer& part : out.finish()) wire_->append(part);
}

void NativeConnection::send_goodbye() {
  if (!goodbye_ && stopping()) goodbye_ = Error{BOP_E_STOPPED, "this node is stopping"};
  if (goodbye_) send(proto::ClientGoodbye{goodbye_->code, goodbye_->detail});
}

// ---- requests in ----

void NativeConnection::receive(mem::Buffer received) {
  if (splitter_error_) return;
  const auto split = splitter_.push(received, frames_);
  for (mem::Buffer& frame : frames_) input().push(std::move(frame));
  frames_.clear();
  if (!split) {
    splitter_error_ = split.error();
  } else if (!greeted_ && input().empty() && splitter_.pending_bytes() > max_hello_bytes) {
    splitter_error_ = {BOP_E_TOO_LARGE,
                       fmt::format("the first frame must be a hello, which has at most {} bytes",
                                   max_hello_bytes)};
  }
}

bool NativeConnection::start_commands() {
  while (!input().empty()) {
    const bool full = unreplied_ >= max_pipeline_;
    if (full || !may_start() || !dispatch(input().front())) return true;
    if (ending()) return false;
    input().pop();
  }
  if (splitter_error_) end_with(*splitter_error_);
  return false;
}

bool NativeConnection::dispatch(const mem::Buffer& frame) {
  auto decoded = proto::decode_client_frame(frame);
  if (!decoded) {
    end_with(decoded.error());
    return true;
  }
  if (auto* request = std::get_if<proto::ClientRequest>(&*decoded);
      request != nullptr && greeted_) {
    return serve(*request);
  }
  if (const auto* hello = std::get_if<proto::ClientHello>(&*decoded);
      hello != nullptr && !greeted_) {
    greet(*hello);
  } else {
    end_with({BOP_E_PROTOCOL,
              greeted_ ? "a client must not send this frame" : "the first frame must be a hello"});
  }
  return true;
}

void NativeConnection::greet(const proto::ClientHello& hello) {
  const Options& options = connections_.options();
  if (hello.version_low > proto::client_version || hello.version_high < proto::client_version) {
    return end_with({BOP_E_VERSION_MISMATCH,
                     fmt::format("this server supports version {}, the client {} to {}",
                                 proto::client_version, hello.version_low, hello.version_high)});
  }
  if (hello.cluster != proto::ClusterId{} && hello.cluster != options.cluster) {
    return end_with({BOP_E_WRONG_CLUSTER,
                     fmt::format("this is cluster {}, the client wants {}",
                                 proto::to_hex(options.cluster), proto::to_hex(hello.cluster))});
  }
  greeted_ = true;
  hello_timer_.reset();
  send(proto::ClientHelloAck{.cluster = options.cluster,
                             .node = options.node,
                             .max_frame_bytes = proto::max_client_frame_bytes,
                             .max_in_flight = max_pipeline_});
}

bool NativeConnection::serve(proto::ClientRequest& request) {
  using Kind = proto::RequestKind;
  if (request.kind == Kind::query && !may_read()) return false;
  connections_.native().commands.add();
  switch (request.kind) {
    case Kind::propose:
    case Kind::query: submit(request); break;
    case Kind::status: status(request.correlation); break;
    case Kind::find_group: find_group(request); break;
    case Kind::snapshot: snapshots(request); break;
    case Kind::ping: reply({.correlation = request.correlation}, request.payload.bytes()); break;
  }
  return true;
}

void NativeConnection::submit(proto::ClientRequest& request) {
  GroupId group = request.group;
  if (group == default_group_id) {
    const auto found = connections_.service().find_group(connections_.options().group);
    if (!found) {
      return reply({.correlation = request.correlation,
                    .status = found.error().code,
                    .detail = found.error().detail},
                   {});
    }
    group = *found;
  }
  const uint32_t number = open_request(request.correlation);
  OpenRequest& opened = open_[number];
  const Duration limit = request.deadline_us == 0 ? connections_.options().deadline
                                                  : request.deadline_us * microseconds;
  const Instant deadline = opened.started + limit;
  if (request.kind == proto::RequestKind::propose)
    return submit_proposal(number, group, std::move(request.payload), deadline, false);
  opened.read = true;
  opened.group = group;
  opened.deadline = deadline;
  opened.question = std::move(request.payload);
  send_query(number);
}

void NativeConnection::send_query(uint64_t number) {
  const OpenRequest& read = open_[number];
  submit_query(number, read.group, read.question, read.deadline);
}

void NativeConnection::status(uint64_t correlation) {
  ++unreplied_;
  ask_status([this, correlation](const node::NodeStatus& status) {
    --unreplied_;
    reply({.correlation = correlation}, as_bytes(status_json(status)));
  });
}

void NativeConnection::find_group(const proto::ClientRequest& request) {
  const auto found = connections_.service().find_group(as_text(request.payload.bytes()));
  if (!found) {
    return reply({.correlation = request.correlation,
                  .status = found.error().code,
                  .detail = found.error().detail},
                 {});
  }
  uint8_t id[8];
  store_le<uint64_t>(id, *found);
  reply({.correlation = request.correlation}, id);
}

void NativeConnection::snapshots(const proto::ClientRequest& request) {
  const auto refuse = [this, &request](const Error& error) {
    reply({.correlation = request.correlation, .status = error.code, .detail = error.detail}, {});
  };
  const Bytes payload = request.payload.bytes();
  const uint8_t action = payload.empty() ? 0 : payload[0];
  if (action < static_cast<uint8_t>(proto::SnapshotAction::take) ||
      action > static_cast<uint8_t>(proto::SnapshotAction::verify))
    return refuse({BOP_E_INVALID_ARGUMENT, "a request for snapshots begins with 1, 2 or 3"});
  const std::string name(as_text(payload.subspan(1)));
  const auto group = connections_.service().find_group(name);
  if (!group) return refuse(group.error());
  ++unreplied_;
  ask_snapshots(*group, static_cast<node::SnapshotAction>(action),
                [this, name, correlation = request.correlation](
                    const Result<std::vector<node::SnapshotStatus>>& result) {
                  --unreplied_;
                  if (!result) {
                    return reply({.correlation = correlation,
                                  .status = result.error().code,
                                  .detail = result.error().detail},
                                 {});
                  }
                  reply({.correlation = correlation},
                        as_bytes(snapshots_json(connections_.options().node, name, *result)));
                });
}

// ---- replies out ----

uint32_t NativeConnection::open_request(uint64_t correlation) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(open_.size()));
    open_.emplace_back();
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  open_[number].correlation = correlation;
  open_[number].started = connections_.service().now();
  ++unreplied_;
  return number;
}

NativeConnection::OpenRequest NativeConnection::close_request(uint64_t number) {
  free_.push_back(static_cast<uint32_t>(number));
  --unreplied_;
  return std::exchange(open_[number], {});
}

void NativeConnection::complete(uint64_t number, const port::Outcome& outcome) {
  const bool read = open_[number].read;
  count_outcome(read, outcome);
  if (read && outcome.status == BOP_OK && exceeds_output(0)) return repeat_later(number);
  const OpenRequest request = close_request(number);
  auto& metrics = connections_.native();
  (read ? metrics.query_ns : metrics.propose_ns)
      .record(static_cast<uint64_t>(connections_.service().now() - request.started));
  const auto& addresses = connections_.options().native_addresses;
  const auto leader = addresses.find(outcome.leader);
  reply({.correlation = request.correlation,
         .status = outcome.status,
         .index = outcome.index,
         .leader = outcome.leader,
         .leader_address = leader == addresses.end() ? std::string_view() : leader->second,
         .detail = outcome.detail},
        outcome.body);
  continue_after_reply();
}

void NativeConnection::reply(const proto::ClientReply& reply, Bytes body) {
  if (reply.status < 0 && reply.status != BOP_E_CONDITION_FAILED)
    connections_.native().errors.add();
  if (wire_ == nullptr) return;
  proto::PartWriter& out = connections_.scratch();
  out.begin();
  proto::encode(reply, body, out);
  for (const mem::Buffer& part : out.finish()) wire_->append(part);
}

}  // namespace bop::serve

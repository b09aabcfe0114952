#include "serve/native_connection.h"

#include <fmt/format.h>

#include "serve/status_json.h"

namespace bop::serve {

namespace {

// What a request that waits costs: many are shorter than what refers to them.
size_t held_bytes(const mem::Buffer& frame) { return frame.size() + sizeof frame; }

constexpr uint64_t default_group_id = 0;

}  // namespace

NativeConnection::NativeConnection(uint64_t id, ClientConnections& connections, Wire& wire)
    : ClientConnection(id),
      connections_(connections),
      wire_(&wire),
      reads_(connections.options().read_ahead_bytes, connections.options().max_pipeline) {
  connections_.native().connections.add();
  connections_.native().connected.add(1);
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

// ---- events of the connection ----

void NativeConnection::on_bytes(mem::Buffer received) {
  if (ending_) return;
  const auto cut = splitter_.push(received, cut_);
  for (mem::Buffer& frame : cut_) {
    waiting_bytes_ += held_bytes(frame);
    waiting_.push_back(std::move(frame));
  }
  cut_.clear();
  pump();
  if (!cut && !ending_) fail(cut.error());
}

bool NativeConnection::on_end() {
  input_ended_ = true;
  pump();
  return unanswered_ != 0 || !ending_;
}

void NativeConnection::on_drained() { connections_.later(*this); }

// The client sent more than its input budget and has read no reply for stall_limit.
void NativeConnection::on_stalled() {
  if (ending_ || wire_ == nullptr) return;
  fail({BOP_E_OVERLOADED,
        fmt::format("{} bytes of requests were sent without reading the replies, the limit is {} "
                    "(limits.input_bytes): what follows was not executed",
                    waiting_bytes_, connections_.options().max_input_bytes)});
}

void NativeConnection::on_closed() {
  wire_ = nullptr;
  end_input();
  unanswered_ -= static_cast<uint32_t>(again_.size());
  again_.clear();
  connections_.native().connected.add(-1);
  connections_.later(*this);
}

void NativeConnection::stop() {
  stopping_ = true;
  if (wire_ != nullptr) pump();
}

void NativeConnection::go_on() {
  if (wire_ != nullptr) pump();
}

// ---- requests in ----

void NativeConnection::pump() {
  ask_again();
  while (!ending_ && !waiting_.empty()) {
    if (!has_room() || !dispatch(waiting_.front())) break;
    if (waiting_.empty()) break;
    waiting_bytes_ -= held_bytes(waiting_.front());
    waiting_.pop_front();
  }
  if (stopping_ && !ending_ && waiting_.empty()) {
    goodbye_ = {BOP_E_STOPPED, "this node is stopping"};
    end_input();
  }
  if (input_ended_ && waiting_.empty()) end_input();
  wire_->hold(waiting_bytes_, 0);
  receive_on_or_pause();
  finish_when_replied();
}

// No further request is begun.
void NativeConnection::end_input() {
  ending_ = true;
  waiting_.clear();
  waiting_bytes_ = 0;
}

bool NativeConnection::has_room() const {
  return unanswered_ < connections_.options().max_pipeline && again_.empty() && !output_blocked();
}

bool NativeConnection::output_blocked() const {
  return wire_->queued_bytes() > connections_.options().pause_output_bytes;
}

// Whether a reply to a read has to be dropped because the client does not read the replies before it. The read
// is repeated later, which is linearizable: a read changes nothing.
bool NativeConnection::too_much(const port::Outcome& answer) const {
  const Options& options = connections_.options();
  return wire_ != nullptr && answer.status == BOP_OK &&
         wire_->queued_bytes() > options.pause_output_bytes + options.read_ahead_bytes;
}

void NativeConnection::ask_again() {
  while (!again_.empty() && reads_.has_room() && !output_blocked()) {
    const uint32_t place = again_.front();
    again_.pop_front();
    ask(place);
  }
}

// As in RespConnection::receive_on_or_pause.
void NativeConnection::receive_on_or_pause() {
  if (wire_ == nullptr) return;
  const bool blocked = !waiting_.empty() && output_blocked();
  const bool over_budget = waiting_bytes_ >= connections_.options().max_input_bytes;
  const bool read = ending_ || waiting_.empty() || (blocked && !over_budget && !stopping_);
  wire_->expect_progress(blocked && over_budget);
  if (read == reading_) return;
  reading_ = read;
  if (read) {
    wire_->resume();
  } else {
    wire_->pause();
  }
}

void NativeConnection::finish_when_replied() {
  if (!ending_ || unanswered_ != 0 || wire_ == nullptr || finishing_) return;
  finishing_ = true;
  if (goodbye_.code != BOP_OK) send(proto::ClientGoodbye{goodbye_.code, goodbye_.detail});
  wire_->finish({BOP_E_STOPPED, "closed after the last reply"});
}

bool NativeConnection::dispatch(const mem::Buffer& frame) {
  auto decoded = proto::decode_client_frame(frame);
  if (!decoded) {
    fail(decoded.error());
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
    fail({BOP_E_PROTOCOL,
          greeted_ ? "a frame that no client sends" : "the first frame is no hello"});
  }
  return true;
}

void NativeConnection::greet(const proto::ClientHello& hello) {
  const Options& options = connections_.options();
  if (hello.version_low > proto::client_version || hello.version_high < proto::client_version) {
    return fail({BOP_E_VERSION_MISMATCH,
                 fmt::format("this server speaks version {}, the client {} to {}",
                             proto::client_version, hello.version_low, hello.version_high)});
  }
  if (hello.cluster != proto::ClusterId{} && hello.cluster != options.cluster) {
    return fail({BOP_E_WRONG_CLUSTER,
                 fmt::format("this is cluster {}, the client wants {}",
                             proto::to_hex(options.cluster), proto::to_hex(hello.cluster))});
  }
  greeted_ = true;
  send(proto::ClientHelloAck{.cluster = options.cluster,
                             .node = options.node,
                             .max_frame_bytes = proto::max_client_frame_bytes,
                             .max_in_flight = options.max_pipeline});
}

bool NativeConnection::serve(proto::ClientRequest& request) {
  using Kind = proto::RequestKind;
  const bool read = request.kind == Kind::query;
  if (read && !reads_.has_room()) return false;
  connections_.native().commands.add();
  switch (request.kind) {
    case Kind::propose:
    case Kind::query: return submit(request);
    case Kind::status: status(request.correlation); return true;
    case Kind::find_group: find_group(request); return true;
    case Kind::ping:
      reply({.correlation = request.correlation}, request.payload.bytes());
      return true;
  }
  return true;
}

bool NativeConnection::submit(proto::ClientRequest& request) {
  node::Service& service = connections_.service();
  GroupId group = request.group;
  if (group == default_group_id) {
    const auto found = service.find_group(connections_.options().group);
    if (!found) {
      reply({.correlation = request.correlation,
             .status = found.error().code,
             .detail = found.error().detail},
            {});
      return true;
    }
    group = *found;
  }
  const uint32_t place = take_place(request.correlation);
  UnderWay& taken = places_[place];
  const Duration left = request.deadline_us == 0 ? connections_.options().deadline
                                                 : request.deadline_us * microseconds;
  const Instant deadline = taken.started + left;
  if (request.kind == proto::RequestKind::query) {
    taken.read = true;
    taken.group = group;
    taken.deadline = deadline;
    taken.question = std::move(request.payload);
    ask(place);
  } else {
    service.propose({.group = group,
                     .payload = std::move(request.payload),
                     .deadline = deadline,
                     .completion = this,
                     .token = place});
  }
  return true;
}

void NativeConnection::ask(uint32_t place) {
  reads_.begin();
  const UnderWay& read = places_[place];
  connections_.service().query({.group = read.group,
                                .payload = read.question,
                                .deadline = read.deadline,
                                .completion = this,
                                .token = place});
}

void NativeConnection::status(uint64_t correlation) {
  ++unanswered_;
  connections_.service().status([this, correlation](const node::NodeStatus& status) {
    --unanswered_;
    reply({.correlation = correlation}, as_bytes(status_json(status)));
    connections_.later(*this);
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

// ---- replies out ----

uint32_t NativeConnection::take_place(uint64_t correlation) {
  if (free_places_.empty()) {
    free_places_.push_back(static_cast<uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const uint32_t place = free_places_.back();
  free_places_.pop_back();
  places_[place].correlation = correlation;
  places_[place].started = connections_.service().now();
  ++unanswered_;
  return place;
}

NativeConnection::UnderWay NativeConnection::give_place(uint64_t token) {
  free_places_.push_back(static_cast<uint32_t>(token));
  --unanswered_;
  return std::exchange(places_[token], {});
}

void NativeConnection::complete(uint64_t token, const port::Outcome& answer) {
  if (places_[token].read) {
    reads_.end(answer.body.size());
    if (too_much(answer)) return again_.push_back(static_cast<uint32_t>(token));
  }
  const UnderWay request = give_place(token);
  auto& metrics = connections_.native();
  (request.read ? metrics.query_ns : metrics.propose_ns)
      .record(static_cast<uint64_t>(connections_.service().now() - request.started));
  const auto& addresses = connections_.options().native_addresses;
  const auto leader = addresses.find(answer.leader);
  reply({.correlation = request.correlation,
         .status = answer.status,
         .index = answer.index,
         .leader = answer.leader,
         .leader_address = leader == addresses.end() ? std::string_view() : leader->second,
         .detail = answer.detail},
        answer.body);
  if (!waiting_.empty() || !again_.empty() || ending_) connections_.later(*this);
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

// Closes after the requests in progress are answered and the reason is sent.
void NativeConnection::fail(const Error& error) {
  connections_.client_log().warning("{}: {}, closing", wire_->peer(), error.to_string());
  goodbye_ = error;
  end_input();
  receive_on_or_pause();
  finish_when_replied();
}

}  // namespace bop::serve

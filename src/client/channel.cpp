#include "client/channel.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace bop::client {
namespace {

// The size of the frame that begins here; 0: more bytes are needed.
Result<size_t> frame_size(Bytes bytes) {
  if (bytes.size() < sizeof(uint32_t)) return 0u;
  if (load_le<uint32_t>(bytes.data()) != proto::client_magic) {
    return fail(BOP_E_PROTOCOL, "the listener at this address is not a native listener of bop");
  }
  if (bytes.size() < 2 * sizeof(uint32_t)) return 0u;
  const uint32_t size = load_le<uint32_t>(bytes.data() + sizeof(uint32_t));
  if (size < proto::client_header_bytes || size > proto::max_client_frame_bytes) {
    return fail(BOP_E_PROTOCOL, "a frame of " + std::to_string(size) + " bytes");
  }
  return size;
}

constexpr unsigned most_doublings = 4;

}  // namespace

Channel::Channel(ChannelContext& context, size_t endpoint, const net::Address& address)
    : context_(context), endpoint_(endpoint), address_(address) {}

Channel::~Channel() = default;

void Channel::call() {
  BOP_ASSERT(state_ == State::idle);
  state_ = State::dialing;
  goodbye_ = {BOP_OK, {}};
  called_at_ = now();
  dial_ = context_.transport.dial(address_, patience(),
                                  [this](auto link) { connected(std::move(link)); });
}

void Channel::connected(Result<std::unique_ptr<Link>> link) {
  BOP_ASSERT(state_ == State::dialing);
  dial_.reset();
  if (!link) return lose(link.error());
  state_ = State::greeting;
  link_ = std::move(*link);
  dead_.reset();
  heard_ = now();
  link_->start(*this);
  context_.writer.begin();
  encode(proto::ClientHello{proto::client_version, proto::client_version, context_.cluster,
                            context_.name},
         context_.writer);
  write();
}

void Channel::send(const proto::ClientRequest& request) {
  BOP_ASSERT(state_ == State::ready);
  context_.writer.begin();
  encode(request, context_.writer);
  write();
}

void Channel::write() {
  for (const mem::Buffer& part : context_.writer.finish()) link_->append(part);
}

void Channel::check_silence(Instant now) {
  if (state_ == State::greeting && now - heard_ >= patience()) {
    link_->close({BOP_E_CONNECTION_LOST, "accepted the connection but did not answer"});
  }
  if (state_ != State::ready || sent_ == 0) return;
  const Duration silent = now - std::max(heard_, waiting_since_);
  if (silent >= 2 * patience() && asked_) {
    link_->close({BOP_E_CONNECTION_LOST, "stopped answering"});
  } else if (silent >= patience() && !asked_) {
    asked_ = true;
    proto::ClientRequest ping;
    ping.kind = proto::RequestKind::ping;
    send(ping);
  }
}

net::Consumed Channel::on_bytes(const mem::Buffer& bytes) {
  heard_ = now();
  asked_ = false;
  size_t used = 0;
  while (used < bytes.size()) {
    const Bytes rest = bytes.bytes().subspan(used);
    const Result<size_t> size = frame_size(rest);
    if (!size) {
      link_->close(size.error());
      return {bytes.size(), 0};
    }
    if (*size == 0 || *size > rest.size()) return {used, *size};
    if (const Status taken = take_frame(bytes.slice(used, *size)); !taken) {
      link_->close(taken.error());
      return {bytes.size(), 0};
    }
    used += *size;
  }
  return {used, 0};
}

Status Channel::take_frame(const mem::Buffer& frame) {
  BOP_TRY_ASSIGN(const proto::ClientFrame decoded, proto::decode_client_frame(frame));
  if (const auto* reply = std::get_if<proto::ClientReply>(&decoded)) {
    if (state_ != State::ready) return fail(BOP_E_PROTOCOL, "sent a reply before the greeting");
    context_.owner.on_reply(*this, *reply);
    return {};
  }
  if (const auto* ack = std::get_if<proto::ClientHelloAck>(&decoded)) return take_hello_ack(*ack);
  if (const auto* goodbye = std::get_if<proto::ClientGoodbye>(&decoded)) {
    goodbye_ = {static_cast<bop_status>(goodbye->status), std::string(goodbye->detail)};
    return {};
  }
  return fail(BOP_E_PROTOCOL, "sent a frame that only clients may send");
}

Status Channel::take_hello_ack(const proto::ClientHelloAck& ack) {
  if (state_ != State::greeting) return fail(BOP_E_PROTOCOL, "sent a second greeting");
  if (ack.version != proto::client_version) {
    return fail(BOP_E_VERSION_MISMATCH,
                "the server chose protocol version " + std::to_string(ack.version));
  }
  if (context_.cluster != proto::ClusterId{} && ack.cluster != context_.cluster) {
    return fail(BOP_E_WRONG_CLUSTER, "belongs to cluster " + proto::to_hex(ack.cluster));
  }
  state_ = State::ready;
  if (now() - called_at_ < context_.patience) impatient_ = 0;
  context_.owner.on_ready(*this);
  return {};
}

void Channel::on_closed(const Error& reason) {
  dead_ = std::move(link_);
  lose(goodbye_.code == BOP_OK ? reason : goodbye_);
}

void Channel::lose(const Error& reason) {
  const bool in_vain = state_ == State::dialing || state_ == State::greeting;
  if (in_vain && now() - called_at_ >= patience())
    impatient_ = std::min(impatient_ + 1, most_doublings);
  state_ = State::idle;
  context_.owner.on_lost(*this, reason);
}

}  // namespace bop::client

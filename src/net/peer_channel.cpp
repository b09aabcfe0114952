#include "net/peer_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "net/peer_frame.h"

namespace bop::net {

namespace {

// Refused for what it is, not for what happened: trying again soon would not help.
bool is_refusal(bop_status code) {
  return code == BOP_E_WRONG_CLUSTER || code == BOP_E_VERSION_MISMATCH ||
         code == BOP_E_WRONG_INCARNATION || code == BOP_E_PROTOCOL;
}

const char* channel_name(port::Channel channel) {
  return channel == port::Channel::control ? "control" : "bulk";
}

}  // namespace

PeerChannel::PeerChannel(const Owner& owner, const PeerAddress& peer, port::Channel channel)
    : owner_(owner),
      peer_(peer),
      channel_(channel),
      timer_(owner.streams.loop().make_timer([this] { on_time(); })) {}

StreamLimits PeerChannel::limits(const PeerOptions& options) {
  StreamLimits limits;
  limits.max_message_bytes = options.frames.max_bytes;
  // Frames are refused by send() before that; and two nodes must never wait for each other.
  limits.max_output_bytes = SIZE_MAX;
  limits.pause_reading_at = never_pause;
  limits.first_block_bytes = 64u << 10;
  limits.block_bytes = 256u << 10;
  limits.trust_wanted = true;
  limits.sends_in = port::Phase::submit;
  return limits;
}

uint64_t PeerChannel::most_queued() const {
  return channel_ == port::Channel::control ? owner_.options.max_queued_control_bytes
                                            : owner_.options.max_queued_bulk_bytes;
}

std::string PeerChannel::name() const {
  return fmt::format("node {} ({}), {} channel", peer_.id, peer_.address.to_string(),
                     channel_name(channel_));
}

// ---- calling ----

void PeerChannel::start() {
  if (calls()) dial_peer();
}

void PeerChannel::dial_peer() {
  state_ = State::dialling;
  dial_ =
      dial(owner_.streams, peer_.address, limits(owner_.options), owner_.options.connect_limit,
           [this](Result<std::unique_ptr<Connection>> result) { on_dialled(std::move(result)); });
}

void PeerChannel::on_dialled(Result<std::unique_ptr<Connection>> result) {
  dial_.reset();
  if (!result) {
    lose(result.error());
    return;
  }
  state_ = State::greeting;
  connection_ = std::move(*result);
  connection_->start(*this);
  connection_->append(owner_.handshake.hello(peer_.id, channel_));
  timer_->arm(loop().now() + owner_.options.connect_limit);
}

void PeerChannel::on_time() {
  if (state_ == State::waiting) {
    dial_peer();
  } else {
    BOP_ASSERT(state_ == State::greeting);
    lose({BOP_E_TIMEOUT, "no answer to the hello"});
  }
}

void PeerChannel::on_answer(const mem::Buffer& frame) {
  const Status verdict = owner_.handshake.judge_answer(peer_.id, channel_, frame);
  if (verdict) {
    become_up();
  } else {
    lose(verdict.error());
  }
}

void PeerChannel::wait_to_retry() {
  state_ = State::waiting;
  const PeerOptions& options = owner_.options;
  const Duration doubled = options.first_retry << std::min(failures_, 20u);
  const Duration longest =
      is_refusal(said_failure_) ? options.longest_retry : std::min(doubled, options.longest_retry);
  // Jitter, so that nodes that lost each other together do not call together.
  timer_->arm(loop().now() + owner_.random.between(longest / 2, longest));
}

// ---- called ----

void PeerChannel::take(std::unique_ptr<Connection> connection) {
  BOP_ASSERT(!calls());
  if (up()) lose({BOP_E_CONNECTION_LOST, "the peer connected anew"});
  connection_ = std::move(connection);
  connection_->hand_over(*this, limits(owner_.options));
  become_up();
}

// ---- up and down ----

void PeerChannel::become_up() {
  timer_->cancel();
  state_ = State::up;
  failures_ = 0;
  last_heard_ = loop().now();
  owner_.counters.connects.add();
  if (calls() || said_failure_ == BOP_OK) say_up();
  if (owner_.receiver != nullptr) owner_.receiver->on_channel(peer_.id, channel_, true);
}

void PeerChannel::cut(const std::string& why) {
  if (state_ == State::up) lose({BOP_E_CONNECTION_LOST, why});
}

void PeerChannel::on_closed(const Error& reason) { lose(reason); }

void PeerChannel::lose(const Error& reason) {
  const bool was_up = up();
  say_lost(reason);
  connection_.reset();
  timer_->cancel();
  state_ = State::down;
  if (calls()) wait_to_retry();
  ++failures_;
  if (was_up && owner_.receiver != nullptr) owner_.receiver->on_channel(peer_.id, channel_, false);
}

// One that called may yet refuse this node and hang up, each time: after a failure it is up, in words,
// when a frame comes.
void PeerChannel::say_up() {
  said_failure_ = BOP_OK;
  logging::info("{}: up", name());
}

// Once for each kind of failure until it is up again.
void PeerChannel::say_lost(const Error& reason) {
  if (std::exchange(said_failure_, reason.code) == reason.code) return;
  if (is_refusal(reason.code)) {
    logging::error("{}: {}", name(), reason.to_string());
  } else {
    logging::warning("{}: down: {}", name(), reason.to_string());
  }
}

// ---- frames ----

bool PeerChannel::send(std::span<const mem::Buffer> parts) {
  size_t size = 0;
  for (const mem::Buffer& part : parts) size += part.size();
  BOP_ASSERT_LE(size, owner_.options.frames.max_bytes);
  if (!up() || connection_->queued_bytes() + size > most_queued()) {
    owner_.counters.dropped_frames.add();
    return false;
  }
  for (const mem::Buffer& part : parts) connection_->append(part);
  owner_.counters.sent_frames.add();
  owner_.counters.sent_bytes.add(size);
  return true;
}

Consumed PeerChannel::on_bytes(const mem::Buffer& bytes) {
  last_heard_ = loop().now();
  if (up() && said_failure_ != BOP_OK) say_up();
  const PeerFrameShape& shape = owner_.options.frames;
  size_t at = 0;
  while (connection_ != nullptr) {
    const Bytes rest = bytes.bytes().subspan(at);
    const auto size = peer_frame_size(rest, shape, up() ? shape.max_bytes : shape.max_hello_bytes);
    if (!size) {
      lose(size.error());
      break;
    }
    if (*size == 0 || rest.size() < *size) return {at, std::max(*size, peer_prefix_bytes)};
    const mem::Buffer frame = bytes.slice(at, *size);
    at += *size;
    if (!up()) {
      on_answer(frame);
      continue;
    }
    owner_.counters.received_frames.add();
    owner_.counters.received_bytes.add(*size);
    if (owner_.receiver != nullptr) owner_.receiver->on_frame(peer_.id, frame);
  }
  return {at};
}

}  // namespace bop::net

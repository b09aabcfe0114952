#include "net/peer_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "net/peer_frame.h"

namespace bop::net {

namespace {

// Errors due to a node's identity or configuration: an early retry would not help.
bool is_refusal(bop_status code) {
  return code == BOP_E_WRONG_CLUSTER || code == BOP_E_VERSION_MISMATCH ||
         code == BOP_E_WRONG_INCARNATION || code == BOP_E_DIRECTORY_IN_USE ||
         code == BOP_E_BAD_CONFIG || code == BOP_E_PROTOCOL;
}

const char* channel_name(port::Channel channel) {
  return channel == port::Channel::control ? "control" : "bulk";
}

}  // namespace

PeerChannel::PeerChannel(const Owner& owner, PeerTransport::Counters& counters,
                         const PeerAddress& peer, port::Channel channel)
    : owner_(owner),
      counters_(counters),
      peer_(peer),
      channel_(channel),
      dialled_(peer.address),
      timer_(owner.streams.loop().make_timer([this] { on_time(); })) {}

StreamLimits PeerChannel::limits(const PeerOptions& options, port::Channel channel) {
  StreamLimits limits;
  limits.max_message_bytes = options.frames.max_bytes;
  // send() drops frames before that. Both sides always read, so that two nodes cannot wait for each other.
  limits.max_output_bytes = SIZE_MAX;
  limits.pause_reading_at = never_pause;
  limits.first_block_bytes = 64u << 10;
  limits.block_bytes = 256u << 10;
  limits.trust_wanted = true;
  limits.sends_in = port::Phase::submit;
  limits.urgent = channel == port::Channel::control;
  if (channel == port::Channel::bulk) limits.max_path_delay = options.max_bulk_delay;
  if (options.silence_limit != never) limits.unacknowledged_limit = options.silence_limit;
  return limits;
}

uint64_t PeerChannel::max_queued_bytes() const {
  return channel_ == port::Channel::control ? owner_.options.max_queued_control_bytes
                                            : owner_.options.max_queued_bulk_bytes;
}

std::string PeerChannel::name() const {
  return fmt::format("node {} ({}), {} channel", peer_.id, dialled_.to_string(),
                     channel_name(channel_));
}

// ---- connecting ----

void PeerChannel::start() {
  if (state_ != State::down) return;  // the peer connected before start()
  if (calls_first()) {
    dial_configured();
  } else {
    wait_to_retry();
  }
}

void PeerChannel::learn(const Address& address) {
  if (address == peer_.address)
    learned_.reset();
  else
    learned_ = address;
}

void PeerChannel::dial_configured() {
  configured_failure_.reset();
  dialled_ = peer_.address;
  dial_peer();
}

void PeerChannel::dial_learned(const Error& configured_failure) {
  configured_failure_ = configured_failure;
  dialled_ = *learned_;
  dial_peer();
}

void PeerChannel::dial_peer() {
  state_ = State::dialling;
  dial_ =
      dial(owner_.streams, dialled_, limits(owner_.options, channel_), owner_.options.connect_limit,
           [this](Result<std::unique_ptr<Connection>> result) { on_dialled(std::move(result)); });
}

void PeerChannel::on_dialled(Result<std::unique_ptr<Connection>> result) {
  BOP_ASSERT(state_ == State::dialling);
  dial_.reset();
  if (!result) {
    lose(result.error());
    return;
  }
  state_ = State::greeting;
  greeting_since_ = loop().now();
  connection_ = std::move(*result);
  connection_->start(*this);
  connection_->append(owner_.handshake.hello(peer_.id, channel_));
  timer_->arm(loop().now() + owner_.options.connect_limit);
}

void PeerChannel::on_time() {
  if (state_ == State::waiting) {
    dial_configured();
  } else {
    BOP_ASSERT(state_ == State::greeting);
    lose({BOP_E_TIMEOUT, "no answer to the hello"});
  }
}

void PeerChannel::on_answer(const mem::Buffer& frame) {
  const PeerHandshake::Answer answer = owner_.handshake.read_answer(peer_.id, channel_, frame);
  if (!answer.their_verdict) {
    const Error reason = answer.their_verdict.error();
    if (is_refusal(reason.code) && owner_.receiver != nullptr)
      owner_.receiver->on_refused(peer_.id, reason);
    return lose(reason);
  }
  Status verdict = answer.verdict;
  if (verdict) verdict = owner_.admit(peer_.id, answer.introduction, connection_->peer());
  if (!verdict) return refuse(verdict.error());
  become_up(true);
}

// The peer accepted this node, but this node does not accept the peer and tells it why.
void PeerChannel::refuse(const Error& reason) {
  connection_->append(owner_.handshake.answer(peer_.id, channel_, std::unexpected(reason)));
  owner_.dismiss(std::move(connection_), reason);
  lose(reason);
}

void PeerChannel::wait_to_retry() {
  state_ = State::waiting;
  const PeerOptions& options = owner_.options;
  const Duration doubled = options.first_retry << std::min(failures_, 20u);
  Duration longest = std::min(doubled, options.longest_retry);
  if (is_refusal(logged_failure_)) longest = options.longest_retry;
  // Jitter, so that nodes that were disconnected together do not connect at the same time. The side that
  // connects second waits for longer than the longest wait of the first.
  const Duration wait =
      calls_first() ? owner_.random.between(longest / 2, longest)
                    : owner_.random.between(options.longest_retry, options.longest_retry * 3 / 2);
  timer_->arm(loop().now() + wait);
}

// ---- accepting ----

bool PeerChannel::awaits_answer() const {
  return state_ == State::greeting && calls_first() &&
         owner_.streams.loop().now() < greeting_since_ + owner_.options.connect_limit / 2;
}

void PeerChannel::take(std::unique_ptr<Connection> connection) {
  BOP_ASSERT(!awaits_answer());
  if (up()) lose({BOP_E_CONNECTION_LOST, "the peer connected again"});
  dial_.reset();  // an attempt of this side, which the peer's replaces
  dialled_ = learned_.value_or(peer_.address);
  configured_failure_.reset();
  connection_ = std::move(connection);
  connection_->hand_over(*this, limits(owner_.options, channel_));
  become_up(false);
}

// ---- up and down ----

void PeerChannel::become_up(bool called) {
  timer_->cancel();
  state_ = State::up;
  failures_ = 0;
  first_frame_ = !called;
  last_heard_ = loop().now();
  progress_bytes_ = connection_->delivered_bytes();
  progress_at_ = loop().now();
  counters_.connects.add();
  if (configured_failure_) log_moved();
  if (called || logged_failure_ == BOP_OK) log_up();
  if (owner_.receiver != nullptr) owner_.receiver->on_channel(peer_.id, channel_, true);
}

void PeerChannel::cut(const std::string& why) {
  if (state_ == State::up) lose({BOP_E_CONNECTION_LOST, why});
}

void PeerChannel::check_progress() {
  if (!up()) return;
  const Instant now = loop().now();
  // Not what the system took: a slow link drains the system's buffer for seconds before it takes more.
  const uint64_t delivered = connection_->delivered_bytes();
  const uint64_t left = connection_->queued_bytes() + connection_->sent_bytes() - delivered;
  if (left == 0 || delivered != progress_bytes_) {
    progress_bytes_ = delivered;
    progress_at_ = now;
  } else if (now - progress_at_ >= owner_.options.silence_limit) {
    counters_.stalls.add();
    cut(fmt::format("{} bytes are queued or unacknowledged, and none arrived for {} ms", left,
                    (now - progress_at_) / milliseconds));
  }
}

void PeerChannel::on_closed(const Error& reason) { lose(reason); }

// The attempt under way, which failed, went to the configured address.
bool PeerChannel::failed_at_configured() const {
  return (state_ == State::dialling || state_ == State::greeting) && !configured_failure_;
}

void PeerChannel::lose(const Error& reason) {
  const bool was_up = up();
  connection_.reset();
  timer_->cancel();
  // Who answers that it is busy is the peer.
  const bool elsewhere = failed_at_configured() && reason.code != BOP_E_UNAVAILABLE;
  if (elsewhere && learned_) return dial_learned(reason);
  if (configured_failure_ && !was_up) {
    if (learned_ == dialled_) learned_.reset();
    log_lost({configured_failure_->code,
              fmt::format("{}; nor is it at {}: {}", configured_failure_->detail,
                          dialled_.to_string(), reason.to_string())});
  } else {
    log_lost(reason);
  }
  configured_failure_.reset();
  dialled_ = peer_.address;
  ++failures_;
  wait_to_retry();
  if (was_up && owner_.receiver != nullptr) owner_.receiver->on_channel(peer_.id, channel_, false);
}

// A peer that connected may still refuse this node and close, at each attempt. So after a failure the
// channel is logged as up only when a frame arrives.
void PeerChannel::log_up() {
  logged_failure_ = BOP_OK;
  logging::info("{}: up", name());
}

// Tells the operator that the configuration is out of date.
void PeerChannel::log_moved() {
  if (channel_ != port::Channel::control) return;
  logging::warning("node {} is not at its configured address, {} ({}): it is at {}", peer_.id,
                   peer_.address.to_string(), configured_failure_->to_string(),
                   dialled_.to_string());
}

// Logged once for each kind of failure until the channel is up again. UNAVAILABLE, as after simultaneous
// attempts of both sides, is not a failure.
void PeerChannel::log_lost(const Error& reason) {
  if (reason.code == BOP_E_UNAVAILABLE) return;
  if (std::exchange(logged_failure_, reason.code) == reason.code) return;
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
  if (!up() || connection_->queued_bytes() + size > max_queued_bytes()) {
    counters_.dropped_frames.add();
    return false;
  }
  for (const mem::Buffer& part : parts) connection_->append(part);
  counters_.sent_frames.add();
  counters_.sent_bytes.add(size);
  return true;
}

Consumed PeerChannel::on_bytes(const mem::Buffer& bytes) {
  last_heard_ = loop().now();
  const PeerFrameShape& shape = owner_.options.frames;
  size_t at = 0;
  while (connection_ != nullptr) {
    const Bytes rest = bytes.bytes().subspan(at);
    const auto size = peer_frame_size(rest, shape, up() ? shape.max_bytes : shape.max_hello_bytes);
    if (!size) {
      if (up()) counters_.bad_frames.add();
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
    if (std::exchange(first_frame_, false)) {
      if (const Status refused = owner_.handshake.read_refusal(peer_.id, frame); !refused) {
        if (owner_.receiver != nullptr) owner_.receiver->on_refused(peer_.id, refused.error());
        lose(refused.error());
        break;
      }
    }
    if (logged_failure_ != BOP_OK) log_up();
    counters_.received_frames.add();
    counters_.received_bytes.add(*size);
    if (owner_.receiver == nullptr) continue;
    if (const Status taken = owner_.receiver->on_frame(peer_.id, frame); !taken) {
      counters_.bad_frames.add();
      lose(taken.error());
    }
  }
  return {at};
}

}  // namespace bop::net

#include "capi/node/handshake.h"

#include "base/assert.h"

namespace bop::capi {

namespace {

mem::Buffer joined(std::span<const mem::Buffer> parts) {
  BOP_ASSERT_EQ(parts.size(), 1u);  // a hello fits in one part
  return parts.front();
}

port::Introduction introduction_of(const proto::PeerHeader& header) {
  const auto& section = header.sections.introduction;
  if (!section) return {};
  return {section->instance, std::string(section->address), std::string(section->native)};
}

// The item of a frame with exactly one, if it is an Item; else nullptr.
template <class Item>
const Item* only_item(const proto::PeerFrame& frame) {
  return frame.items.size() == 1 ? std::get_if<Item>(&frame.items.front()) : nullptr;
}

Status refusal_of(NodeId from, const proto::HelloAckItem& ack) {
  if (ack.status == BOP_OK) return {};
  return fail(static_cast<bop_status>(ack.status),
              "node " + std::to_string(from) + " refused: " + std::string(ack.detail));
}

}  // namespace

Handshake::Handshake(const node::Identity& identity, port::Introduction introduction,
                     node::Incarnations incarnations,
                     std::function<void(const node::Incarnations&)> learned)
    : identity_(identity),
      introduction_(std::move(introduction)),
      incarnations_(std::move(incarnations)),
      learned_(std::move(learned)) {
  BOP_ASSERT_NE(introduction_.instance, 0u);
}

// ---- incarnations ----

void Handshake::save_if_changed() {
  if (saving_ || !incarnations_.changed()) return;
  saving_ = true;
  incarnations_.begin_save();
  learned_(incarnations_);
}

void Handshake::saved(const Status& status) {
  BOP_ASSERT(saving_);
  saving_ = false;
  incarnations_.end_save(status.has_value());
  // Saves what was added in the meantime. After a failure the owner retries later.
  if (status) save_if_changed();
}

// ---- sending ----

proto::PeerHeader Handshake::header_to(NodeId to) const {
  proto::PeerHeader header;
  header.cluster = identity_.cluster;
  header.from = identity_.node;
  header.to = to;
  header.incarnation = identity_.incarnation;
  return header;
}

std::vector<uint8_t> Handshake::sections() const {
  std::vector<uint8_t> out;
  encode(proto::IntroductionSection{.instance = introduction_.instance,
                                    .address = introduction_.address,
                                    .native = introduction_.native},
         out);
  return out;
}

mem::Buffer Handshake::hello(NodeId to, port::Channel channel) {
  proto::HelloItem item;
  item.channel = static_cast<uint8_t>(channel);
  item.bootstrap = identity_.formation.low;
  writer_.begin(header_to(to), sections());
  const bool added = writer_.add(item);
  BOP_ASSERT(added);
  return joined(writer_.finish());
}

mem::Buffer Handshake::answer(NodeId to, port::Channel channel, const Status& verdict) {
  proto::HelloAckItem item;
  item.channel = static_cast<uint8_t>(channel);
  item.bootstrap = identity_.formation.low;
  if (!verdict) {
    item.status = verdict.error().code;
    item.detail = verdict.error().detail;
  }
  writer_.begin(header_to(to), sections());
  const bool added = writer_.add(item);
  BOP_ASSERT(added);
  return joined(writer_.finish());
}

// ---- receiving ----

Status Handshake::validate(const proto::PeerHeader& header, uint64_t bootstrap) {
  if (header.cluster != identity_.cluster)
    return fail(BOP_E_WRONG_CLUSTER, "node " + std::to_string(header.from) +
                                         " belongs to cluster " + proto::to_hex(header.cluster) +
                                         ", this node to " + proto::to_hex(identity_.cluster));
  if (header.to != identity_.node)
    return fail(BOP_E_PROTOCOL, "node " + std::to_string(header.from) + " expected node " +
                                    std::to_string(header.to) + ", but this is node " +
                                    std::to_string(identity_.node));
  if (bootstrap != identity_.formation.low)
    return fail(BOP_E_BAD_CONFIG, "node " + std::to_string(header.from) +
                                      " was formatted with other groups or voters");
  BOP_TRY(incarnations_.verify(header.from, header.incarnation));
  save_if_changed();
  return {};
}

net::PeerHandshake::Greeting Handshake::read_hello(const mem::Buffer& frame) {
  Greeting greeting;
  const auto decoded = decoder_.decode(frame);
  if (!decoded) {
    greeting.verdict = std::unexpected(decoded.error());
    return greeting;
  }
  const auto* hello = only_item<proto::HelloItem>(*decoded);
  if (hello == nullptr || hello->channel > static_cast<uint8_t>(port::Channel::bulk)) {
    greeting.verdict = fail(BOP_E_PROTOCOL, "the first frame is not a hello");
    return greeting;
  }
  greeting.from = decoded->header.from;
  greeting.channel = static_cast<port::Channel>(hello->channel);
  greeting.introduction = introduction_of(decoded->header);
  if (hello->version_low > proto::peer_version || hello->version_high < proto::peer_version)
    greeting.verdict =
        fail(BOP_E_VERSION_MISMATCH,
             "node " + std::to_string(greeting.from) + " supports versions " +
                 std::to_string(hello->version_low) + " to " + std::to_string(hello->version_high) +
                 ", this node " + std::to_string(proto::peer_version));
  else
    greeting.verdict = validate(decoded->header, hello->bootstrap);
  return greeting;
}

net::PeerHandshake::Answer Handshake::read_answer(NodeId from, port::Channel channel,
                                                  const mem::Buffer& frame) {
  Answer answer;
  const auto decoded = decoder_.decode(frame);
  if (!decoded) {
    answer.verdict = std::unexpected(decoded.error());
    return answer;
  }
  const auto* ack = only_item<proto::HelloAckItem>(*decoded);
  if (ack == nullptr || ack->channel != static_cast<uint8_t>(channel) ||
      decoded->header.from != from) {
    answer.verdict =
        fail(BOP_E_PROTOCOL, "the answer of node " + std::to_string(from) + " is not a hello ack");
    return answer;
  }
  answer.their_verdict = refusal_of(from, *ack);
  if (!answer.their_verdict) return answer;
  answer.introduction = introduction_of(decoded->header);
  answer.verdict = validate(decoded->header, ack->bootstrap);
  return answer;
}

Status Handshake::read_refusal(NodeId from, const mem::Buffer& frame) {
  const auto decoded = decoder_.decode(frame);
  if (!decoded) return {};  // malformed: the caller refuses the frame itself
  const auto* ack = only_item<proto::HelloAckItem>(*decoded);
  Status refusal = ack != nullptr ? refusal_of(from, *ack) : Status();
  decoder_.clear();
  return refusal;
}

}  // namespace bop::capi

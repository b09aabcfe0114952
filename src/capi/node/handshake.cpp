#include "capi/node/handshake.h"

#include "base/assert.h"

namespace bop::capi {

namespace {

mem::Buffer joined(std::span<const mem::Buffer> parts) {
  BOP_ASSERT_EQ(parts.size(), 1u);  // a hello is small
  return parts.front();
}

}  // namespace

Handshake::Handshake(const node::Identity& identity, node::Incarnations incarnations,
                     std::function<void(const node::Incarnations&)> learned)
    : identity_(identity), incarnations_(std::move(incarnations)), learned_(std::move(learned)) {}

proto::PeerHeader Handshake::header_to(NodeId to) const {
  proto::PeerHeader header;
  header.cluster = identity_.cluster;
  header.from = identity_.node;
  header.to = to;
  header.incarnation = identity_.incarnation;
  return header;
}

mem::Buffer Handshake::hello(NodeId to, port::Channel channel) {
  proto::HelloItem item;
  item.channel = static_cast<uint8_t>(channel);
  item.bootstrap = identity_.bootstrap.low;
  writer_.begin(header_to(to));
  const bool added = writer_.add(item);
  BOP_ASSERT(added);
  return joined(writer_.finish());
}

mem::Buffer Handshake::answer(NodeId to, port::Channel channel, const Status& verdict) {
  proto::HelloAckItem item;
  item.channel = static_cast<uint8_t>(channel);
  item.bootstrap = identity_.bootstrap.low;
  if (!verdict) {
    item.status = verdict.error().code;
    item.detail = verdict.error().detail;
  }
  writer_.begin(header_to(to));
  const bool added = writer_.add(item);
  BOP_ASSERT(added);
  return joined(writer_.finish());
}

Status Handshake::judge(const proto::PeerHeader& header, uint64_t bootstrap) {
  if (header.cluster != identity_.cluster)
    return fail(BOP_E_WRONG_CLUSTER, "node " + std::to_string(header.from) + " is of cluster " +
                                         proto::to_hex(header.cluster) + ", this node of " +
                                         proto::to_hex(identity_.cluster));
  if (header.to != identity_.node)
    return fail(BOP_E_PROTOCOL, "node " + std::to_string(header.from) + " meant node " +
                                    std::to_string(header.to) + ", this is node " +
                                    std::to_string(identity_.node));
  if (bootstrap != identity_.bootstrap.low)
    return fail(BOP_E_BAD_CONFIG, "node " + std::to_string(header.from) +
                                      " was formatted for other groups or voters");
  BOP_TRY(incarnations_.verify(header.from, header.incarnation));
  if (incarnations_.changed()) {
    learned_(incarnations_);
    incarnations_.saved();
  }
  return {};
}

net::PeerHandshake::Greeting Handshake::judge_hello(const mem::Buffer& frame) {
  Greeting greeting;
  const auto decoded = decoder_.decode(frame);
  if (!decoded) {
    greeting.verdict = std::unexpected(decoded.error());
    return greeting;
  }
  const auto* hello =
      decoded->items.size() == 1 ? std::get_if<proto::HelloItem>(&decoded->items.front()) : nullptr;
  if (hello == nullptr || hello->channel > static_cast<uint8_t>(port::Channel::bulk)) {
    greeting.verdict = fail(BOP_E_PROTOCOL, "the first frame is no hello");
    return greeting;
  }
  greeting.from = decoded->header.from;
  greeting.channel = static_cast<port::Channel>(hello->channel);
  if (hello->version_low > proto::peer_version || hello->version_high < proto::peer_version)
    greeting.verdict =
        fail(BOP_E_VERSION_MISMATCH, "node " + std::to_string(greeting.from) + " speaks versions " +
                                         std::to_string(hello->version_low) + " to " +
                                         std::to_string(hello->version_high) + ", this node " +
                                         std::to_string(proto::peer_version));
  else
    greeting.verdict = judge(decoded->header, hello->bootstrap);
  greeting.answer = answer(greeting.from, greeting.channel, greeting.verdict);
  return greeting;
}

Status Handshake::judge_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) {
  BOP_TRY_ASSIGN(const proto::PeerFrame decoded, decoder_.decode(frame));
  const auto* ack = decoded.items.size() == 1
                        ? std::get_if<proto::HelloAckItem>(&decoded.items.front())
                        : nullptr;
  if (ack == nullptr || ack->channel != static_cast<uint8_t>(channel) ||
      decoded.header.from != from)
    return fail(BOP_E_PROTOCOL, "the answer of node " + std::to_string(from) + " is no hello");
  if (ack->status != BOP_OK)
    return fail(static_cast<bop_status>(ack->status),
                "node " + std::to_string(from) + " refuses: " + std::string(ack->detail));
  return judge(decoded.header, ack->bootstrap);
}

}  // namespace bop::capi

#include "proto/client.h"

#include <fmt/format.h>

#include <cstring>

namespace bop::proto {

namespace {

constexpr size_t hello_bytes = 20;
constexpr size_t hello_ack_bytes = 44;
constexpr size_t request_bytes = 60;
constexpr size_t reply_bytes = 36;
constexpr size_t goodbye_bytes = 8;

// A frame whose first piece is being written. Its tail is shared when it is large, else copied.
class FrameStart {
 public:
  FrameStart(PartWriter& out, ClientFrameKind kind, size_t fixed_bytes, size_t text_bytes,
             Bytes tail, const mem::Buffer* shared_tail)
      : out_(out), tail_(tail), shared_tail_(shared_tail) {
    shared_ = shared_tail != nullptr && tail.size() >= share_from_bytes;
    const size_t size = client_header_bytes + fixed_bytes + text_bytes;
    head_ = {out.reserve(size + (shared_ ? 0 : tail.size())), size + (shared_ ? 0 : tail.size())};
    head_[12] = client_version;
    head_[13] = static_cast<uint8_t>(kind);
    store_le<uint16_t>(head_.data() + 14, 0);
    at_ = head_.data() + client_header_bytes;
  }
  template <class T>
  void put(T value) {
    store_le<T>(at_, value);
    at_ += sizeof value;
  }
  void bytes(Bytes bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void text(std::string_view text) { bytes(as_bytes(text)); }
  void seal() {
    if (!shared_) bytes(tail_);
    BOP_ASSERT(at_ == head_.data() + head_.size());
    seal_frame(client_magic, head_, shared_ ? tail_ : Bytes());
    if (shared_) out_.buffer(*shared_tail_);
  }

 private:
  PartWriter& out_;
  const Bytes tail_;
  const mem::Buffer* const shared_tail_;
  bool shared_ = false;
  std::span<uint8_t> head_;
  uint8_t* at_ = nullptr;
};

void encode_reply(const ClientReply& reply, Bytes body, const mem::Buffer* shared,
                  PartWriter& out) {
  const std::string_view address = reply.leader_address.substr(0, max_address_bytes);
  const std::string_view detail = reply.detail.substr(0, max_client_detail_bytes);
  FrameStart frame(out, ClientFrameKind::reply, reply_bytes, address.size() + detail.size(), body,
                   shared);
  frame.put<uint64_t>(reply.correlation);
  frame.put<uint64_t>(reply.index);
  frame.put<uint64_t>(reply.leader);
  frame.put<int32_t>(reply.status);
  frame.put<uint16_t>(static_cast<uint16_t>(address.size()));
  frame.put<uint16_t>(static_cast<uint16_t>(detail.size()));
  frame.put<uint32_t>(static_cast<uint32_t>(body.size()));
  frame.text(address);
  frame.text(detail);
  frame.seal();
}

Error malformed(std::string_view what) {
  return Error{BOP_E_PROTOCOL, fmt::format("a malformed {} frame", what)};
}

ClusterId read_cluster(Reader& reader) {
  ClusterId cluster{};
  const Bytes bytes = reader.bytes(cluster.size());
  std::copy(bytes.begin(), bytes.end(), cluster.begin());
  return cluster;
}

Result<ClientFrame> decode_hello(Reader body) {
  ClientHello hello;
  hello.version_low = body.u8();
  hello.version_high = body.u8();
  const uint16_t name_bytes = body.u16();
  hello.cluster = read_cluster(body);
  hello.name = as_text(body.bytes(name_bytes));
  if (!body.complete() || name_bytes > max_client_name_bytes) {
    return std::unexpected(malformed("hello"));
  }
  return hello;
}

Result<ClientFrame> decode_hello_ack(Reader body) {
  ClientHelloAck ack;
  ack.version = body.u8();
  body.u8();
  body.u16();
  ack.cluster = read_cluster(body);
  ack.node = body.u64();
  ack.max_frame_bytes = body.u32();
  ack.max_in_flight = body.u32();
  const uint64_t recovery_epoch = body.u64();
  if (!body.complete()) return std::unexpected(malformed("hello ack"));
  BOP_TRY(check_unused(recovery_epoch, "a recovered cluster"));
  return ack;
}

Result<ClientFrame> decode_request(const mem::Buffer& frame, Reader body) {
  ClientRequest request;
  request.correlation = body.u64();
  request.group = body.u64();
  const uint8_t kind = body.u8();
  const uint8_t read_level = body.u8();
  body.u16();
  request.deadline_us = body.u32();
  const uint32_t payload_bytes = body.u32();
  const uint64_t session = body.u64();
  const uint64_t sequence = body.u64();
  const uint32_t behind = body.u32();
  const uint32_t staleness_ms = body.u32();
  const uint64_t least_index = body.u64();
  request.payload = frame.slice(body.bytes(payload_bytes));
  if (!body.complete()) return std::unexpected(malformed("request"));
  BOP_TRY(check_unused(session | sequence | behind, "a command of a session"));
  BOP_TRY(check_unused(read_level | staleness_ms | least_index, "a read level"));
  const bool known = kind >= static_cast<uint8_t>(RequestKind::propose) &&
                     kind <= static_cast<uint8_t>(RequestKind::find_group);
  if (!known && kind != static_cast<uint8_t>(RequestKind::snapshot)) {
    return fail(BOP_E_VERSION_MISMATCH, fmt::format("a request of unknown kind {}", kind));
  }
  request.kind = static_cast<RequestKind>(kind);
  return request;
}

Result<ClientFrame> decode_reply(const mem::Buffer& frame, Reader body) {
  ClientReply reply;
  reply.correlation = body.u64();
  reply.index = body.u64();
  reply.leader = body.u64();
  reply.status = body.read<int32_t>();
  const uint16_t address_bytes = body.u16();
  const uint16_t detail_bytes = body.u16();
  const uint32_t body_bytes = body.u32();
  reply.leader_address = as_text(body.bytes(address_bytes));
  reply.detail = as_text(body.bytes(detail_bytes));
  reply.body = frame.slice(body.bytes(body_bytes));
  if (!body.complete() || address_bytes > max_address_bytes ||
      detail_bytes > max_client_detail_bytes) {
    return std::unexpected(malformed("reply"));
  }
  return reply;
}

Result<ClientFrame> decode_goodbye(Reader body) {
  ClientGoodbye goodbye;
  goodbye.status = body.read<int32_t>();
  const uint16_t detail_bytes = body.u16();
  body.u16();
  goodbye.detail = as_text(body.bytes(detail_bytes));
  if (!body.complete() || detail_bytes > max_client_detail_bytes) {
    return std::unexpected(malformed("goodbye"));
  }
  return goodbye;
}

}  // namespace

void encode(const ClientHello& hello, PartWriter& out) {
  const std::string_view name = hello.name.substr(0, max_client_name_bytes);
  FrameStart frame(out, ClientFrameKind::hello, hello_bytes, name.size(), {}, nullptr);
  frame.put<uint8_t>(hello.version_low);
  frame.put<uint8_t>(hello.version_high);
  frame.put<uint16_t>(static_cast<uint16_t>(name.size()));
  frame.bytes(hello.cluster);
  frame.text(name);
  frame.seal();
}

void encode(const ClientHelloAck& ack, PartWriter& out) {
  FrameStart frame(out, ClientFrameKind::hello_ack, hello_ack_bytes, 0, {}, nullptr);
  frame.put<uint8_t>(ack.version);
  frame.put<uint8_t>(0);
  frame.put<uint16_t>(0);
  frame.bytes(ack.cluster);
  frame.put<uint64_t>(ack.node);
  frame.put<uint32_t>(ack.max_frame_bytes);
  frame.put<uint32_t>(ack.max_in_flight);
  frame.put<uint64_t>(0);  // recovery epoch
  frame.seal();
}

void encode(const ClientRequest& request, PartWriter& out) {
  FrameStart frame(out, ClientFrameKind::request, request_bytes, 0, request.payload.bytes(),
                   &request.payload);
  frame.put<uint64_t>(request.correlation);
  frame.put<uint64_t>(request.group);
  frame.put<uint8_t>(static_cast<uint8_t>(request.kind));
  frame.put<uint8_t>(0);  // read level: linearizable
  frame.put<uint16_t>(0);
  frame.put<uint32_t>(request.deadline_us);
  frame.put<uint32_t>(static_cast<uint32_t>(request.payload.size()));
  frame.put<uint64_t>(0);  // session
  frame.put<uint64_t>(0);  // sequence
  frame.put<uint32_t>(0);  // behind
  frame.put<uint32_t>(0);  // maximum staleness in milliseconds
  frame.put<uint64_t>(0);  // least index
  frame.seal();
}

void encode(const ClientReply& reply, PartWriter& out) {
  encode_reply(reply, reply.body.bytes(), &reply.body, out);
}

void encode(const ClientReply& reply, Bytes body, PartWriter& out) {
  encode_reply(reply, body, nullptr, out);
}

void encode(const ClientGoodbye& goodbye, PartWriter& out) {
  const std::string_view detail = goodbye.detail.substr(0, max_client_detail_bytes);
  FrameStart frame(out, ClientFrameKind::goodbye, goodbye_bytes, detail.size(), {}, nullptr);
  frame.put<int32_t>(goodbye.status);
  frame.put<uint16_t>(static_cast<uint16_t>(detail.size()));
  frame.put<uint16_t>(0);
  frame.text(detail);
  frame.seal();
}

Result<ClientFrame> decode_client_frame(const mem::Buffer& frame) {
  BOP_TRY_ASSIGN(const Bytes opened, open_frame(client_format, frame.bytes()));
  Reader reader(opened);
  const uint8_t version = reader.u8();
  const uint8_t kind = reader.u8();
  const uint16_t flags = reader.u16();
  const Reader body(reader.rest());
  // A hello has the same form in all versions, since it offers the versions that the client can speak.
  if (version != client_version && kind != static_cast<uint8_t>(ClientFrameKind::hello)) {
    return fail(BOP_E_VERSION_MISMATCH, fmt::format("a client frame of version {}", version));
  }
  if (version == client_version && flags != 0) {
    return fail(BOP_E_PROTOCOL, fmt::format("a client frame with unknown flags {:#x}", flags));
  }
  switch (static_cast<ClientFrameKind>(kind)) {
    case ClientFrameKind::hello: return decode_hello(body);
    case ClientFrameKind::hello_ack: return decode_hello_ack(body);
    case ClientFrameKind::request: return decode_request(frame, body);
    case ClientFrameKind::reply: return decode_reply(frame, body);
    case ClientFrameKind::goodbye: return decode_goodbye(body);
  }
  return fail(BOP_E_VERSION_MISMATCH, fmt::format("a client frame of unknown kind {}", kind));
}

}  // namespace bop::proto

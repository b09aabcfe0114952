// The native client protocol: many requests in flight on one connection, answered in any order.
// Byte table: docs/formats/client.md; examples: clients/spec/client.json.
//
//   client                     server
//     hello ──────────────────►        version range, cluster wanted (or none), a name
//     ◄──────────────── hello_ack      version chosen, cluster, node, limits
//     request ────────────────►
//     request ────────────────►
//     ◄───────────────────  reply      by correlation, whichever is done first
//     ◄─────────────────  goodbye      why the server closes: the last frame of a connection
//
// Frames begin as proto/frame.h says, with a magic number of their own; FrameSplitter cuts streams.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/result.h"
#include "mem/buffer.h"
#include "proto/frame.h"
#include "proto/part_writer.h"

namespace bop::proto {

inline constexpr uint8_t client_version = 1;
inline constexpr uint32_t client_magic = 0x43504f42;  // "BOPC"
inline constexpr size_t client_header_bytes = 16;
inline constexpr uint32_t max_client_frame_bytes = 8u << 20;
inline constexpr size_t max_client_name_bytes = 256;
inline constexpr size_t max_client_detail_bytes = 1024;
inline constexpr size_t max_address_bytes = 256;
inline constexpr FrameFormat client_format{client_magic, client_header_bytes,
                                           max_client_frame_bytes};

enum class ClientFrameKind : uint8_t {
  hello = 1,
  hello_ack = 2,
  request = 3,
  reply = 4,
  goodbye = 5
};

struct ClientHello {
  uint8_t version_low = client_version;
  uint8_t version_high = client_version;
  ClusterId cluster{};         // all zero: any
  std::string_view name = {};  // of the program, for people
};

struct ClientHelloAck {
  uint8_t version = client_version;
  ClusterId cluster{};
  NodeId node = 0;
  uint32_t max_frame_bytes = max_client_frame_bytes;
  uint32_t max_in_flight = 0;  // requests of one connection; one more waits, it is not refused
};

enum class RequestKind : uint8_t {
  propose = 1,     // payload: a command of the group's machine
  query = 2,       // payload: a question
  status = 3,      // no payload; the reply's body is what GET /v1/status gives
  ping = 4,        // the reply's body is the payload
  find_group = 5,  // payload: a group's name; the reply's body is its id, u64
};

struct ClientRequest {
  uint64_t correlation = 0;  // the client's own, comes back with the reply
  RequestKind kind = RequestKind::ping;
  GroupId group = 0;
  uint32_t deadline_us = 0;  // how long the client still waits; 0: the server's default
  mem::Buffer payload = {};
};

struct ClientReply {
  uint64_t correlation = 0;
  int32_t status = 0;                    // of bop/error.h
  Index index = 0;                       // of the entry; 0: not proposed
  NodeId leader = 0;                     // a hint; 0: unknown
  std::string_view leader_address = {};  // of its native listener; empty: unknown
  std::string_view detail = {};          // words for people
  mem::Buffer body = {};
};

struct ClientGoodbye {
  int32_t status = 0;
  std::string_view detail = {};
};

using ClientFrame =
    std::variant<ClientHello, ClientHelloAck, ClientRequest, ClientReply, ClientGoodbye>;

// Each appends one sealed frame to `out`. Texts longer than their limit are cut.
void encode(const ClientHello& hello, PartWriter& out);
void encode(const ClientHelloAck& ack, PartWriter& out);
void encode(const ClientRequest& request, PartWriter& out);
void encode(const ClientReply& reply, PartWriter& out);
// The body is copied from bytes that are valid during the call only.
void encode(const ClientReply& reply, Bytes body, PartWriter& out);
void encode(const ClientGoodbye& goodbye, PartWriter& out);

// Decodes one whole frame; views point into it, payload and body share its block.
// PROTOCOL, TOO_LARGE or VERSION_MISMATCH.
Result<ClientFrame> decode_client_frame(const mem::Buffer& frame);

}  // namespace bop::proto

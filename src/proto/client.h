// The native client protocol: many requests in flight on one connection, with replies in any order.
// Byte table: docs/formats/client.md; examples: clients/spec/client.json.
//
//   client                     server
//     hello ──────────────────►        range of versions, expected cluster (or none), a name
//     ◄──────────────── hello_ack      chosen version, cluster, node, limits
//     request ────────────────►
//     request ────────────────►
//     ◄───────────────────  reply      matched by correlation; sent when the request is done
//     ◄─────────────────  goodbye      why the server closes: the last frame of a connection
//
// Frames begin with the prefix of proto/frame.h and their own magic number; FrameSplitter cuts streams.
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

inline constexpr uint8_t client_version = 2;
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
  uint8_t version_low = client_version;  // the protocol versions that the client can speak
  uint8_t version_high = client_version;
  ClusterId cluster{};         // the cluster that the client expects; all zero: any
  std::string_view name = {};  // of the client program, for people; at most max_client_name_bytes
};

struct ClientHelloAck {
  uint8_t version = client_version;                   // of both directions from now on
  ClusterId cluster{};                                // of the server
  NodeId node = 0;                                    // the server
  uint32_t max_frame_bytes = max_client_frame_bytes;  // the server closes at a larger frame
  uint32_t max_in_flight = 0;  // requests of one connection; further ones wait and are not refused
};

enum class RequestKind : uint8_t {
  propose = 1,     // payload: a command of the group's machine
  query = 2,       // payload: a query of the group's machine
  status = 3,      // no payload; the reply's body is the JSON of GET /v1/status
  ping = 4,        // the reply's body is the payload
  find_group = 5,  // payload: a group's name; the reply's body is its id, u64
  snapshot = 9,    // payload: a SnapshotAction, u8, and a group's name; the reply's body is JSON
};

// Of the snapshots of a group's replica on the node that receives the request.
enum class SnapshotAction : uint8_t {
  take = 1,    // the reply's body has the snapshot that was taken
  list = 2,    // all of them, by index
  verify = 3,  // the newest, whose parts match their digests; DAMAGED: one does not
};

struct ClientRequest {
  uint64_t correlation = 0;  // chosen by the client, returned in the reply
  RequestKind kind = RequestKind::ping;
  GroupId group = 0;         // of propose and query; else 0
  uint32_t deadline_us = 0;  // how much longer the client waits, in µs; 0: the server's default
  mem::Buffer payload = {};
};

struct ClientReply {
  uint64_t correlation = 0;              // of the request
  int32_t status = 0;                    // a bop_status
  Index index = 0;                       // of the proposal's entry; 0: it was not proposed
  NodeId leader = 0;                     // a hint; 0: unknown
  std::string_view leader_address = {};  // of the leader's native listener; empty: unknown
  std::string_view detail = {};          // explains an error to people
  mem::Buffer body = {};                 // the machine's reply, or see RequestKind
};

struct ClientGoodbye {
  int32_t status = 0;            // a bop_status: why the server closes
  std::string_view detail = {};  // explains it to people
};

using ClientFrame =
    std::variant<ClientHello, ClientHelloAck, ClientRequest, ClientReply, ClientGoodbye>;

// Each appends one complete frame to `out`. Texts longer than their limit are truncated.
void encode(const ClientHello& hello, PartWriter& out);
void encode(const ClientHelloAck& ack, PartWriter& out);
void encode(const ClientRequest& request, PartWriter& out);
void encode(const ClientReply& reply, PartWriter& out);
// With a body that is only valid during the call, and so is copied.
void encode(const ClientReply& reply, Bytes body, PartWriter& out);
void encode(const ClientGoodbye& goodbye, PartWriter& out);

// Decodes one whole frame; string views point into it, payload and body share its block.
// PROTOCOL, TOO_LARGE or VERSION_MISMATCH.
Result<ClientFrame> decode_client_frame(const mem::Buffer& frame);

}  // namespace bop::proto

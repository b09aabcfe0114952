// Encodes a machine's outcome as the reply that a Redis client expects. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mem/buffer.h"
#include "port/requests.h"
#include "proto/resp.h"
#include "serve/scan_cursors.h"

namespace bop::serve {

// How the reply to a command is to be encoded.
struct PendingReply {
  enum class Kind : uint8_t {
    ready,        // already encoded
    ok,           // +OK
    ok_or_null,   // SET NX, SET XX
    previous,     // GETSET, GETDEL, SET GET: the value before
    did,          // SETNX: 1 or 0
    new_integer,  // INCR and its kin
    new_length,   // APPEND
    present,      // DEL, EXISTS: the number of records that existed
    value,        // GET
    values,       // MGET
    length,       // STRLEN
    type,         // TYPE
    count,        // DBSIZE
    scan,         // SCAN
    info,         // INFO
  };
  Kind kind = Kind::ready;
  uint8_t version = 2;    // of the protocol, when the command was received
  mem::Buffer note = {};  // SCAN: the pattern; INFO: the sections
};

void write_reply(proto::RespWriter& out, const PendingReply& pending, const port::Outcome& outcome,
                 ScanCursors& cursors, Instant now);

// "CLUSTERDOWN no leader can be reached, nothing was executed": an error code, of Redis if it has a suitable one, and a
// text.
std::string resp_error(bop_status status, std::string_view detail);

// Of a command, or of a subcommand as "client|setname".
std::string wrong_arity(std::string_view command);

}  // namespace bop::serve

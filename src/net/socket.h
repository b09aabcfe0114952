// The sockets of this room: TCP and UNIX ones alike, on a loop's io_context without type erasure.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "base/time.h"

namespace bop::net {

using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;
using Endpoint = boost::asio::generic::stream_protocol::endpoint;

// Makes a connected native socket this one's, and sets what every connection has: no blocking, no
// delay of small writes, probes that find a dead other side. Closes it when that fails.
boost::system::error_code assign(Socket& socket, int native);

// Bytes that were written and that the other side's system has not acknowledged.
uint64_t unacknowledged_bytes(const Socket& socket);

// Lost packets are sent again at a steady pace, and the system and networks that look at it send its packets first.
void set_urgent(Socket& socket);

// Has the system close a TCP connection whose sent bytes stay unacknowledged for `limit`; 0: its default.
void set_unacknowledged_limit(Socket& socket, Duration limit);

}  // namespace bop::net

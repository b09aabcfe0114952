// The socket type of this module, for TCP and UNIX sockets, on a loop's io_context without type erasure.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "base/time.h"

namespace bop::net {

using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;
using Endpoint = boost::asio::generic::stream_protocol::endpoint;

// Takes over a connected native socket and sets the options of every connection: non-blocking, no delay of
// small writes, keepalive probes. On failure the socket is closed.
boost::system::error_code assign(Socket& socket, int native);

// The number of written bytes that the other side's system has not acknowledged.
uint64_t unacknowledged_bytes(const Socket& socket);

// Lost packets are retransmitted at a steady pace, and the system and networks that honour priorities send this
// socket's packets first.
void set_urgent(Socket& socket);

// The system closes a TCP connection whose sent bytes stay unacknowledged for `limit`. 0: its default.
void set_unacknowledged_limit(Socket& socket, Duration limit);

}  // namespace bop::net

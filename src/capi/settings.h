// Settings: a validated configuration in the option structs of the modules that use it, with all defaults.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file/file_system.h"
#include "node/options.h"

namespace bop::capi {

using node::GroupSpec;
using Peer = node::PeerSpec;

// Limits of client connections: the keys limits.*.
struct ClientLimits {
  uint32_t connections = 0;   // of each listener
  uint32_t in_flight = 0;     // requests in progress on one connection
  uint64_t output_bytes = 0;  // replies of one connection that its client has not read
  uint64_t input_bytes =
      0;  // commands received on one connection while its client reads no replies
  uint64_t total_output_bytes = 0;  // as output_bytes, of all connections together
  uint64_t total_input_bytes =
      0;  // received and not yet executed commands, of all connections together
};

struct Settings {
  std::string data_directory;
  bool insecure = false;  // addresses outside loopback are permitted

  // HOST:PORT; empty: no listener.
  std::string listen_native, listen_resp, listen_http, listen_peer;
  // Host names that HTTP clients may use in addition to the listener's address and localhost.
  std::vector<std::string> http_hosts;

  std::vector<Peer> peers;  // sorted by id, including this node
  // Without what is known only at the start, such as incarnation, version and fresh. Groups are sorted by id and have
  // their voters.
  node::ShardOptions node;
  io::FileSystemOptions files;
  ClientLimits limits;
};

}  // namespace bop::capi

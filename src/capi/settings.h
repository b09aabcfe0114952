// Settings: a configuration that was checked, in the option structs of the modules that use it: typed and
// complete, with every default filled in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file/file_system.h"
#include "node/options.h"

namespace bop::capi {

using node::GroupSpec;
using Peer = node::PeerSpec;

// Of the connections of clients (limits.*).
struct ClientLimits {
  uint32_t connections = 0;         // of each listener
  uint32_t in_flight = 0;           // requests of one connection
  uint64_t output_bytes = 0;        // replies of one connection that its client has not read
  uint64_t input_bytes = 0;         // commands of one connection while its client reads no replies
  uint64_t total_output_bytes = 0;  // of all connections
  uint64_t total_input_bytes = 0;
};

struct Settings {
  std::string data_directory;
  bool insecure = false;

  // HOST:PORT; empty: not served.
  std::string listen_native, listen_resp, listen_http, listen_peer;
  // Names for HTTP clients, beside the listener's and localhost.
  std::vector<std::string> http_hosts;

  std::vector<Peer> peers;  // by id, this node among them
  // What the data directory and the process know (incarnation, version, fresh and the like) is added at the
  // start. Its groups are sorted by id, their voters filled in.
  node::ShardOptions node;
  io::FileSystemOptions files;
  ClientLimits limits;
};

}  // namespace bop::capi

// Whatever arrives at the port for nodes: strangers, hellos, frames of any length. A frame that comes
// through is one of the stream's, whole.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "base/bytes.h"
#include "base/logging.h"
#include "feed.h"
#include "net/peer_transport.h"

namespace {

constexpr uint32_t magic = 0x46504f42;

// Node 1, on the channel of its hello's ninth byte; odd ones are refused.
class Handshake final : public bop::net::PeerHandshake {
 public:
  bop::mem::Buffer hello(bop::NodeId, bop::port::Channel) override { std::abort(); }
  Greeting read_hello(const bop::mem::Buffer& frame) override {
    Greeting greeting;
    greeting.from = 1;
    const uint8_t choice = frame.size() > 8 ? frame.data()[8] : 0;
    greeting.channel = static_cast<bop::port::Channel>(choice & 1);
    if ((choice & 2) != 0) greeting.verdict = bop::fail(BOP_E_WRONG_CLUSTER);
    if ((choice & 4) != 0) greeting.from = choice;
    return greeting;
  }
  bop::mem::Buffer answer(bop::NodeId, bop::port::Channel, const bop::Status&) override {
    static constexpr uint8_t bytes[12] = {'B', 'O', 'P', 'F', 12};
    return bop::mem::Buffer::copy(bytes);
  }
  Answer read_answer(bop::NodeId, bop::port::Channel, const bop::mem::Buffer&) override {
    std::abort();
  }
  bop::Status read_refusal(bop::NodeId, const bop::mem::Buffer& frame) override {
    if (frame.data()[8 % frame.size()] == 255) return bop::fail(BOP_E_WRONG_CLUSTER);
    return {};
  }
};

class Receiver final : public bop::port::TransportReceiver {
 public:
  bop::Status on_frame(bop::NodeId from, bop::mem::Buffer frame) override {
    if (from != 1 || frame.size() < 8 || bop::load_le<uint32_t>(frame.data()) != magic ||
        bop::load_le<uint32_t>(frame.data() + 4) != frame.size()) {
      std::abort();
    }
    if (frame.size() > 12 && frame.data()[12] == 255) return bop::fail(BOP_E_PROTOCOL);
    return {};
  }
  void on_channel(bop::NodeId, bop::port::Channel, bool) override {}
};

int connect_to(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  if (connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) std::abort();
  return socket;
}

struct Node {
  Node() : streams(loop) {
    bop::logging::start({.level = bop::logging::Level::off});
    bop::net::PeerOptions options;
    options.self = 2;
    options.listen.path = "/tmp/bop-fuzz-" + std::to_string(getpid()) + ".sock";
    options.peers = {{1, {.host = "127.0.0.1", .port = 1, .path = {}}}};
    options.frames = {
        .magic = magic, .min_bytes = 12, .max_bytes = 1u << 20, .max_hello_bytes = 512};
    options.silence_limit = bop::never;
    options.longest_retry = 3600 * bop::seconds;  // only others call
    transport = bop::net::PeerTransport::open(streams, options, handshake, registry).value();
    transport->set_receiver(&receiver);
    transport->start();
  }

  bop::io::Loop loop;
  bop::net::Streams streams;
  bop::metrics::Registry registry;
  Handshake handshake;
  Receiver receiver;
  std::unique_ptr<bop::net::PeerTransport> transport;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Node node;
  const int socket = connect_to(node.transport->address().path);
  node.loop.run_turn(node.loop.now());
  bop::fuzz::feed(node.loop, socket, data, size);
  node.transport->cut(1);
  if (node.streams.open_connections() != 0) std::abort();
  return 0;
}

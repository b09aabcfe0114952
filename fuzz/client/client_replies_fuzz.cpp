// A server that says whatever it likes to the native client: every call is completed once, and no
// command is sent twice that may have been executed.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "../frames.h"
#include "base/assert.h"
#include "base/logging.h"
#include "client/core.h"
#include "io/loop.h"
#include "proto/client.h"

namespace {

using namespace bop;
using namespace bop::client;

class Count final : public Listener {
 public:
  void complete(const Outcome& outcome) override {
    ++completed;
    BOP_ASSERT(done.emplace(outcome.tag, outcome.attempts).second);
    if (outcome.status == BOP_E_OUTCOME_UNKNOWN && outcome.tag == 0) BOP_ASSERT(outcome.attempts);
  }
  std::map<uint64_t, uint32_t> done;
  size_t completed = 0;
};

class FakeServer {
 public:
  FakeServer() : path_("/tmp/bop-fuzz-client-" + std::to_string(getpid()) + ".sock") {
    unlink(path_.c_str());
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path_.c_str(), sizeof name.sun_path - 1);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
        listen(listener_, 16) != 0) {
      std::abort();
    }
  }
  ~FakeServer() {
    close(listener_);
    unlink(path_.c_str());
  }

  const std::string& path() const { return path_; }
  bool connected() const { return connection_ >= 0; }
  void accept_one() {
    if (connection_ < 0) connection_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  }
  void say(std::string_view bytes) {
    if (send(connection_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) hang_up();
  }
  void hear() {
    char dropped[65536];
    while (recv(connection_, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
    }
  }
  void hang_up() {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
  }
  // What was dialed and not accepted.
  void forget() {
    hang_up();
    for (accept_one(); connected(); accept_one()) hang_up();
  }

 private:
  const std::string path_;
  int listener_ = -1;
  int connection_ = -1;
};

// A leader's address is called: only this server's is let through.
std::string harmless(std::string piece, const std::string& path) {
  const mem::Buffer frame = mem::Buffer::copy(as_bytes(piece));
  auto decoded = proto::decode_client_frame(frame);
  auto* reply = decoded ? std::get_if<proto::ClientReply>(&*decoded) : nullptr;
  if (reply == nullptr || reply->leader_address.empty()) return piece;
  const std::string address = "unix:" + path + (reply->leader_address.size() % 2 == 0 ? "" : "x");
  reply->leader_address = address;
  proto::PartWriter out;
  out.begin();
  encode(*reply, out);
  piece.clear();
  for (const mem::Buffer& part : out.finish()) piece += as_text(part.bytes());
  return piece;
}

Call make_call(io::Loop& loop, uint64_t tag) {
  constexpr proto::RequestKind kinds[] = {proto::RequestKind::propose, proto::RequestKind::query,
                                          proto::RequestKind::status};
  Call call;
  call.tag = tag;
  call.kind = kinds[tag % 3];
  if (call.kind != proto::RequestKind::status) call.group_name = "kv";
  call.deadline = loop.now() + 60 * seconds;
  return call;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static io::Loop loop;
  static net::Streams streams(loop);
  static FakeServer server;
  logging::start({.level = logging::Level::off});

  Options options;
  net::Address address;
  address.path = server.path();
  options.endpoints = {address};
  Count listener;
  {
    Core core(options, listener, loop, streams);
    loop.run_turn(loop.now());
    uint64_t calls = 0;
    const auto begin = [&] { core.begin(make_call(loop, calls++)); };
    begin();
    Reader in({data, size});
    while (in.remaining() > 0 && calls < 100) {
      if (!server.connected()) {
        server.accept_one();
        for (int turn = 0; turn < 2; ++turn) loop.run_turn(loop.now());
      }
      const uint8_t what = in.u8();
      if (what >= 240) server.hang_up();
      if ((what & 1) != 0) begin();
      const auto next = fuzz::next_piece(proto::client_magic, in);
      if (!next) break;
      const std::string piece = harmless(*next, server.path());
      if (server.connected() && !piece.empty()) server.say(piece);
      loop.run_turn(loop.now());
      if (server.connected()) server.hear();
    }
    server.hang_up();
    for (int turn = 0; turn < 2; ++turn) loop.run_turn(loop.now());
    core.stop();
    BOP_ASSERT_EQ(listener.completed, calls);
  }
  for (int turn = 0; turn < 3; ++turn) loop.run_turn(loop.now());
  server.forget();
  BOP_ASSERT_EQ(streams.open_connections(), 0u);
  return 0;
}

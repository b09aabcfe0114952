// A server that says whatever it likes to the native client, over a transport in memory and on a clock that
// the input moves: every call is completed once, and an outcome is unknown only of a command that was sent.
#include <map>
#include <string>

#include "../../tests/client/memory_transport.h"
#include "../frames.h"
#include "base/assert.h"
#include "base/logging.h"
#include "client/core.h"
#include "proto/client.h"

namespace {

using namespace bop;
using namespace bop::client;

constexpr proto::RequestKind kinds[] = {proto::RequestKind::propose, proto::RequestKind::query,
                                        proto::RequestKind::status};

class Count final : public Listener {
 public:
  void complete(const Outcome& outcome) override {
    BOP_ASSERT(done.emplace(outcome.tag, outcome.attempts).second);
    if (outcome.status != BOP_E_OUTCOME_UNKNOWN) return;
    BOP_ASSERT(kinds[outcome.tag % 3] == proto::RequestKind::propose);
    BOP_ASSERT(outcome.attempts > 0);
  }
  std::map<uint64_t, uint32_t> done;  // attempts by tag
};

Call make_call(Instant now, uint64_t tag) {
  Call call;
  call.tag = tag;
  call.kind = kinds[tag % 3];
  if (call.kind != proto::RequestKind::status) call.group_name = "kv";
  call.deadline = now + 60 * seconds;
  return call;
}

// How far the clock moves before the next piece. Mostly not at all.
Duration pause_of(uint8_t what) {
  if (what >= 232 && what < 240) return 61 * seconds;  // beyond every deadline
  if ((what & 14) == 14) return 1 * seconds;           // silence
  if ((what & 6) == 6) return 20 * milliseconds;       // calls that wait are sent again
  return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  logging::start({.level = logging::Level::off});
  MemoryTransport transport;
  // Leaders' addresses are dialed too: on some ports somebody listens.
  transport.listens = [](const net::Address& address) { return address.port % 2 == 0; };
  Options options;
  options.endpoints = {{"127.0.0.1", 7100, {}}};
  Count listener;
  uint64_t calls = 0;
  {
    Core core(options, listener, transport);
    const auto begin = [&] { core.begin(make_call(transport.now(), calls++)); };
    begin();
    Reader in({data, size});
    while (in.remaining() > 0 && calls < 100) {
      transport.advance(0);
      const uint8_t what = in.u8();
      // The server answers on the connection that was made last.
      Wire* const wire = transport.wires.empty() ? nullptr : transport.wires.back().get();
      if (wire != nullptr && what >= 240) wire->hang_up();
      if ((what & 1) != 0) begin();
      const auto piece = fuzz::next_piece(proto::client_magic, in);
      if (!piece) break;
      if (wire != nullptr) {
        wire->take();
        wire->send(*piece);
      }
      transport.advance(pause_of(what));
    }
    transport.advance(0);
    core.stop();
    BOP_ASSERT_EQ(listener.done.size(), calls);
  }
  transport.advance(0);
  BOP_ASSERT_EQ(transport.open_connections(), 0u);
  return 0;
}

// A Redis client's whole connection over a model of kv. However its bytes are cut, in whatever
// order answers come and however slowly the client reads, what it hears is what a client hears
// whose commands are served one after the other.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/assert.h"
#include "base/logging.h"
#include "base/random.h"
#include "harness.h"
#include "serve/resp_connection.h"

namespace {

using namespace bop;
using namespace bop::serve;

constexpr bop_status refusals[] = {
    BOP_OK,         BOP_OK,        BOP_OK,        BOP_E_UNAVAILABLE,
    BOP_E_LOG_FULL, BOP_E_TIMEOUT, BOP_E_MACHINE, BOP_E_OUTCOME_UNKNOWN};

Options options() {
  Options options;
  options.max_pipeline = 8;
  options.pause_output_bytes = 200;
  options.read_ahead_bytes = 400;
  options.max_input_bytes = 100;
  options.max_held_bytes = 64;
  return options;
}

// What a connection does while it is fed: answers, ends of turns, a client that does not read.
class Schedule {
 public:
  Schedule(Harness& harness, Client<RespConnection>& client, Random& random)
      : harness_(harness), client_(client), random_(random) {}

  void feed(std::string_view stream, uint64_t largest) {
    while (!stream.empty() && !client_.wire.finished) {
      if (client_.wire.paused) {
        step();
        continue;
      }
      const auto piece = stream.substr(0, 1 + random_.below(largest));
      stream.remove_prefix(piece.size());
      client_.send(piece);
      if (random_.chance(1, 3)) step();
    }
  }

  // Until everything is answered and read.
  std::string heard() {
    do {
      harness_.settle();
      take();
    } while (harness_.post.run());
    return heard_;
  }

 private:
  void step() {
    switch (random_.below(4)) {
      case 0: client_.wire.reads = !client_.wire.reads; break;
      case 1: harness_.post.run(); break;
      default:
        if (harness_.service.waiting() > 0) {
          answer_one();
        } else {
          harness_.settle();  // INFO's status too
          take();
        }
    }
    if (client_.wire.reads) take();
  }
  // Proposals in their order, as a log has them, and so SCAN's questions, whose answers number its
  // cursors; other questions in any.
  bool keeps_order(size_t position) const {
    return harness_.service.is_proposal(position) ||
           harness_.service.request(position).payload.bytes()[1] == BOP_KV_RANGE;
  }
  void answer_one() {
    size_t position = random_.below(harness_.service.waiting());
    if (keeps_order(position)) {
      for (position = 0; !keeps_order(position);) ++position;
    }
    harness_.service.answer(position);
  }
  void take() {
    client_.wire.reads = true;
    const bool was_full = !client_.wire.sent.empty();
    heard_ += client_.wire.take();
    if (was_full) client_.connection().on_drained();
  }

  Harness& harness_;
  Client<RespConnection>& client_;
  Random& random_;
  std::string heard_;
};

std::string one_by_one(std::string_view stream, bop_status refuse_with) {
  Harness harness(options());
  harness.service.refuse_with = refuse_with;
  Client<RespConnection> client(harness);
  std::string heard;
  for (const char c : stream) {
    if (client.wire.finished) break;
    heard += client.talk({&c, 1});
  }
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  logging::start({.level = logging::Level::off});
  Reader in({data, size});
  const uint8_t choice = in.u8();
  Random random(in.u8());
  const std::string_view stream = as_text(in.rest());
  const bop_status refuse_with = refusals[choice % 8];
  const uint64_t largest = uint64_t{1} << (choice >> 4);

  Harness harness(options());
  harness.service.refuse_with = refuse_with;
  Client<RespConnection> client(harness);
  Schedule schedule(harness, client, random);
  schedule.feed(stream, largest);
  if ((choice & 8) != 0) {
    client.drop();  // with whatever is under way
    return 0;
  }
  const std::string heard = schedule.heard();
  const std::string expected = one_by_one(stream, refuse_with);
  // INFO tells of the moment, not of the commands before it.
  if (heard != expected && expected.find("total_commands_processed") == std::string::npos) {
    std::fprintf(stderr, "heard:\n%s\nexpected:\n%s\n", heard.c_str(), expected.c_str());
    std::abort();
  }
  BOP_ASSERT(harness.service.waiting() == 0);
  return 0;
}

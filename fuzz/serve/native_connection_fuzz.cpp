// A native client's whole connection over a model of kv: what it hears are whole frames, a reply to
// each of its requests and to nothing else, and at most one goodbye, which is the last.
#include <algorithm>
#include <map>

#include "../frames.h"
#include "base/assert.h"
#include "base/logging.h"
#include "base/random.h"
#include "harness.h"
#include "serve/native_connection.h"

namespace {

using namespace bop;
using namespace bop::serve;

struct Heard {
  bool greeted = false;
  bool goodbye = false;
  std::map<uint64_t, size_t> replies;  // by correlation
  size_t count = 0;
};

Heard read(const std::string& bytes) {
  Heard heard;
  proto::FrameSplitter splitter(proto::client_format);
  std::vector<mem::Buffer> frames;
  const auto pushed = splitter.push(mem::Buffer::copy(as_bytes(bytes)), frames);
  BOP_ASSERT(pushed && splitter.pending_bytes() == 0);
  for (const mem::Buffer& frame : frames) {
    BOP_ASSERT(!heard.goodbye);
    const auto decoded = proto::decode_client_frame(frame);
    BOP_ASSERT(decoded.has_value());
    if (const auto* reply = std::get_if<proto::ClientReply>(&*decoded)) {
      BOP_ASSERT(heard.greeted);
      ++heard.replies[reply->correlation];
      ++heard.count;
    } else if (std::holds_alternative<proto::ClientHelloAck>(*decoded)) {
      BOP_ASSERT(!heard.greeted);
      heard.greeted = true;
    } else {
      BOP_ASSERT(std::holds_alternative<proto::ClientGoodbye>(*decoded));
      heard.goodbye = true;
    }
  }
  return heard;
}

void count_requests(const std::string& stream, std::map<uint64_t, size_t>& requests) {
  proto::FrameSplitter splitter(proto::client_format);
  std::vector<mem::Buffer> frames;
  const auto cut = splitter.push(mem::Buffer::copy(as_bytes(stream)), frames);
  for (const mem::Buffer& frame : frames) {
    const auto decoded = proto::decode_client_frame(frame);
    if (!decoded) break;
    if (const auto* request = std::get_if<proto::ClientRequest>(&*decoded)) {
      ++requests[request->correlation];
    }
  }
  (void)cut;  // those before the error are served too
}

std::string hello() {
  std::vector<uint8_t> rest(24);
  rest[1] = 1;                                          // a hello
  rest[0] = rest[4] = rest[5] = proto::client_version;  // of the frame; spoken from, to
  return fuzz::sealed(proto::client_magic, rest);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  logging::start({.level = logging::Level::off});
  Reader in({data, size});
  const uint8_t choice = in.u8();
  Random random(in.u8());
  std::string stream;
  if ((choice & 1) != 0) stream = hello();
  while (const auto next = fuzz::next_piece(proto::client_magic, in)) stream += *next;

  Options options;
  options.max_pipeline = 8;
  options.pause_output_bytes = 400;
  options.read_ahead_bytes = 400;
  Harness harness(options);
  if ((choice & 2) != 0) harness.service.refuse_with = BOP_E_OVERLOADED;
  Client<NativeConnection> client(harness);
  std::string heard;
  const auto step = [&] {
    if (harness.service.waiting() > 0 && random.chance(1, 2)) {
      harness.service.answer(random.below(harness.service.waiting()));
    } else if (random.chance(1, 2)) {
      heard += client.wire.take();
      client.connection().on_drained();
      harness.settle();
    } else {
      client.wire.reads = !client.wire.reads;
      harness.post.run();
    }
  };
  const uint64_t largest = uint64_t{1} << (choice >> 4);
  for (std::string_view rest = stream; !rest.empty() && !client.wire.finished;) {
    if (!client.wire.paused) {
      const auto piece = rest.substr(0, 1 + random.below(largest));
      rest.remove_prefix(piece.size());
      client.send(piece);
      if (random.chance(2, 3)) continue;
    }
    step();
  }
  if ((choice & 4) != 0) {
    client.drop();  // with whatever is under way
    return 0;
  }
  client.wire.reads = true;
  do {
    heard += client.wire.take();
    client.connection().on_drained();
    harness.settle();
  } while (!client.wire.sent.empty());

  const Heard got = read(heard);
  std::map<uint64_t, size_t> requests;
  count_requests(stream, requests);
  size_t sent = 0;
  for (const auto& [correlation, count] : requests) sent += count;
  for (const auto& [correlation, count] : got.replies) BOP_ASSERT(count <= requests[correlation]);
  BOP_ASSERT(got.goodbye == client.wire.finished);
  if (!got.goodbye && got.greeted) BOP_ASSERT(got.count == sent);
  return 0;
}

// A stream of Redis commands gives the same commands, and the same error after them, whatever its
// cutting. Some inputs have small limits, so that they are crossed.
#include <algorithm>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "proto/resp.h"

namespace {

using namespace bop;
using namespace bop::proto;

struct Parsed {
  std::vector<std::vector<std::string>> commands;
  std::string error;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

template <class NextSize>
Parsed parse(Bytes stream, const RespLimits& limits, NextSize next_size) {
  using Step = RespParser::Step;
  Parsed parsed;
  RespParser parser(limits);
  while (!stream.empty()) {
    const size_t size = std::min<size_t>(next_size(), stream.size());
    parser.push(mem::Buffer::copy(stream.first(size)));
    stream = stream.subspan(size);
    Step step = parser.next();
    for (; step == Step::command; step = parser.next()) {
      auto& command = parsed.commands.emplace_back();
      BOP_ASSERT(!parser.arguments().empty());
      for (const Bytes argument : parser.arguments()) command.emplace_back(as_text(argument));
    }
    if (step == Step::error) {
      parsed.error = parser.error();
      BOP_ASSERT(parser.next() == Step::error);
      break;
    }
  }
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t options = in.u8();
  Random random(in.u8());
  RespLimits limits;
  if ((options & 1) != 0) {
    limits = {
        .max_arguments = 4, .max_bulk_bytes = 40, .max_line_bytes = 16, .max_command_bytes = 80};
  }
  const uint64_t largest = (options & 2) != 0 ? 3 : 1 + (options >> 2);
  const Bytes stream = in.rest();
  const Parsed whole = parse(stream, limits, [&] { return stream.size(); });
  BOP_ASSERT(whole == parse(stream, limits, [&] { return 1 + random.below(largest); }));
  BOP_ASSERT(whole == parse(stream, limits, [&] { return size_t{1}; }));
  return 0;
}

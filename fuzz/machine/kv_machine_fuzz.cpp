// kv against one map, as tests/machine/kv_model_test.cpp has it: commands, questions, workers' steps,
// syncs and crashes, all of them as the input says.
#include <cstdio>
#include <cstdlib>

#include "kv_walk.h"
#include "machine/kv/store_memory.h"

namespace {

using namespace bop;
using namespace bop::machine::kv;

// Random's questions, answered by the input; with 0 when it has ended.
class Choices {
 public:
  explicit Choices(Bytes input) : in_(input) {}

  uint64_t below(uint64_t bound) { return (bound > 256 ? in_.u16() : in_.u8()) % bound; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  bool chance(uint64_t numerator, uint64_t denominator) { return below(denominator) < numerator; }

 private:
  Reader in_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  test::WalkOptions options;
  options.seed = in.u8();
  options.steps = static_cast<int>(std::min<size_t>(size / 2, 300));
  options.keys = 8;
  options.max_value = 40;
  Settings settings;
  settings.memory_bytes = 64 << 10;
  settings.hash_interval = 8;
  settings.freeze_log_bytes = 2 << 10;
  const auto image = std::make_shared<StoreImage>();
  test::Replica replica(
      [image](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
        return open_memory_store(image);
      },
      settings);
  test::BasicWalk walk(options, replica, [&] { image->lose_power(); }, Choices(in.rest()));
  if (const std::string wrong = walk.run(); !wrong.empty()) {
    std::fprintf(stderr, "%s\n", wrong.c_str());
    std::abort();
  }
  return 0;
}

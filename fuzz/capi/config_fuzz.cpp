// A configuration is anything that a file may hold: reading it says yes or names what is wrong, and
// what was read is written and read back the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "capi/config.h"

using bop::capi::Config;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Config config;
  const bop::Status loaded = config.load_text(text, "input");
  if (!loaded) {
    BOP_ASSERT(!loaded.error().detail.empty());
    return 0;
  }
  (void)config.settings();
  Config again;
  const bop::Status reloaded = again.load_text(config.write(), "written");
  BOP_ASSERT(reloaded.has_value());
  for (size_t i = 0; i < bop::capi::config_keys().size(); ++i) {
    BOP_ASSERT(config.value(i) == again.value(i));
  }
  return 0;
}

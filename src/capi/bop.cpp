// bop/bop.h without the queue: versions, logging, the assert handler.
#include "bop/bop.h"

#include "base/assert.h"
#include "base/logging.h"
#include "capi/shell.h"

#define BOP_STRING_OF(x) #x
#define BOP_STRING(x) BOP_STRING_OF(x)

namespace {

bool is_level(int32_t level) { return level >= BOP_LOG_DEBUG && level <= BOP_LOG_OFF; }

}  // namespace

const char* bop_version(void) {
  return BOP_STRING(BOP_VERSION_MAJOR) "." BOP_STRING(BOP_VERSION_MINOR) "." BOP_STRING(
      BOP_VERSION_PATCH);
}

uint32_t bop_version_number(void) { return BOP_VERSION_NUMBER; }

int32_t bop_logging_start(const bop_logging* logging, char* error, size_t error_capacity) {
  const bop_logging given = bop::capi::known(logging);
  if (!is_level(given.level) || logging == nullptr) return BOP_E_INVALID_ARGUMENT;
  return bop::capi::guarded(error, error_capacity, [&] {
    return bop::capi::give(bop::logging::start({static_cast<bop::logging::Level>(given.level),
                                                given.json != 0, given.path}),
                           error, error_capacity);
  });
}

int32_t bop_logging_reload(const bop_logging* logging, char* error, size_t error_capacity) {
  const bop_logging given = bop::capi::known(logging);
  if (!is_level(given.level) || logging == nullptr) return BOP_E_INVALID_ARGUMENT;
  return bop::capi::guarded(error, error_capacity, [&] {
    bop::logging::set_level(static_cast<bop::logging::Level>(given.level));
    return bop::capi::give(bop::logging::reopen(given.path), error, error_capacity);
  });
}

void bop_logging_stop(void) {
  (void)bop::capi::guarded([] {
    bop::logging::stop();
    return BOP_OK;
  });
}

void bop_logging_write(int32_t level, const char* text) {
  if (level < BOP_LOG_DEBUG || level >= BOP_LOG_OFF || text == nullptr) return;
  (void)bop::capi::guarded([&] {
    const auto written = static_cast<bop::logging::Level>(level);
    if (bop::logging::enabled(written)) bop::logging::write(written, text);
    return BOP_OK;
  });
}

void bop_set_assert_handler(bop_assert_handler handler) { bop::set_assert_handler(handler); }

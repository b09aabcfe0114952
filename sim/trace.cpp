#include "sim/trace.h"

#include <array>
#include <cinttypes>

#include "base/checksum.h"

namespace bop::sim {

namespace {

void write_time(std::FILE* file, Instant when) {
  std::fprintf(file, "%" PRId64 ".%09" PRId64 " ", when / seconds, when % seconds);
}

}  // namespace

void Trace::note(Instant when, uint32_t who, std::string_view what, uint64_t content) {
  std::array<uint8_t, 32> event;
  store_le(event.data(), static_cast<uint64_t>(when));
  store_le(event.data() + 8, static_cast<uint64_t>(who));
  store_le(event.data() + 16, hash64(as_bytes(what)));
  store_le(event.data() + 24, content);
  hash_ = hash64(event, hash_);
  ++events_;
  if (file_ == nullptr) return;
  write_time(file_, when);
  std::fprintf(file_, "%" PRIu32 " %.*s %016" PRIx64 "\n", who, static_cast<int>(what.size()),
               what.data(), content);
}

void Trace::remark(Instant when, std::string_view text) {
  if (watch_remarks_) watch_remarks_(text);
  if (file_ == nullptr) return;
  write_time(file_, when);
  std::fprintf(file_, "# %.*s\n", static_cast<int>(text.size()), text.data());
}

}  // namespace bop::sim

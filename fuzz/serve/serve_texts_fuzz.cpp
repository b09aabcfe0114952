// The small languages that clients write: targets of HTTP requests, glob patterns, and texts that
// become JSON.
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "serve/glob.h"
#include "serve/json.h"
#include "serve/url.h"

namespace {

using namespace bop;
using namespace bop::serve;

std::string percent_encoded(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) (out += '%') += {digits[c >> 4], digits[c & 15]};
  return out;
}

void check_target(std::string_view text) {
  BOP_ASSERT(percent_decode(percent_encoded(text)).value() == text);
  const auto target = parse_target(text);
  if (!target) {
    BOP_ASSERT(!target.error().detail.empty());
    return;
  }
  BOP_ASSERT(target->path == "/" || text.find(target->path) != text.npos);
  // Written again in full, it says the same.
  std::string again = std::string(target->path) + "?";
  for (const auto& [name, value] : target->query) {
    again += percent_encoded(name) + "=" + percent_encoded(value) + "&";
  }
  BOP_ASSERT(parse_target(again).value().query == target->query);
}

void check_number(std::string_view text) {
  const auto number = parse_number(text);
  if (number) BOP_ASSERT(text.ends_with(std::to_string(*number)));
}

void check_glob(std::string_view pattern, std::string_view text) {
  const std::string prefix = glob_prefix(pattern);
  if (glob_matches(pattern, text)) BOP_ASSERT(text.starts_with(prefix));
  std::string exactly;
  for (const char c : text) (exactly += '\\') += c;
  BOP_ASSERT(glob_matches(exactly, text) && glob_prefix(exactly) == text);
  BOP_ASSERT(glob_matches("*", text) && glob_matches(exactly + "*", text));
}

void check_json(std::string_view text) {
  JsonWriter writer;
  writer.begin_object().field("text", text).name("bytes").bytes(as_bytes(text)).end_object();
  const auto parsed = nlohmann::json::parse(writer.take());
  if (is_utf8(as_bytes(text))) {
    BOP_ASSERT(parsed["text"] == text && parsed["bytes"] == text);
  } else {
    BOP_ASSERT(parsed["bytes"]["base64"] == to_base64(as_bytes(text)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t kind = in.u8();
  const std::string_view text = as_text(in.rest());
  switch (kind % 4) {
    case 0: check_target(text); break;
    case 1: check_number(text); break;
    case 2:
      check_glob(text.substr(0, text.find('\n')),
                 text.substr(std::min(text.size(), text.find('\n'))));
      break;
    default: check_json(text);
  }
  return 0;
}

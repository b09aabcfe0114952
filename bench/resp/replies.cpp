#include "replies.h"

#include <charconv>

namespace bench {
namespace {

constexpr size_t longest_line = 4096;

// The bulk string whose header `line` says its length, -1 being the null reply.
Cut cut_bulk(std::string_view bytes, std::string_view line, size_t header_bytes) {
  long length = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), length);
  if (error != std::errc() || end != line.data() + line.size() || length < -1) {
    return {Reply::malformed, 0, line};
  }
  if (length == -1) return {Reply::ok, header_bytes, {}};
  const size_t whole = header_bytes + static_cast<size_t>(length) + 2;
  if (bytes.size() < whole) return {};
  return {Reply::ok, whole, {}};
}

}  // namespace

Cut cut_reply(std::string_view bytes) {
  const size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) {
    return bytes.size() > longest_line ? Cut{Reply::malformed, 0, {}} : Cut{};
  }
  const std::string_view line = bytes.substr(1, end - 1);
  switch (bytes[0]) {
    case '+':
    case ':':
    case '_': return {Reply::ok, end + 2, {}};
    case '-': return {line.empty() ? Reply::malformed : Reply::error, end + 2, line};
    case '$': return cut_bulk(bytes, line, end + 2);
    default: return {Reply::malformed, 0, bytes.substr(0, end)};
  }
}

}  // namespace bench

#include "serve/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace bop::serve {

namespace {

// The bytes at the front that stand for themselves in a string: most texts consist of them.
size_t plain_run(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const auto byte = static_cast<unsigned char>(text[size]);
    if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') break;
    ++size;
  }
  return size;
}

// The ASCII bytes at the front, eight at a time.
size_t ascii_run(Bytes bytes) {
  size_t size = 0;
  for (; size + 8 <= bytes.size(); size += 8) {
    uint64_t eight;
    std::memcpy(&eight, bytes.data() + size, 8);
    if ((eight & 0x8080808080808080) != 0) break;
  }
  return size;
}

// The length in bytes of the well-formed sequence at the front; 0: there is none.
size_t utf8_sequence(Bytes bytes) {
  const uint8_t first = bytes[0];
  if (first < 0x80) return 1;
  const size_t size = first >= 0xc2 && first <= 0xdf   ? 2
                      : first >= 0xe0 && first <= 0xef ? 3
                      : first >= 0xf0 && first <= 0xf4 ? 4
                                                       : 0;
  if (size == 0 || bytes.size() < size) return 0;
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (bytes[1] < low || bytes[1] > high) return 0;
  for (size_t i = 2; i < size; ++i) {
    if (bytes[i] < 0x80 || bytes[i] > 0xbf) return 0;
  }
  return size;
}

// A byte that is not UTF-8 becomes the replacement character: JSON text is UTF-8 (RFC 8259 section 8.1).
void append_escaped(std::string& out, std::string_view text) {
  out += '"';
  while (true) {
    const size_t plain = plain_run(text);
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const size_t size = utf8_sequence(as_bytes(text));
    const std::string_view front = text.substr(0, std::max<size_t>(size, 1));
    text.remove_prefix(front.size());
    const auto byte = static_cast<unsigned char>(front[0]);
    switch (front[0]) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (size == 0) {
          out += "\\ufffd";
        } else if (byte < 0x20) {
          out += fmt::format("\\u{:04x}", byte);
        } else {
          out += front;
        }
    }
  }
  out += '"';
}

}  // namespace

void JsonWriter::separate() {
  if (after_name_) {
    after_name_ = false;
    return;
  }
  if (has_members_.empty()) return;
  if (has_members_.back()) text_ += ',';
  has_members_.back() = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  text_ += bracket;
  has_members_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  text_ += bracket;
  has_members_.pop_back();
  return *this;
}

JsonWriter& JsonWriter::name(std::string_view name) {
  separate();
  append_escaped(text_, name);
  text_ += ':';
  after_name_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_escaped(text_, text);
  return *this;
}

JsonWriter& JsonWriter::value(uint64_t number) {
  separate();
  text_ += std::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::value(int64_t number) {
  separate();
  text_ += std::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::value(bool truth) {
  separate();
  text_ += truth ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::null() {
  separate();
  text_ += "null";
  return *this;
}

JsonWriter& JsonWriter::bytes(Bytes bytes) {
  if (is_utf8(bytes)) return value(as_text(bytes));
  return begin_object().field("base64", to_base64(bytes)).end_object();
}

bool is_utf8(Bytes bytes) {
  while (true) {
    bytes = bytes.subspan(ascii_run(bytes));
    if (bytes.empty()) return true;
    const size_t size = utf8_sequence(bytes);
    if (size == 0) return false;
    bytes = bytes.subspan(size);
  }
}

std::string to_base64(Bytes bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t group = uint32_t{bytes[i]} << 16 | (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0) |
                           (left > 2 ? uint32_t{bytes[i + 2]} : 0);
    out += digits[group >> 18];
    out += digits[group >> 12 & 63];
    out += left > 1 ? digits[group >> 6 & 63] : '=';
    out += left > 2 ? digits[group & 63] : '=';
  }
  return out;
}

}  // namespace bop::serve

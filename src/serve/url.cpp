#include "serve/url.h"

#include <algorithm>
#include <charconv>

namespace bop::serve {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// HTML forms write a space of a query as '+' (WHATWG URL, application/x-www-form-urlencoded).
Result<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return fail(BOP_E_INVALID_ARGUMENT, "a '%' is not followed by two hexadecimal digits");
      }
      decoded += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      decoded += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) { return decode(text, false); }

Result<Target> parse_target(std::string_view target) {
  Target parsed;
  if (target.find('#') != target.npos) {
    return fail(BOP_E_INVALID_ARGUMENT, "write '#' in a path or query as %23");
  }
  const size_t mark = target.find('?');
  parsed.path = target.substr(0, mark);
  if (parsed.path.empty()) parsed.path = "/";
  if (mark == std::string_view::npos) return parsed;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    BOP_TRY_ASSIGN(std::string name, decode(pair.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) {
      BOP_TRY_ASSIGN(value, decode(pair.substr(equals + 1), true));
    }
    if (!parsed.query.emplace(name, std::move(value)).second) {
      return fail(BOP_E_INVALID_ARGUMENT, "the parameter '" + name + "' is given more than once");
    }
  }
  return parsed;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace bop::serve

#include "proto/resp.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/assert.h"

namespace bop::proto {

namespace {

constexpr size_t least_join_bytes = 1024;
constexpr size_t kept_held_bytes = 64 * 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

char unescape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

// One quoted or bare word of an inline command. False: its quotes are not balanced.
class InlineWord {
 public:
  explicit InlineWord(std::string_view line) : line_(line) {}

  bool read(std::string& word) {
    while (at_ < line_.size() && !is_space(line_[at_])) {
      const char c = line_[at_++];
      if (c == '"') {
        if (!double_quoted(word)) return false;
      } else if (c == '\'') {
        if (!single_quoted(word)) return false;
      } else {
        word += c;
      }
    }
    return true;
  }
  size_t consumed() const { return at_; }

 private:
  bool closed() const { return at_ == line_.size() || is_space(line_[at_]); }

  bool double_quoted(std::string& word) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '"') return closed();
      if (c != '\\' || at_ == line_.size()) {
        word += c;
        continue;
      }
      if (line_[at_] == 'x' && at_ + 2 < line_.size() && hex_digit(line_[at_ + 1]) >= 0 &&
          hex_digit(line_[at_ + 2]) >= 0) {
        word += static_cast<char>(hex_digit(line_[at_ + 1]) * 16 + hex_digit(line_[at_ + 2]));
        at_ += 3;
      } else {
        word += unescape(line_[at_++]);
      }
    }
    return false;
  }

  bool single_quoted(std::string& word) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '\'') return closed();
      if (c == '\\' && at_ < line_.size() && line_[at_] == '\'') {
        word += '\'';
        ++at_;
      } else {
        word += c;
      }
    }
    return false;
  }

  const std::string_view line_;
  size_t at_ = 0;
};

}  // namespace

bool parse_redis_integer(std::string_view text, int64_t& value) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || (digits[0] == '0' && text.size() > 1)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// ---- parser ----

void RespParser::push(mem::Buffer received) {
  BOP_ASSERT(!found_ && received_.empty());
  received_ = std::move(received);
  taken_ = 0;
  joining_ = !held_.empty();
  if (joining_) {
    base_ = held_.data();
    size_ = held_.size();
  } else {
    base_ = received_.data();
    size_ = received_.size();
    start_ = at_ = 0;
  }
}

RespParser::Step RespParser::next() {
  if (!error_.empty()) return Step::error;
  if (base_ == nullptr) return Step::more;  // nothing was pushed since the last `more`
  if (found_) {
    found_ = false;
    unit_done();
  }
  for (;;) {
    const Step step = parse();
    if (step == Step::command) found_ = true;
    if (step != Step::more) return step;
    if (!extend()) break;
  }
  stash();
  return Step::more;
}

// A command, or an empty line, ends at at_. If it was assembled in held_, parsing continues in the received buffer:
// the command began in an earlier buffer, so its end lies in this one.
void RespParser::unit_done() {
  start_ = at_;
  if (!joining_) return;
  const size_t unused = size_ - at_;
  BOP_ASSERT_LE(unused, taken_);
  joining_ = false;
  base_ = received_.data();
  size_ = received_.size();
  start_ = at_ = taken_ - unused;
  if (held_.capacity() > kept_held_bytes) {
    held_ = {};
  } else {
    held_.clear();
  }
}

bool RespParser::extend() {
  if (!joining_ || taken_ == received_.size()) return false;
  const size_t size = std::min(std::max(wanted_, least_join_bytes), received_.size() - taken_);
  const Bytes bytes = received_.bytes().subspan(taken_, size);
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  taken_ += size;
  base_ = held_.data();
  size_ = held_.size();
  return true;
}

// Copies the unfinished command and releases the received block, which may be much larger.
void RespParser::stash() {
  if (!joining_ && start_ < size_) {
    held_.assign(base_ + start_, base_ + size_);
    at_ -= start_;
    start_ = 0;
  }
  received_ = {};
  base_ = nullptr;
  size_ = 0;
}

RespParser::Step RespParser::fail(std::string text) {
  error_ = "Protocol error: " + std::move(text);
  return Step::error;
}

// Whether the line that begins at at_ exceeds the limit; `end` is its end, or nullptr if it has not arrived.
bool RespParser::is_too_long(const uint8_t* end, size_t available) const {
  const size_t size = end == nullptr ? available : static_cast<size_t>(end - (base_ + at_));
  return size > limits_.max_line_bytes;
}

// Reads "*3\r\n" or "$5\r\n" at at_. `ok`: the length is a valid number.
RespParser::Step RespParser::parse_length(char kind, std::string_view too_long, int64_t& length,
                                          bool& ok) {
  wanted_ = 0;
  const auto* from = base_ + at_;
  const size_t available = size_ - at_;
  const auto* end = static_cast<const uint8_t*>(std::memchr(from, '\r', available));
  if (is_too_long(end, available)) return fail(std::string(too_long));
  if (end == nullptr || end + 1 == base_ + size_) return Step::more;
  if (*from != static_cast<uint8_t>(kind)) {
    return fail(fmt::format("expected '{}', got '{}'", kind, static_cast<char>(*from)));
  }
  ok = parse_redis_integer(as_text({from + 1, end}), length);
  at_ = static_cast<size_t>(end - base_) + 2;
  return Step::command;
}

RespParser::Step RespParser::parse() {
  while (remaining_ == 0) {
    if (at_ == size_) return Step::more;
    if (base_[at_] != '*') {
      const Step step = parse_inline();
      if (step != Step::command || !arguments_.empty()) return step;
      unit_done();
      continue;
    }
    int64_t count = 0;
    bool ok = false;
    const Step step = parse_length('*', "too big mbulk count string", count, ok);
    if (step != Step::command) return step;
    if (!ok || count > limits_.max_arguments) return fail("invalid multibulk length");
    if (count <= 0) {
      unit_done();
      continue;
    }
    remaining_ = static_cast<uint32_t>(count);
    spans_.clear();
  }
  while (remaining_ > 0) {
    if (bulk_bytes_ < 0) {
      if (at_ == size_) return Step::more;
      int64_t length = 0;
      bool ok = false;
      const Step step = parse_length('$', "too big bulk count string", length, ok);
      if (step != Step::command) return step;
      if (!ok || length < 0 || length > limits_.max_bulk_bytes) return fail("invalid bulk length");
      if (command_bytes() + static_cast<size_t>(length) > limits_.max_command_bytes) {
        return fail(fmt::format("command of more than {} bytes", limits_.max_command_bytes));
      }
      bulk_bytes_ = length;
    }
    const size_t needed = static_cast<size_t>(bulk_bytes_) + 2;
    if (size_ - at_ < needed) {
      wanted_ = needed - (size_ - at_);
      return Step::more;
    }
    spans_.push_back({static_cast<uint32_t>(at_ - start_), static_cast<uint32_t>(bulk_bytes_)});
    at_ += needed;
    bulk_bytes_ = -1;
    --remaining_;
  }
  arguments_.clear();
  for (const Span span : spans_) arguments_.push_back({base_ + start_ + span.offset, span.size});
  return Step::command;
}

RespParser::Step RespParser::parse_inline() {
  wanted_ = 0;
  const auto* from = base_ + at_;
  const size_t available = size_ - at_;
  const auto* end = static_cast<const uint8_t*>(std::memchr(from, '\n', available));
  if (is_too_long(end, available)) return fail("too big inline request");
  if (end == nullptr) return Step::more;
  std::string_view line = as_text({from, end});
  if (line.ends_with('\r')) line.remove_suffix(1);
  at_ = static_cast<size_t>(end - base_) + 1;
  if (!split_inline(line)) return fail("unbalanced quotes in request");
  return Step::command;
}

bool RespParser::split_inline(std::string_view line) {
  arguments_.clear();
  unquoted_.clear();
  for (;;) {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    if (line.empty()) break;
    InlineWord word(line);
    if (!word.read(unquoted_.emplace_back())) return false;
    line.remove_prefix(word.consumed());
  }
  for (const std::string& word : unquoted_) arguments_.push_back(as_bytes(word));
  return true;
}

// ---- writer ----

void RespWriter::head(char kind, int64_t number) {
  char line[32];
  line[0] = kind;
  char* end = std::to_chars(line + 1, line + sizeof line - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.bytes(as_bytes({line, static_cast<size_t>(end - line)}));
}

void RespWriter::simple(std::string_view text) {
  uint8_t* to = out_.reserve(text.size() + 3);
  to[0] = '+';
  std::memcpy(to + 1, text.data(), text.size());
  to[text.size() + 1] = '\r';
  to[text.size() + 2] = '\n';
}

void RespWriter::error(std::string_view text) {
  uint8_t* to = out_.reserve(text.size() + 3);
  to[0] = '-';
  for (size_t i = 0; i < text.size(); ++i) {
    const bool line_end = text[i] == '\r' || text[i] == '\n';
    to[i + 1] = line_end ? ' ' : static_cast<uint8_t>(text[i]);
  }
  to[text.size() + 1] = '\r';
  to[text.size() + 2] = '\n';
}

void RespWriter::integer(int64_t value) { head(':', value); }

void RespWriter::bulk(Bytes value) {
  head('$', static_cast<int64_t>(value.size()));
  out_.bytes(value);
  out_.bytes(as_bytes("\r\n"));
}

void RespWriter::text(std::string_view value) {
  if (version_ < 3) return bulk(value);
  head('=', static_cast<int64_t>(value.size() + 4));
  out_.bytes(as_bytes("txt:"));
  out_.bytes(as_bytes(value));
  out_.bytes(as_bytes("\r\n"));
}

void RespWriter::null() { out_.bytes(as_bytes(version_ < 3 ? "$-1\r\n" : "_\r\n")); }

void RespWriter::array(size_t count) { head('*', static_cast<int64_t>(count)); }

void RespWriter::map(size_t count) {
  if (version_ < 3) return array(2 * count);
  head('%', static_cast<int64_t>(count));
}

void RespWriter::set(size_t count) {
  if (version_ < 3) return array(count);
  head('~', static_cast<int64_t>(count));
}

}  // namespace bop::proto

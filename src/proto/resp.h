// The Redis protocol, RESP2 and RESP3: parses requests (arrays of bulk strings, and inline commands for
// terminals) and writes replies. Limits and error texts are those of Redis where it has them.
// Supported commands: docs/formats/resp.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "mem/buffer.h"
#include "proto/part_writer.h"

namespace bop::proto {

struct RespLimits {
  uint32_t max_arguments = 65536;
  uint32_t max_bulk_bytes =
      (1u << 20) +
      (64u << 10);  // above kv's limit of a value, so that a larger value gets kv's error
  uint32_t max_line_bytes = 64u << 10;    // of a line with a length, and of an inline command
  uint32_t max_command_bytes = 8u << 20;  // all arguments of a command together
};

// Incremental. A command that arrived in one buffer is parsed in place; one that spans several is assembled in a
// buffer that grows with the bytes received, not with the length announced.
//
//   push(received); while (next() == command) use arguments(); ... push(more) ...
class RespParser {
 public:
  enum class Step { command, more, error };

  explicit RespParser(const RespLimits& limits = {}) : limits_(limits) {}

  // Call it only before the first next() and after next() returned `more`.
  void push(mem::Buffer received);
  Step next();

  // The arguments of the command that next() found; valid until the next call of next().
  std::span<const Bytes> arguments() const { return arguments_; }
  // After Step::error, which is final: "Protocol error: invalid bulk length".
  const std::string& error() const { return error_; }

  const RespLimits& limits() const { return limits_; }
  // Memory kept for unfinished commands, and the bytes of the one that is unfinished now.
  size_t held_bytes() const { return held_.capacity(); }
  size_t unfinished_bytes() const { return held_.size(); }

 private:
  struct Span {
    uint32_t offset, size;  // relative to the command's start: the bytes may move
  };

  Step parse();
  Step parse_inline();
  Step parse_length(char kind, std::string_view too_long, int64_t& length, bool& ok);
  bool is_too_long(const uint8_t* end, size_t available) const;
  Step fail(std::string text);
  bool split_inline(std::string_view line);
  void unit_done();
  bool extend();
  void stash();
  size_t command_bytes() const { return at_ - start_; }

  const RespLimits limits_;
  mem::Buffer received_;
  size_t taken_ = 0;           // of received_, appended to held_
  bool joining_ = false;       // the window is held_, else received_
  std::vector<uint8_t> held_;  // an unfinished command

  const uint8_t* base_ = nullptr;  // the window
  size_t size_ = 0;
  size_t start_ = 0;  // of the command that is being parsed
  size_t at_ = 0;
  bool found_ = false;  // the caller may still use the command that next() found
  size_t wanted_ = 0;   // how many bytes are known to be missing

  uint32_t remaining_ = 0;   // arguments that are still missing
  int64_t bulk_bytes_ = -1;  // size of the argument that is being read; -1: its length line is next
  std::vector<Span> spans_;
  std::vector<Bytes> arguments_;
  std::vector<std::string> unquoted_;  // of an inline command
  std::string error_;
};

// Appends replies to `out` in the protocol version that the client chose, 2 or 3.
class RespWriter {
 public:
  RespWriter(PartWriter& out, int version) : out_(out), version_(version) {}

  void simple(std::string_view text);
  // `text` begins with a code in capitals. Line ends in it are replaced by spaces.
  void error(std::string_view text);
  void integer(int64_t value);
  void bulk(Bytes value);
  void bulk(std::string_view value) { bulk(as_bytes(value)); }
  // Text for people: in RESP3 a verbatim string, in RESP2 a bulk string.
  void text(std::string_view value);
  void null();
  void array(size_t count);
  // Followed by `count` pairs. In RESP2 an array of 2 * count elements.
  void map(size_t count);
  // Followed by `count` elements. In RESP2 an array.
  void set(size_t count);
  // A reply that another writer of the same version wrote.
  void raw(Bytes reply) { out_.bytes(reply); }

  int version() const { return version_; }

 private:
  void head(char kind, int64_t number);

  PartWriter& out_;
  int version_;
};

// An integer as Redis parses it: optional '-', no leading zeros, no spaces, within 64 bits.
bool parse_redis_integer(std::string_view text, int64_t& value);

}  // namespace bop::proto

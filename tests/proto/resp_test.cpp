#include "proto/resp.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/random.h"
#include "bytes.h"

namespace bop::proto {
namespace {

using Command = std::vector<std::string>;

struct Parsed {
  std::vector<Command> commands;
  std::string error;
};

// Pushes `stream` in pieces whose sizes `next_size` returns.
template <class NextSize>
Parsed parse(std::string_view stream, NextSize next_size, const RespLimits& limits = {}) {
  Parsed parsed;
  RespParser parser(limits);
  while (!stream.empty()) {
    const size_t size = std::min<size_t>(next_size(), stream.size());
    parser.push(buffer(stream.substr(0, size)));
    stream.remove_prefix(size);
    for (;;) {
      const auto step = parser.next();
      if (step == RespParser::Step::more) break;
      if (step == RespParser::Step::error) {
        parsed.error = parser.error();
        return parsed;
      }
      Command& command = parsed.commands.emplace_back();
      for (const Bytes argument : parser.arguments()) command.push_back(text(argument));
    }
  }
  return parsed;
}

Parsed parse(std::string_view stream, const RespLimits& limits = {}) {
  return parse(stream, [&] { return stream.size(); }, limits);
}

std::string encode(const Command& command) {
  std::string out = "*" + std::to_string(command.size()) + "\r\n";
  for (const auto& argument : command) {
    out += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return out;
}

TEST(RespParser, finds_arrays_of_bulk_strings_and_inline_commands) {
  const auto parsed = parse("*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\nset  k \tv\n*1\r\n$0\r\n\r\n");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.commands,
            (std::vector<Command>{{"GET", "k"}, {"PING"}, {"set", "k", "v"}, {""}}));
}

TEST(RespParser, skips_empty_lines_and_empty_arrays) {
  const auto parsed = parse("\r\n\n*0\r\n*-1\r\n   \r\nPING\r\n");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.commands, (std::vector<Command>{{"PING"}}));
}

TEST(RespParser, finds_the_same_commands_however_the_stream_is_cut) {
  const std::vector<Command> commands{{"SET", "key", std::string(100, 'v')},
                                      {"GET", "key"},
                                      {"SET", "large", std::string(200'000, 'w')},
                                      {"PING"},
                                      {"MSET", "a", "", "b", std::string("\r\n\0x", 4)},
                                      {"GET", "end"}};
  std::string stream;
  for (const auto& command : commands) {
    stream += encode(command);
    stream += "\r\n";
  }
  stream += "inline command\r\n";
  auto expected = commands;
  expected.push_back({"inline", "command"});
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const uint64_t largest = round % 3 == 0 ? 10 : round % 3 == 1 ? 1000 : 300'000;
    const auto parsed = parse(stream, [&] { return 1 + random.below(largest); });
    ASSERT_EQ(parsed.error, "");
    ASSERT_EQ(parsed.commands, expected);
  }
}

TEST(RespParser, parses_arguments_in_place_when_a_command_arrives_whole) {
  const mem::Buffer received = buffer(encode({"GET", "key"}) + encode({"GET", "other"}));
  RespParser parser;
  parser.push(received);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(parser.next(), RespParser::Step::command);
    const uint8_t* key = parser.arguments()[1].data();
    EXPECT_GE(key, received.data());
    EXPECT_LT(key, received.data() + received.size());
  }
  EXPECT_EQ(parser.next(), RespParser::Step::more);
}

TEST(RespParser, understands_the_quotes_of_inline_commands) {
  const auto parsed =
      parse("set \"a b\" 'c\\'d'\r\nset \"\\x41\\n\\\"\" plain\"quoted\"\r\nset '' \"\"\r\n");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.commands,
            (std::vector<Command>{
                {"set", "a b", "c'd"}, {"set", "A\n\"", "plainquoted"}, {"set", "", ""}}));
}

TEST(RespParser, refuses_what_redis_refuses_with_its_error_texts) {
  const std::string long_line(65'600, '1');
  const std::vector<std::pair<std::string, std::string>> cases{
      {"*x\r\n", "invalid multibulk length"},
      {"*2147483648\r\n", "invalid multibulk length"},
      {"*" + long_line, "too big mbulk count string"},
      {"*1\r\n+PING\r\n", "expected '$', got '+'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$99999999999\r\n", "invalid bulk length"},
      {"*1\r\n$" + long_line, "too big bulk count string"},
      {long_line, "too big inline request"},
      {"get \"unbalanced\r\n", "unbalanced quotes in request"},
      {"get \"a\"b\r\n", "unbalanced quotes in request"},
      {"get 'unbalanced\r\n", "unbalanced quotes in request"},
  };
  for (const auto& [stream, error] : cases) {
    EXPECT_EQ(parse(stream).error, "Protocol error: " + error);
    EXPECT_EQ(parse(stream, [] { return size_t{1}; }).error, "Protocol error: " + error);
  }
}

TEST(RespParser, bounds_a_line_however_it_arrives) {
  RespLimits limits;
  limits.max_line_bytes = 8;
  for (const auto* stream : {"PING 1234\n", "*00000001\r\n", "*1\r\n$00000001\r\n"}) {
    const auto whole = parse(stream, limits);
    EXPECT_NE(whole.error.find("too big"), std::string::npos) << stream;
    EXPECT_EQ(parse(stream, [] { return size_t{1}; }, limits).error, whole.error);
  }
  for (const auto* stream : {"PING 123\n", "*1\r\n$4\r\nPING\r\n"}) {
    EXPECT_EQ(parse(stream, limits).commands.size(), 1u) << stream;
    EXPECT_EQ(parse(stream, [] { return size_t{1}; }, limits).commands.size(), 1u) << stream;
  }
}

TEST(RespParser, keeps_the_commands_before_an_error) {
  const auto parsed = parse("PING\r\n*1\r\n$x\r\n");
  EXPECT_EQ(parsed.commands.size(), 1u);
  EXPECT_EQ(parsed.error, "Protocol error: invalid bulk length");
}

TEST(RespParser, reserves_nothing_for_a_length_that_is_only_announced) {
  RespParser parser;
  parser.push(buffer("*65536\r\n$1048576\r\nabc"));
  EXPECT_EQ(parser.next(), RespParser::Step::more);
  EXPECT_LT(parser.held_bytes(), 1000u);
}

TEST(RespParser, bounds_a_command_as_a_whole) {
  RespLimits limits;
  limits.max_command_bytes = 1000;
  const auto parsed = parse(encode({"MSET", std::string(600, 'k'), std::string(600, 'v')}), limits);
  EXPECT_EQ(parsed.error, "Protocol error: command of more than 1000 bytes");
}

TEST(RespParser, releases_the_received_block_between_commands) {
  const mem::Buffer received = buffer(encode({"PING"}) + "*1\r\n$4");
  RespParser parser;
  mem::Block* block = mem::allocate_block(received.size());
  std::copy(received.bytes().begin(), received.bytes().end(), block->data());
  ++block->references;
  parser.push({block, block->data(), received.size()});
  ASSERT_EQ(parser.next(), RespParser::Step::command);
  ASSERT_EQ(parser.next(), RespParser::Step::more);
  EXPECT_EQ(block->references, 1u);
  mem::free_block(block);
}

TEST(RespParser, survives_random_bytes) {
  Random random(5);
  const std::string alphabet = "*$0123456789\r\n+-: \"'\\xaGET";
  for (int i = 0; i < 20'000; ++i) {
    std::string stream;
    for (uint64_t n = random.below(60); n > 0; --n) {
      stream += alphabet[random.below(alphabet.size())];
      if (random.chance(1, 8)) stream += "\r\n";
    }
    const auto whole = parse(stream);
    const auto cut = parse(stream, [&] { return 1 + random.below(5); });
    ASSERT_EQ(whole.commands, cut.commands);
    ASSERT_EQ(whole.error, cut.error);
  }
}

std::string written(int version, const std::function<void(RespWriter&)>& write) {
  PartWriter out;
  out.begin();
  RespWriter writer(out, version);
  write(writer);
  return text(join(out.finish()));
}

TEST(RespWriter, writes_each_reply_in_both_versions) {
  const auto both = [](const std::function<void(RespWriter&)>& write) {
    return std::pair(written(2, write), written(3, write));
  };
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(both([](RespWriter& w) { w.simple("OK"); }), Pair("+OK\r\n", "+OK\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.error("ERR a\r\nb"); }),
            Pair("-ERR a  b\r\n", "-ERR a  b\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.integer(INT64_MIN); }),
            Pair(":-9223372036854775808\r\n", ":-9223372036854775808\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.bulk("v\r\n"); }),
            Pair("$3\r\nv\r\n\r\n", "$3\r\nv\r\n\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.null(); }), Pair("$-1\r\n", "_\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.array(2); }), Pair("*2\r\n", "*2\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.map(2); }), Pair("*4\r\n", "%2\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.set(2); }), Pair("*2\r\n", "~2\r\n"));
  EXPECT_EQ(both([](RespWriter& w) { w.text("hi"); }), Pair("$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"));
}

TEST(RedisInteger, is_taken_and_refused_as_redis_does) {
  int64_t value = 0;
  for (const auto* good : {"0", "1", "-1", "9223372036854775807", "-9223372036854775808"}) {
    EXPECT_TRUE(parse_redis_integer(good, value)) << good;
    EXPECT_EQ(std::to_string(value), good);
  }
  for (const auto* bad :
       {"", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808", "x"}) {
    EXPECT_FALSE(parse_redis_integer(bad, value)) << bad;
  }
}

}  // namespace
}  // namespace bop::proto

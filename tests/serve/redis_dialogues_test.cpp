// Replays redis_dialogues.txt, which record_redis.py recorded from a Redis server.
#include <gtest/gtest.h>

#include <fstream>

#include "harness.h"
#include "serve/resp_connection.h"

namespace bop::serve {
namespace {

std::string unescape_line_ends(std::string text) {
  for (size_t at = 0; (at = text.find("\\r\\n", at)) != std::string::npos; at += 2) {
    text.replace(at, 4, "\r\n");
  }
  return text;
}

// As record_redis.py writes it.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", byte);
    if (c == '\\')
      out += "\\\\";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else if (byte >= 32 && byte < 127)
      out += c;
    else
      out += hex;
  }
  return out;
}

TEST(RespConnection, answers_as_redis_does_byte_for_byte) {
  std::ifstream file(BOP_REDIS_DIALOGUES);
  ASSERT_TRUE(file) << BOP_REDIS_DIALOGUES;
  std::unique_ptr<Harness> harness;
  std::unique_ptr<Client<RespConnection>> client;
  std::string line, title, sent, reply;
  int checked = 0;
  while (std::getline(file, line)) {
    const std::string rest = line.size() > 2 ? line.substr(2) : "";
    if (line.starts_with("= ")) {
      client.reset();
      harness = std::make_unique<Harness>();
      client = std::make_unique<Client<RespConnection>>(*harness);
      title = rest;
    } else if (line.starts_with("> ") || line.starts_with("~ ")) {
      sent = rest;
      reply = client->talk(rest.ends_with("\\r\\n") ? unescape_line_ends(rest) : rest + "\r\n");
    } else if (line.starts_with("< ") || line == "<") {
      ++checked;
      EXPECT_EQ(escape(reply) + (client->wire.finished ? "<closed>" : ""), rest)
          << title << ": " << sent;
    }
  }
  EXPECT_GT(checked, 200);
}

}  // namespace
}  // namespace bop::serve

// bop propose, bop query: raw bytes to and from any machine.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "output.h"

namespace {

// One byte more than the largest request, so that a longer input is refused rather than truncated.
constexpr size_t most_bytes = (8u << 20) + 1;

// A file or standard input, up to most_bytes.
std::string read_all(std::FILE* file) {
  std::string text;
  char buffer[65536];
  size_t read;
  while (text.size() < most_bytes && (read = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    text.append(buffer, read);
  }
  return text;
}

// nullopt: errno has the reason.
std::optional<std::string> read_file(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return std::nullopt;
  std::string text = read_all(file);
  const int error = std::ferror(file) != 0 ? errno : 0;
  std::fclose(file);
  if (error == 0) return text;
  errno = error;
  return std::nullopt;
}

// The payload, or nullopt after an error was reported; `exit` is then the exit code.
std::optional<std::string> payload_of(const Globals& globals, const RawArguments& arguments,
                                      Exit& exit) {
  std::string text;
  if (!arguments.payload || *arguments.payload == "-") {
    text = read_all(stdin);
  } else if (arguments.payload->starts_with('@')) {
    const std::string path = arguments.payload->substr(1);
    std::optional<std::string> read = read_file(path);
    if (!read) {
      exit = report(globals, BOP_E_INVALID_ARGUMENT,
                    path + " cannot be read: " + std::strerror(errno));
      return std::nullopt;
    }
    text = std::move(*read);
  } else {
    text = *arguments.payload;
  }
  if (!arguments.hex) return text;
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  std::optional<std::string> bytes = from_hex(text);
  if (!bytes)
    exit = report(globals, BOP_E_INVALID_ARGUMENT,
                  "--hex: the payload must be pairs of hexadecimal digits");
  return bytes;
}

void print_answer(const Globals& globals, const RawArguments& arguments, const Answer& answer) {
  if (globals.json) {
    nlohmann::json object = nlohmann::json::object();
    if (answer.index != 0) object["index"] = answer.index;
    if (arguments.hex) {
      object["body_hex"] = to_hex(answer.body);
    } else {
      set_bytes(object, "body", answer.body);
    }
    print_json(object);
  } else if (arguments.hex) {
    std::puts(to_hex(answer.body).c_str());
  } else {
    print_raw(answer.body);
  }
}

}  // namespace

Exit raw(const Globals& globals, const RawArguments& arguments, RawKind kind) {
  Exit exit = ok;
  const std::optional<std::string> payload = payload_of(globals, arguments, exit);
  if (!payload) return exit;
  Session session(globals);
  const Answer answer =
      kind == RawKind::command ? session.propose(*payload) : session.query(*payload);
  // A machine may send a body with an error status.
  if (answer.status == BOP_OK || !answer.body.empty()) print_answer(globals, arguments, answer);
  return answer.status == BOP_OK ? ok : report(globals, answer.status, answer.detail);
}

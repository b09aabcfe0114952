// bop propose, bop query: raw bytes to and from any machine.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "input.h"
#include "output.h"

namespace {

// One byte more than the largest request, so that a longer input is refused rather than truncated.
constexpr size_t most_bytes = (8u << 20) + 1;

std::expected<std::string, Exit> text_of(const Globals& globals, const RawArguments& arguments) {
  if (!arguments.payload || *arguments.payload == "-")
    return read_standard_input(globals, most_bytes);
  if (arguments.payload->starts_with('@'))
    return read_file(globals, arguments.payload->substr(1), most_bytes);
  return *arguments.payload;
}

// The payload, or the exit code of an error that was reported.
std::expected<std::string, Exit> payload_of(const Globals& globals, const RawArguments& arguments) {
  std::expected<std::string, Exit> text = text_of(globals, arguments);
  if (!text || !arguments.hex) return text;
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (std::optional<std::string> bytes = from_hex(*text)) return std::move(*bytes);
  return std::unexpected(report(globals, BOP_E_INVALID_ARGUMENT,
                                "--hex: the payload must be pairs of hexadecimal digits"));
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
  const std::expected<std::string, Exit> payload = payload_of(globals, arguments);
  if (!payload) return payload.error();
  Session session(globals);
  const Answer answer =
      kind == RawKind::command ? session.propose(*payload) : session.query(*payload);
  // A machine may send a body with an error status.
  if (answer.status == BOP_OK || !answer.body.empty()) print_answer(globals, arguments, answer);
  return answer.status == BOP_OK ? ok : report(globals, answer.status, answer.detail);
}

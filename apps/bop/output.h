// Output of the commands: raw bytes and aligned columns for people, one JSON document for programs.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// {"value": "…"}, or {"value_base64": "…"} for bytes that are not UTF-8.
void set_bytes(nlohmann::json& object, const std::string& name, std::string_view bytes);

// On one line; invalid UTF-8 is replaced.
std::string json_text(const nlohmann::json& document);
void print_json(const nlohmann::json& document);
// On standard error, {"error": {"code": "BOP_E_…", "text": "…"}}.
void print_json_error(int32_t status, const std::string& text);

// Decodes "0aFF"; nullopt unless the text is pairs of hexadecimal digits.
std::optional<std::string> from_hex(std::string_view digits);
std::string to_hex(std::string_view bytes);

// Writes the bytes unchanged, followed by a newline if standard output is a terminal.
void print_raw(std::string_view bytes);

// The bytes with unprintable ones escaped, cut after `most` bytes with an ellipsis.
std::string printable(std::string_view bytes, size_t most);

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

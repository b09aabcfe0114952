// What commands print: raw bytes and aligned columns for people, one JSON document for programs.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// {"value": "…"}, or {"value_base64": "…"} for bytes that are not UTF-8.
void set_bytes(nlohmann::json& object, const std::string& name, std::string_view bytes);

// On one line; what is not UTF-8 is replaced.
std::string json_text(const nlohmann::json& document);
void print_json(const nlohmann::json& document);
// On standard error, {"error": {"code": "BOP_E_…", "text": "…"}}.
void print_json_error(int32_t status, const std::string& text);

// "0aFF" in bytes; nothing when it is not pairs of hexadecimal digits.
std::optional<std::string> from_hex(std::string_view digits);
std::string to_hex(std::string_view bytes);

// Bytes as they are; a line's end only for a terminal.
void print_raw(std::string_view bytes);

// Bytes for a table's cell: what is not printable is escaped.
std::string printable(std::string_view bytes, size_t most);

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

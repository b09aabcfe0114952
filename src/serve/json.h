// Writes JSON text: the writer sees to commas and quotes, the caller to names, values and nesting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace bop::serve {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  // Of a member of an object; its value comes next.
  JsonWriter& name(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(uint64_t number);
  JsonWriter& value(int64_t number);
  JsonWriter& value(bool truth);
  JsonWriter& null();
  // A string when the bytes are UTF-8, else {"base64": "..."}.
  JsonWriter& bytes(Bytes bytes);

  template <class T>
  JsonWriter& field(std::string_view field_name, const T& field_value) {
    return name(field_name).value(field_value);
  }

  size_t size() const { return text_.size(); }  // bytes so far
  std::string take() { return std::move(text_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string text_;
  std::vector<bool> has_members_;
  bool after_name_ = false;
};

// Well-formed by Unicode's table 3-7: no overlong forms, no surrogates.
bool is_utf8(Bytes bytes);
std::string to_base64(Bytes bytes);

}  // namespace bop::serve

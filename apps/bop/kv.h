// Commands, queries and answers of kv as strings: C++ wrappers of the codec in bop/kv.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bop/kv.h"

namespace kv {

struct Operation {
  bop_kv_op op = BOP_KV_PUT;
  uint8_t flags = 0;
  std::string_view key;
  std::string_view value;     // of PUT and APPEND
  int64_t delta = 0;          // of ADD
  uint64_t revision = 0;      // with IF_REVISION
  std::string_view expected;  // with IF_VALUE
};

// The encoders abort on arguments outside kv's limits (bop/kv.h): validate user input first.
std::string command(const std::vector<Operation>& operations);
std::string get(const std::vector<std::string_view>& keys);
struct Range {
  uint16_t flags = 0;
  uint32_t limit = BOP_KV_RANGE_MAX;
  std::string_view first, end;
};
std::string range(const Range& range);

struct Item {
  bool present = false;
  uint64_t revision = 0;
  std::string_view value;
};
struct Record {
  std::string_view key;
  Item item;
};

// Views point into the body. nullopt: the body is malformed.
struct Items {
  uint64_t position = 0;  // revision of a command, applied index of a GET
  std::vector<Item> items;
};
std::optional<Items> read_items(std::string_view body);

struct Records {
  uint64_t applied = 0;
  bool more = false;
  std::vector<Record> records;
};
std::optional<Records> read_records(std::string_view body);

}  // namespace kv

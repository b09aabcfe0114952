// TOML in and out. The only file that sees the parser, which is used without exceptions.

// Its assertions do not hold for all that it may read ("[" and a form feed fail one), and with NDEBUG
// clang takes them for promises. Without them such an input meets an error that names it.
#define TOML_ASSERT(expression) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <algorithm>
#include <filesystem>
#include <ranges>

#include "capi/config.h"
#include "net/address.h"

namespace bop::capi {
namespace {

// Where something stands: "bopd.toml:12" and "log.max_bytes".
struct Spot {
  std::string source;
  std::string key;
};

std::unexpected<Error> bad(const Spot& spot, const std::string& what) {
  return fail(BOP_E_BAD_CONFIG, spot.source + ": " + spot.key + ": " + what);
}

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a fraction";
    case toml::node_type::boolean: return "true or false";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time: return "a date or time";
    case toml::node_type::none: break;
  }
  return "nothing";
}

Result<std::string> read_string(const toml::node& node, const Spot& spot) {
  const auto* text = node.as_string();
  if (text == nullptr) return bad(spot, std::string("must be a text, is ") + type_name(node));
  if (text->get().find('\0') != std::string::npos) return bad(spot, "holds a NUL");
  if (text->get().size() > 4096) return bad(spot, "is longer than 4096 bytes");
  return text->get();
}

Result<int64_t> read_integer(const toml::node& node, const Spot& spot, int64_t low, int64_t high) {
  const auto* number = node.as_integer();
  if (number == nullptr) {
    return bad(spot, std::string("must be an integer, is ") + type_name(node));
  }
  if (number->get() < low || number->get() > high) {
    return bad(spot, "must be " + std::to_string(low) + " to " + std::to_string(high) + ", is " +
                         std::to_string(number->get()));
  }
  return number->get();
}

Result<std::string> read_choice(const toml::node& node, const Spot& spot,
                                std::string_view choices) {
  BOP_TRY_ASSIGN(std::string text, read_string(node, spot));
  for (const auto part : std::views::split(choices, '|')) {
    if (std::string_view(part.begin(), part.end()) == text) return text;
  }
  std::string list(choices);
  std::replace(list.begin(), list.end(), '|', ' ');
  return bad(spot, "must be one of: " + list + "; is \"" + text + "\"");
}

Result<std::string> read_address(const toml::node& node, const Spot& spot) {
  BOP_TRY_ASSIGN(std::string text, read_string(node, spot));
  if (text.empty()) return text;
  if (const auto address = net::parse_address(text); !address)
    return bad(spot, address.error().detail);
  return text;
}

Result<std::string> read_cluster_id(const toml::node& node, const Spot& spot) {
  BOP_TRY_ASSIGN(std::string text, read_string(node, spot));
  for (char& c : text) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  const bool digits = text.find_first_not_of("0123456789abcdef") == text.npos;
  if (!text.empty() && (text.size() != 32 || !digits)) {
    return bad(spot, "must be 32 hexadecimal digits, is \"" + text + "\"");
  }
  return text;
}

// A list of tables, `read_field` called for each key of each; it says whether it knows the key.
template <class Item, class ReadField>
Result<std::vector<Item>> read_tables(const toml::node& node, const Spot& spot, size_t most,
                                      ReadField read_field) {
  const auto* array = node.as_array();
  if (array == nullptr) return bad(spot, std::string("must be a list, is ") + type_name(node));
  if (array->size() > most) {
    return bad(spot, "has " + std::to_string(array->size()) + " items, at most " +
                         std::to_string(most) + " are allowed");
  }
  std::vector<Item> items;
  for (const toml::node& element : *array) {
    Spot item_spot{spot.source, spot.key + "[" + std::to_string(items.size()) + "]"};
    const auto* table = element.as_table();
    if (table == nullptr) {
      return bad(item_spot, std::string("must be a table, is ") + type_name(element));
    }
    Item item;
    for (const auto& [key, value] : *table) {
      const Spot field{spot.source, item_spot.key + "." + std::string(key.str())};
      BOP_TRY_ASSIGN(const bool known, read_field(item, key.str(), value, field));
      if (!known) return bad(field, "there is no such key");
    }
    items.push_back(std::move(item));
  }
  return items;
}

Result<bool> read_peer_field(Peer& peer, std::string_view key, const toml::node& node,
                             const Spot& spot) {
  if (key == "id") {
    BOP_TRY_ASSIGN(const int64_t id, read_integer(node, spot, 1, INT64_MAX));
    peer.id = static_cast<NodeId>(id);
  } else if (key == "address") {
    BOP_TRY_ASSIGN(peer.address, read_address(node, spot));
  } else if (key == "native") {
    BOP_TRY_ASSIGN(peer.native, read_address(node, spot));
  } else {
    return false;
  }
  return true;
}

Result<std::vector<NodeId>> read_voters(const toml::node& node, const Spot& spot) {
  const auto* array = node.as_array();
  if (array == nullptr) return bad(spot, std::string("must be a list, is ") + type_name(node));
  std::vector<NodeId> voters;
  for (const toml::node& element : *array) {
    BOP_TRY_ASSIGN(const int64_t id, read_integer(element, spot, 1, INT64_MAX));
    voters.push_back(static_cast<NodeId>(id));
  }
  std::sort(voters.begin(), voters.end());
  if (std::adjacent_find(voters.begin(), voters.end()) != voters.end()) {
    return bad(spot, "names a node twice");
  }
  return voters;
}

Result<bool> read_group_field(GroupSpec& group, std::string_view key, const toml::node& node,
                              const Spot& spot) {
  if (key == "name") {
    BOP_TRY_ASSIGN(group.name, read_string(node, spot));
  } else if (key == "id") {
    BOP_TRY_ASSIGN(const int64_t id, read_integer(node, spot, 1, INT64_MAX));
    group.id = static_cast<GroupId>(id);
  } else if (key == "machine") {
    BOP_TRY_ASSIGN(group.machine, read_string(node, spot));
  } else if (key == "voters") {
    BOP_TRY_ASSIGN(group.voters, read_voters(node, spot));
  } else if (key == "shard") {
    BOP_TRY_ASSIGN(const int64_t shard, read_integer(node, spot, 0, 63));
    group.shard = static_cast<uint32_t>(shard);
  } else {
    return false;
  }
  return true;
}

Result<Value> read_node(const Key& key, const toml::node& node, const Spot& spot) {
  switch (key.kind) {
    case Kind::text:
    case Kind::path: return read_string(node, spot);
    case Kind::choice: return read_choice(node, spot, key.choices);
    case Kind::address: return read_address(node, spot);
    case Kind::cluster_id: return read_cluster_id(node, spot);
    case Kind::integer: return read_integer(node, spot, key.low, key.high);
    case Kind::boolean:
      if (const auto* value = node.as_boolean()) return value->get();
      return bad(spot, std::string("must be true or false, is ") + type_name(node));
    case Kind::peers: return read_tables<Peer>(node, spot, 64, read_peer_field);
    case Kind::groups: return read_tables<GroupSpec>(node, spot, 4096, read_group_field);
  }
  return bad(spot, "has a kind that is not read");
}

bool is_text(Kind kind) {
  return kind == Kind::text || kind == Kind::path || kind == Kind::choice ||
         kind == Kind::address || kind == Kind::cluster_id;
}

std::string at_line(const std::string& name, uint32_t line) {
  return name + ":" + std::to_string(line);
}

std::unexpected<Error> syntax_error(const std::string& source, const toml::parse_error& error) {
  return fail(BOP_E_BAD_CONFIG, source + ": " + std::string(error.description()));
}

// Walks a document; of several things that are wrong it keeps the first in the document.
class DocumentReader {
 public:
  DocumentReader(const std::string& name, const std::string& folder)
      : name_(name), folder_(folder) {}

  void read_table(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      read_key(prefix + std::string(key.str()), key.source().begin.line, node);
    }
  }

  Result<std::vector<Assignment>> finish() {
    if (error_line_ != UINT32_MAX) return std::unexpected(std::move(error_));
    return std::move(assignments_);
  }

 private:
  void read_key(const std::string& name, uint32_t line, const toml::node& node) {
    const Spot spot{at_line(name_, line), name};
    if (const Key* key = find_key(name)) {
      Result<Value> value = read_node(*key, node, spot);
      if (!value) return note(line, std::move(value).error());
      if (key->kind == Kind::path) resolve(std::get<std::string>(*value));
      const auto index = static_cast<size_t>(key - config_keys().data());
      assignments_.push_back({index, std::move(*value), spot.source});
    } else if (is_prefix(name) && node.is_table()) {
      read_table(*node.as_table(), name + ".");
    } else {
      note(line, bad(spot, "there is no such key").error());
    }
  }

  static bool is_prefix(const std::string& name) {
    return std::ranges::any_of(config_keys(), [&](const Key& key) {
      return std::string_view(key.name).starts_with(name + ".");
    });
  }

  void resolve(std::string& path) const {
    if (path.empty() || folder_.empty()) return;
    path = (std::filesystem::path(folder_) / path).lexically_normal().string();
  }

  void note(uint32_t line, Error error) {
    if (line >= error_line_) return;
    error_line_ = line;
    error_ = std::move(error);
  }

  const std::string& name_;
  const std::string& folder_;
  std::vector<Assignment> assignments_;
  uint32_t error_line_ = UINT32_MAX;
  Error error_;
};

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr const char* digits = "0123456789ABCDEF";
      out += "\\u00";
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[c & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string joined(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ", " : "") + item;
  return out += "]";
}

std::string to_toml(const Peer& peer) {
  const std::string native = peer.native.empty() ? "" : ", native = " + toml_text(peer.native);
  return "{id = " + std::to_string(peer.id) + ", address = " + toml_text(peer.address) + native +
         "}";
}

std::string to_toml(const GroupSpec& group) {
  std::string out = "{name = " + toml_text(group.name) + ", id = " + std::to_string(group.id) +
                    ", machine = " + toml_text(group.machine);
  if (!group.voters.empty()) {
    std::vector<std::string> voters;
    for (const NodeId voter : group.voters) voters.push_back(std::to_string(voter));
    out += ", voters = " + joined(voters);
  }
  return out + ", shard = " + std::to_string(group.shard) + "}";
}

struct ToToml {
  std::string operator()(const std::string& text) const { return toml_text(text); }
  std::string operator()(int64_t number) const { return std::to_string(number); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  template <class Item>
  std::string operator()(const std::vector<Item>& list) const {
    std::vector<std::string> items;
    for (const Item& item : list) items.push_back(to_toml(item));
    return joined(items);
  }
};

}  // namespace

Result<std::vector<Assignment>> read_toml(std::string_view text, const std::string& name,
                                          const std::string& folder) {
  const toml::parse_result document = toml::parse(text, std::string_view(name));
  if (!document) {
    return syntax_error(at_line(name, document.error().source().begin.line), document.error());
  }
  DocumentReader reader(name, folder);
  reader.read_table(document.table(), "");
  return reader.finish();
}

Result<Value> read_value(const Key& key, std::string_view text, const std::string& source) {
  const Spot spot{source, key.name};
  if (text.size() > max_config_bytes) return bad(spot, "is longer than 1 MiB");
  // Text goes through the parser too: it knows what is valid UTF-8.
  const std::string line = "value = " + (is_text(key.kind) ? toml_text(text) : std::string(text));
  const toml::parse_result document = toml::parse(line);
  if (!document) return bad(spot, std::string(document.error().description()));
  if (document.table().size() != 1) return bad(spot, "must be one value");
  return read_node(key, document.table().begin()->second, spot);
}

std::string to_toml(const Value& value) { return std::visit(ToToml(), value); }

}  // namespace bop::capi

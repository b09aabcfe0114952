#include "serve/resp_commands.h"

#include <algorithm>
#include <array>

namespace bop::serve {

namespace {

using C = RespCommand;
constexpr uint8_t read_fast = C::readonly | C::fast;
constexpr uint8_t write_fast = C::write | C::denyoom | C::fast;
constexpr uint8_t connection = C::fast | C::connection;

constexpr std::array table{
    C{Verb::append, "append", 3, write_fast, 1, 1, 1, "string", "O(1)", "Append a value to a key"},
    C{Verb::auth, "auth", -2, connection, 0, 0, 0, "connection", "O(1)",
      "Log in; accepted for the user default, as no password is configured"},
    C{Verb::client, "client", -2, C::connection, 0, 0, 0, "connection", "O(1)",
      "Describe or name this connection: ID, INFO, GETNAME, SETNAME, SETINFO"},
    C{Verb::command, "command", -1, C::connection, 0, 0, 0, "server", "O(N)",
      "Describe the commands: COUNT, DOCS, GETKEYS, INFO, LIST"},
    C{Verb::config, "config", -2, C::connection, 0, 0, 0, "server", "O(N)",
      "Get parameters of this server: GET"},
    C{Verb::dbsize, "dbsize", 1, read_fast, 0, 0, 0, "server", "O(1)", "Return the number of keys"},
    C{Verb::decr, "decr", 2, write_fast, 1, 1, 1, "string", "O(1)",
      "Decrement the integer value of a key by one"},
    C{Verb::decrby, "decrby", 3, write_fast, 1, 1, 1, "string", "O(1)",
      "Decrement the integer value of a key"},
    C{Verb::del, "del", -2, C::write, 1, -1, 1, "generic", "O(N log K)", "Delete keys"},
    C{Verb::echo, "echo", 2, connection, 0, 0, 0, "connection", "O(1)", "Return the message"},
    C{Verb::exists, "exists", -2, read_fast, 1, -1, 1, "generic", "O(N log K)",
      "Count the keys that exist"},
    C{Verb::get, "get", 2, read_fast, 1, 1, 1, "string", "O(log K)", "Return the value of a key"},
    C{Verb::getdel, "getdel", 2, C::write | C::fast, 1, 1, 1, "string", "O(log K)",
      "Return the value of a key and delete the key"},
    C{Verb::getset, "getset", 3, write_fast, 1, 1, 1, "string", "O(log K)",
      "Set a key and return its previous value"},
    C{Verb::hello, "hello", -1, connection, 0, 0, 0, "connection", "O(1)",
      "Select the protocol version"},
    C{Verb::incr, "incr", 2, write_fast, 1, 1, 1, "string", "O(1)",
      "Increment the integer value of a key by one"},
    C{Verb::incrby, "incrby", 3, write_fast, 1, 1, 1, "string", "O(1)",
      "Increment the integer value of a key"},
    C{Verb::info, "info", -1, C::connection, 0, 0, 0, "server", "O(1)", "Describe this server"},
    C{Verb::mget, "mget", -2, read_fast, 1, -1, 1, "string", "O(N log K)",
      "Return the values of keys"},
    C{Verb::mset, "mset", -3, C::write | C::denyoom, 1, -1, 2, "string", "O(N log K)",
      "Set keys atomically"},
    C{Verb::ping, "ping", -1, connection, 0, 0, 0, "connection", "O(1)",
      "Check that the server answers"},
    C{Verb::quit, "quit", -1, connection, 0, 0, 0, "connection", "O(1)", "Close the connection"},
    C{Verb::reset, "reset", 1, connection, 0, 0, 0, "connection", "O(1)", "Reset the connection"},
    C{Verb::scan, "scan", -2, C::readonly, 0, 0, 0, "generic", "O(log K + N) a call",
      "Iterate over the keys in order"},
    C{Verb::select, "select", 2, connection, 0, 0, 0, "connection", "O(1)",
      "Select the database; there is only 0"},
    C{Verb::set, "set", -3, C::write | C::denyoom, 1, 1, 1, "string", "O(log K)",
      "Set the value of a key"},
    C{Verb::setnx, "setnx", 3, write_fast, 1, 1, 1, "string", "O(log K)",
      "Set the value of a key that does not exist"},
    C{Verb::strlen, "strlen", 2, read_fast, 1, 1, 1, "string", "O(log K)",
      "Return the length of a key's value"},
    C{Verb::type, "type", 2, read_fast, 1, 1, 1, "generic", "O(log K)",
      "Return the type of a key's value"},
};

static_assert(std::ranges::is_sorted(table, {}, &C::name));

constexpr size_t longest_name = 7;
static_assert(std::ranges::all_of(table, [](const C& c) { return c.name.size() <= longest_name; }));

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Names of at most eight characters are words of 64 bits, found by open addressing.
constexpr size_t slots = 256;
constexpr uint64_t word(std::string_view name) {
  uint64_t word = 0;
  for (const char c : name) word = word << 8 | static_cast<unsigned char>(lower(c));
  return word;
}
constexpr size_t slot_of(uint64_t word) { return (word * 0x9e37'79b9'7f4a'7c15u) >> 56; }

constexpr std::array<int8_t, slots> make_index() {
  std::array<int8_t, slots> index{};
  index.fill(-1);
  for (size_t i = 0; i < table.size(); ++i) {
    size_t at = slot_of(word(table[i].name));
    while (index[at] >= 0) at = (at + 1) % slots;
    index[at] = static_cast<int8_t>(i);
  }
  return index;
}
constexpr std::array<int8_t, slots> name_index = make_index();

}  // namespace

std::span<const RespCommand> resp_commands() { return table; }

const RespCommand* find_resp_command(std::string_view name) {
  if (name.empty() || name.size() > longest_name) return nullptr;
  const uint64_t wanted = word(name);
  for (size_t at = slot_of(wanted); name_index[at] >= 0; at = (at + 1) % slots) {
    const RespCommand& command = table[static_cast<uint8_t>(name_index[at])];
    if (word(command.name) == wanted) return &command;
  }
  return nullptr;
}

bool same_word(std::string_view a, std::string_view lower_case) {
  return std::ranges::equal(a, lower_case, {}, lower);
}

}  // namespace bop::serve

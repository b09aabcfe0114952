// The table of the Redis commands that this server implements, as COMMAND reports it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace bop::serve {

enum class Verb : uint8_t {
  append,
  auth,
  client,
  command,
  config,
  dbsize,
  decr,
  decrby,
  del,
  echo,
  exists,
  get,
  getdel,
  getset,
  hello,
  incr,
  incrby,
  info,
  mget,
  mset,
  ping,
  quit,
  reset,
  scan,
  select,
  set,
  setnx,
  strlen,
  type,
};

struct RespCommand {
  enum Flags : uint8_t {
    readonly = 1,
    write = 2,
    denyoom = 4,  // may be refused when the disk or the log is full
    fast = 8,
    connection = 16,  // touches no data
  };

  Verb verb;
  std::string_view name;  // lower case
  int arity;              // with the name itself; negative: at least
  uint8_t flags;
  int first_key, last_key, key_step;  // as COMMAND reports them; 0, 0, 0: no keys
  std::string_view group;
  std::string_view complexity;
  std::string_view summary;

  bool takes(size_t arguments) const {
    return arity >= 0 ? arguments == static_cast<size_t>(arity)
                      : arguments >= static_cast<size_t>(-arity);
  }
  // Calls `use` with each key among the arguments (the name is the first of them) of a complete command.
  template <class Use>
  void each_key(std::span<const Bytes> arguments, Use use) const {
    if (first_key == 0) return;
    const auto count = static_cast<int>(arguments.size());
    const int last = last_key < 0 ? count + last_key : last_key;
    for (int i = first_key; i <= last; i += key_step) use(arguments[static_cast<size_t>(i)]);
  }
};

// Ordered by name.
std::span<const RespCommand> resp_commands();

// nullptr if there is none of that name; case does not matter.
const RespCommand* find_resp_command(std::string_view name);

// Whether `a` equals `lower`, which is in lower case, ignoring case.
bool same_word(std::string_view a, std::string_view lower);

}  // namespace bop::serve

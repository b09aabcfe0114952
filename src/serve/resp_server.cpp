// The commands of RespConnection about the connection, the commands themselves and the server.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/assert.h"
#include "serve/glob.h"
#include "serve/resp_connection.h"
#include "serve/resp_info.h"

namespace bop::serve {

namespace {

using proto::RespWriter;

// As printf's "%.128s" shows it: up to a NUL, at most 128 bytes.
std::string_view shown(Bytes bytes) {
  const std::string_view text = as_text(bytes).substr(0, 128);
  return text.substr(0, text.find('\0'));
}

std::string upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return upper;
}

constexpr std::string_view wrong_pass =
    "WRONGPASS invalid username-password pair or user is disabled.";

// No password is configured: as in Redis, the user `default` exists and has any password.
bool is_default_user(Bytes name) { return as_text(name) == "default"; }

bool plain_name(Bytes name) {
  return std::ranges::all_of(name, [](uint8_t c) { return c >= '!' && c <= '~'; });
}

void write_flags(RespWriter& out, const RespCommand& command) {
  const std::array<std::pair<uint8_t, std::string_view>, 4> names{{
      {RespCommand::write, "write"},
      {RespCommand::readonly, "readonly"},
      {RespCommand::denyoom, "denyoom"},
      {RespCommand::fast, "fast"},
  }};
  out.set(static_cast<size_t>(
      std::ranges::count_if(names, [&](const auto& n) { return command.flags & n.first; })));
  for (const auto& [flag, name] : names) {
    if ((command.flags & flag) != 0) out.simple(name);
  }
}

// The ACL categories of a command, in Redis's order.
std::vector<std::string_view> categories(const RespCommand& command) {
  const bool keyspace = command.group == "generic" || command.verb == Verb::dbsize;
  const bool config = command.verb == Verb::config;
  const bool fast = (command.flags & RespCommand::fast) != 0;
  std::vector<std::string_view> names;
  if (keyspace) names.emplace_back("keyspace");
  if ((command.flags & RespCommand::readonly) != 0) names.emplace_back("read");
  if ((command.flags & RespCommand::write) != 0) names.emplace_back("write");
  if (command.group == "string") names.emplace_back("string");
  if (config) names.emplace_back("admin");
  names.emplace_back(fast ? "fast" : "slow");
  if (config || command.verb == Verb::info) names.emplace_back("dangerous");
  if (command.group == "connection" || command.verb == Verb::command) {
    names.emplace_back("connection");
  }
  return names;
}

void write_categories(RespWriter& out, const RespCommand& command) {
  const auto names = categories(command);
  out.set(names.size());
  for (const std::string_view name : names) out.simple(fmt::format("@{}", name));
}

// One command's description in COMMAND and COMMAND INFO: ten elements since Redis 7.
void write_command(RespWriter& out, const RespCommand& command) {
  out.array(10);
  out.bulk(command.name);
  out.integer(command.arity);
  write_flags(out, command);
  out.integer(command.first_key);
  out.integer(command.last_key);
  out.integer(command.key_step);
  write_categories(out, command);
  out.array(0);  // tips
  out.array(0);  // key specifications: the positions above say all
  out.array(0);  // subcommands
}

void write_docs(RespWriter& out, const RespCommand& command) {
  out.bulk(command.name);
  out.map(3);
  out.bulk("summary");
  out.bulk(command.summary);
  out.bulk("group");
  out.bulk(command.group);
  out.bulk("complexity");
  out.bulk(command.complexity);
}

}  // namespace

void RespConnection::run_server(Verb verb, const RespCommand& command, Arguments arguments) {
  switch (verb) {
    case Verb::ping:
      if (arguments.size() > 2) return error(wrong_arity("ping"));
      return reply([&](RespWriter& out) {
        if (arguments.size() == 1) return out.simple("PONG");
        out.bulk(arguments[1]);
      });
    case Verb::echo: return reply([&](RespWriter& out) { out.bulk(arguments[1]); });
    case Verb::hello: return hello(arguments);
    case Verb::auth: return auth(arguments);
    case Verb::select: return select(arguments[1]);
    case Verb::quit: return quit();
    case Verb::reset: return reset();
    case Verb::client: return client(command, arguments);
    case Verb::command: return command_command(command, arguments);
    case Verb::config: return config(command, arguments);
    case Verb::info: return info(arguments);
    default: BOP_ASSERT(false);
  }
}

void RespConnection::unknown_command(Arguments arguments) {
  // A browser that a page made connect to this port sends this first; the following lines would run as commands.
  const std::string_view name = as_text(arguments[0]);
  if (same_word(name, "post") || same_word(name, "host:")) return close_as_foreign();
  if (same_word(name, "exec")) return error("ERR EXEC without MULTI");
  if (same_word(name, "discard")) return error("ERR DISCARD without MULTI");
  refused_multi_ = same_word(name, "multi");
  std::string shown_arguments;
  for (size_t i = 1; i < arguments.size() && shown_arguments.size() < 128; ++i) {
    shown_arguments +=
        fmt::format("'{}' ", shown(arguments[i]).substr(0, 128 - shown_arguments.size()));
  }
  error(fmt::format("ERR unknown command '{}', with args beginning with: {}", shown(arguments[0]),
                    shown_arguments));
}

// Clients send MULTI, the commands of the transaction and EXEC without waiting for a reply. Since MULTI
// is refused, none of these commands may run: the client would take the transaction for failed and
// retry it.
bool RespConnection::refuse_in_transaction(Arguments arguments) {
  if (!refused_multi_) return false;
  const std::string_view name = as_text(arguments[0]);
  if (same_word(name, "quit") || same_word(name, "reset")) return false;
  connections_.resp().commands.add();
  if (same_word(name, "exec")) {
    refused_multi_ = false;
    error("EXECABORT Transaction discarded because of previous errors.");
  } else if (same_word(name, "discard")) {
    refused_multi_ = false;
    error("ERR DISCARD without MULTI");
  } else {
    error(
        "ERR not executed: it follows a MULTI, which is not supported; EXEC, DISCARD or RESET ends "
        "the refused transaction");
  }
  return true;
}

void RespConnection::close_as_foreign() {
  connections_.client_log().warning(
      "{}: an HTTP request on the port of the Redis protocol, closing", wire_->peer());
  end();
}

void RespConnection::unknown_subcommand(const RespCommand& command, Bytes subcommand) {
  error(fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", shown(subcommand),
                    upper(command.name)));
}

// In the form of Redis's help, with the supported subcommands.
void RespConnection::help(const RespCommand& command, Arguments arguments,
                          std::initializer_list<std::string_view> lines) {
  if (arguments.size() != 2) return error(wrong_arity(fmt::format("{}|help", command.name)));
  reply([&](RespWriter& out) {
    out.array(lines.size() + 3);
    out.simple(fmt::format("{} takes one of these:", upper(command.name)));
    for (const std::string_view line : lines) out.simple(line);
    out.simple("HELP");
    out.simple("    This.");
  });
}

// ---- the connection ----

void RespConnection::hello(Arguments arguments) {
  int64_t version = version_;
  if (arguments.size() > 1) {
    if (!proto::parse_redis_integer(as_text(arguments[1]), version)) {
      return error("ERR Protocol version is not an integer or out of range");
    }
    if (version < 2 || version > 3) return error("NOPROTO unsupported protocol version");
  }
  Bytes name;
  for (size_t i = 2; i < arguments.size();) {
    const std::string_view option = as_text(arguments[i]);
    if (same_word(option, "auth") && arguments.size() - i > 2) {
      if (!is_default_user(arguments[i + 1])) return error(wrong_pass);
      i += 3;
      continue;
    }
    if (!same_word(option, "setname") || arguments.size() - i < 2) {
      return error(fmt::format("ERR Syntax error in HELLO option '{}'", shown(arguments[i])));
    }
    name = arguments[i + 1];
    if (!check_name(name)) return;
    i += 2;
  }
  if (!name.empty()) name_ = as_text(name);
  version_ = static_cast<int>(version);
  reply([&](RespWriter& out) {
    out.map(7);
    out.bulk("server");
    out.bulk("bop");
    out.bulk("version");
    out.bulk(connections_.options().version);
    out.bulk("proto");
    out.integer(version_);
    out.bulk("id");
    out.integer(static_cast<int64_t>(id()));
    out.bulk("mode");
    out.bulk("standalone");
    out.bulk("role");
    out.bulk("master");  // every node takes writes
    out.bulk("modules");
    out.array(0);
  });
}

void RespConnection::auth(Arguments arguments) {
  if (arguments.size() > 3) return error("ERR syntax error");
  if (arguments.size() == 3) {
    if (!is_default_user(arguments[1])) return error(wrong_pass);
    return reply([](RespWriter& out) { out.simple("OK"); });
  }
  error(
      "ERR AUTH <password> called without any password configured for the default user. Are you "
      "sure your configuration is correct?");
}

void RespConnection::select(Bytes database) {
  int64_t number = 0;
  if (!proto::parse_redis_integer(as_text(database), number)) {
    return error("ERR value is not an integer or out of range");
  }
  constexpr int64_t least = std::numeric_limits<int32_t>::min();
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (number < least || number > most) {
    return error(
        fmt::format("ERR value is out of range, value must between {} and {}", least, most));
  }
  if (number != 0) return error("ERR DB index is out of range");
  reply([](RespWriter& out) { out.simple("OK"); });
}

void RespConnection::quit() {
  reply([](RespWriter& out) { out.simple("OK"); });
  end();
}

void RespConnection::reset() {
  version_ = 2;
  refused_multi_ = false;
  name_.clear();
  reply([](RespWriter& out) { out.simple("RESET"); });
}

bool RespConnection::check_name(Bytes name) {
  if (name.size() > max_name_bytes) {
    error(
        fmt::format("ERR a client name of {} bytes; the limit is {}", name.size(), max_name_bytes));
    return false;
  }
  if (!plain_name(name)) {
    error("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  return true;
}

void RespConnection::client(const RespCommand& command, Arguments arguments) {
  const std::string_view sub = as_text(arguments[1]);
  const auto wants = [&](std::string_view name, size_t size) {
    if (arguments.size() == size) return true;
    error(wrong_arity(fmt::format("client|{}", name)));
    return false;
  };
  if (same_word(sub, "id")) {
    if (!wants("id", 2)) return;
    reply([&](RespWriter& out) { out.integer(static_cast<int64_t>(id())); });
  } else if (same_word(sub, "getname")) {
    if (!wants("getname", 2)) return;
    reply([&](RespWriter& out) { name_.empty() ? out.null() : out.bulk(name_); });
  } else if (same_word(sub, "setname")) {
    if (!wants("setname", 3) || !check_name(arguments[2])) return;
    name_ = as_text(arguments[2]);
    reply([](RespWriter& out) { out.simple("OK"); });
  } else if (same_word(sub, "setinfo")) {
    if (wants("setinfo", 4)) client_set_info(arguments);
  } else if (same_word(sub, "info")) {
    if (!wants("info", 2)) return;
    reply([&](RespWriter& out) { out.text(client_line()); });
  } else if (same_word(sub, "help")) {
    help(command, arguments,
         {"GETNAME", "    The name of this connection.", "ID", "    The id of this connection.",
          "INFO", "    Properties of this connection, in one line.", "SETNAME <name>",
          "    Set the name of this connection.", "SETINFO LIB-NAME|LIB-VER <value>",
          "    Set the name or version of the client library."});
  } else {
    unknown_subcommand(command, arguments[1]);
  }
}

void RespConnection::client_set_info(Arguments arguments) {
  const std::string_view option = as_text(arguments[2]);
  const bool is_name = same_word(option, "lib-name");
  if (!is_name && !same_word(option, "lib-ver")) {
    return error(fmt::format("ERR Unrecognized option '{}'", shown(arguments[2])));
  }
  if (arguments[3].size() > max_name_bytes || !plain_name(arguments[3])) {
    return error(fmt::format("ERR {} cannot contain spaces, newlines or special characters.",
                             is_name ? "lib-name" : "lib-ver"));
  }
  (is_name ? library_name_ : library_version_) = as_text(arguments[3]);
  reply([](RespWriter& out) { out.simple("OK"); });
}

std::string RespConnection::client_line() const {
  const Instant now = connections_.service().now();
  return fmt::format(
      "id={} addr={} name={} age={} idle={} flags=N db=0 resp={} lib-name={} lib-ver={}\n", id(),
      wire_->peer(), name_, (now - connected_at_) / seconds, (now - active_at_) / seconds, version_,
      library_name_, library_version_);
}

// ---- the commands ----

void RespConnection::command_command(const RespCommand& command, Arguments arguments) {
  if (arguments.size() == 1) {
    return reply([](RespWriter& out) {
      out.array(resp_commands().size());
      for (const RespCommand& each : resp_commands()) write_command(out, each);
    });
  }
  const std::string_view sub = as_text(arguments[1]);
  const Arguments names = arguments.subspan(2);
  if (same_word(sub, "count")) {
    if (!names.empty()) return error(wrong_arity("command|count"));
    reply([](RespWriter& out) { out.integer(static_cast<int64_t>(resp_commands().size())); });
  } else if (same_word(sub, "docs")) {
    command_docs(names);
  } else if (same_word(sub, "info")) {
    command_info(names);
  } else if (same_word(sub, "list")) {
    command_list(names);
  } else if (same_word(sub, "getkeys")) {
    if (names.empty()) return error(wrong_arity("command|getkeys"));
    command_getkeys(names);
  } else if (same_word(sub, "help")) {
    help(command, arguments,
         {"(no subcommand)", "    The arity, flags and keys of every command.", "COUNT",
          "    The number of commands.", "DOCS [<command-name> ...]",
          "    Summary, group and complexity of these commands, or of all.",
          "GETKEYS <command> [<arg> ...]", "    The keys of a complete command.",
          "INFO [<command-name> ...]", "    The same as without a subcommand, for these commands.",
          "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
          "    The names of the commands, all or those that match."});
  } else {
    unknown_subcommand(command, arguments[1]);
  }
}

// COMMAND LIST [FILTERBY (MODULE name | ACLCAT category | PATTERN pattern)]
void RespConnection::command_list(Arguments filter) {
  std::vector<std::string_view> found;
  const auto add_if = [&](auto wanted) {
    for (const RespCommand& each : resp_commands())
      if (wanted(each)) found.push_back(each.name);
  };
  if (filter.empty()) {
    add_if([](const RespCommand&) { return true; });
  } else {
    const bool complete = filter.size() == 3 && same_word(as_text(filter[0]), "filterby");
    const std::string_view by = complete ? as_text(filter[1]) : std::string_view();
    const std::string value = complete ? lower(as_text(filter[2])) : std::string();
    if (same_word(by, "aclcat")) {
      add_if([&](const RespCommand& each) {
        return std::ranges::count(categories(each), std::string_view(value)) > 0;
      });
    } else if (same_word(by, "pattern")) {
      add_if([&](const RespCommand& each) { return glob_matches(value, each.name); });
    } else if (!same_word(by, "module")) {  // no command comes from a module
      return error("ERR syntax error");
    }
  }
  reply([&](RespWriter& out) {
    out.array(found.size());  // a set only since Redis 7.2
    for (const std::string_view name : found) out.bulk(name);
  });
}

void RespConnection::command_getkeys(Arguments words) {
  if (words.size() < 2) return error(wrong_arity("command|getkeys"));
  const RespCommand* command = find_resp_command(as_text(words[0]));
  if (command == nullptr) return error("ERR Invalid command specified");
  if (command->first_key == 0) return error("ERR The command has no key arguments");
  if (!command->takes(words.size())) {
    return error("ERR Invalid number of arguments specified for command");
  }
  std::vector<Bytes> keys;
  command->each_key(words, [&](Bytes key) { keys.push_back(key); });
  reply([&](RespWriter& out) {
    out.array(keys.size());
    for (const Bytes key : keys) out.bulk(key);
  });
}

void RespConnection::command_docs(Arguments names) {
  reply([&](RespWriter& out) {
    if (names.empty()) {
      out.map(resp_commands().size());
      for (const RespCommand& each : resp_commands()) write_docs(out, each);
      return;
    }
    std::vector<const RespCommand*> found;
    for (const Bytes name : names) {
      if (const RespCommand* each = find_resp_command(as_text(name))) found.push_back(each);
    }
    out.map(found.size());
    for (const RespCommand* each : found) write_docs(out, *each);
  });
}

void RespConnection::command_info(Arguments names) {
  reply([&](RespWriter& out) {
    out.array(names.empty() ? resp_commands().size() : names.size());
    if (names.empty()) {
      for (const RespCommand& each : resp_commands()) write_command(out, each);
    }
    for (const Bytes name : names) {
      const RespCommand* each = find_resp_command(as_text(name));
      each == nullptr ? out.null() : write_command(out, *each);
    }
  });
}

// ---- the server ----

void RespConnection::config(const RespCommand& command, Arguments arguments) {
  if (same_word(as_text(arguments[1]), "help")) {
    return help(command, arguments,
                {"GET <pattern>", "    The parameters whose names match, with their values."});
  }
  if (!same_word(as_text(arguments[1]), "get")) return unknown_subcommand(command, arguments[1]);
  if (arguments.size() < 3) return error(wrong_arity("config|get"));
  const auto settings = resp_settings(connections_.options(), parser_.limits());
  std::vector<std::pair<std::string_view, std::string_view>> found;
  for (const auto& [name, value] : settings) {
    const bool wanted = std::ranges::any_of(arguments.subspan(2), [&](Bytes pattern) {
      return glob_matches(lower(as_text(pattern)), name);
    });
    if (wanted) found.emplace_back(name, value);
  }
  reply([&](RespWriter& out) {
    out.map(found.size());
    for (const auto& [name, value] : found) {
      out.bulk(name);
      out.bulk(value);
    }
  });
}

void RespConnection::info(Arguments arguments) {
  std::string wanted;
  for (const Bytes section : arguments.subspan(1)) wanted += " " + lower(as_text(section)) + " ";
  const uint64_t number = open_slot({.kind = PendingReply::Kind::info});
  ask_status([this, number, wanted](const node::NodeStatus& status) {
    complete(number, slot(number).reply.version,
             [&](RespWriter& out) { out.text(resp_info(wanted, status, connections_)); });
  });
}

}  // namespace bop::serve

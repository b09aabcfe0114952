#include "command_line/tree.h"

#include <algorithm>
#include <cctype>

namespace command_line {
namespace {

void collect(const CLI::App& app, const std::string& path, std::vector<Command>& out) {
  out.push_back({&app, path});
  for (const CLI::App* below : commands_of(app))
    collect(*below, path + " " + below->get_name(), out);
}

bool ends_the_program(const CLI::App& app, const CLI::Option* option) {
  return option == app.get_help_ptr() || option == app.get_version_ptr();
}

}  // namespace

std::vector<Command> all_commands(const CLI::App& app) {
  std::vector<Command> out;
  collect(app, app.get_name(), out);
  return out;
}

Command chosen(const CLI::App& app) {
  Command at{&app, app.get_name()};
  for (auto below = at.app->get_subcommands(); !below.empty(); below = at.app->get_subcommands()) {
    at = {below.front(), at.path + " " + below.front()->get_name()};
  }
  return at;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* below) { return !below->get_group().empty(); });
}

std::vector<const CLI::Option*> named_options(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) {
    return option->nonpositional() && !option->get_group().empty();
  });
}

std::vector<const CLI::Option*> arguments(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::vector<const CLI::Option*> global_options(const CLI::App& root) {
  std::vector<const CLI::Option*> out = named_options(root);
  std::erase_if(out, [&](const CLI::Option* option) { return ends_the_program(root, option); });
  return out;
}

std::vector<std::string> option_names(const Command& command) {
  std::vector<std::string> names;
  for (const CLI::App* app = command.app; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : named_options(*app)) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string argument_name(const CLI::Option& option) {
  std::string name = option.get_name(true);
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

std::string argument_usage(const CLI::Option& option) {
  std::string name = argument_name(option);
  if (option.get_expected_max() > 1) name += "...";
  return option.get_required() ? name : "[" + name + "]";
}

std::string usage_of(const Command& command) {
  std::string out = command.path;
  if (!named_options(*command.app).empty()) out += " [OPTIONS]";
  for (const CLI::Option* option : arguments(*command.app)) out += " " + argument_usage(*option);
  if (!commands_of(*command.app).empty()) out += " COMMAND";
  return out;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string value_name(const CLI::Option& option) {
  const std::string name = option.get_type_name();  // "FORM:{table,json}"
  return name.substr(0, name.find(':'));
}

std::vector<std::string> choices(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  const size_t open = name.find(":{");
  if (open == name.npos || !name.ends_with('}')) return {};
  std::vector<std::string> out(1);
  for (const char c : name.substr(open + 2, name.size() - open - 3)) {
    if (c == ',') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

}  // namespace command_line

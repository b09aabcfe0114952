#include "command_line/documents.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <vector>

#include "command_line/tree.h"

namespace command_line {
namespace {

// ---- manual ----

// Escapes text for troff: no line becomes a request, and hyphens stay ASCII so that they can be copied.
std::string troff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_begins = c == '\n';
  }
  return out;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// "\fB-o\fR, \fB--output\fR \fIFORM\fR".
std::string troff_option(const CLI::Option& option) {
  std::string out;
  const auto add = [&](const std::string& name) {
    out += (out.empty() ? "\\fB" : ", \\fB") + troff(name) + "\\fR";
  };
  for (const std::string& name : option.get_snames()) add("-" + name);
  for (const std::string& name : option.get_lnames()) add("--" + name);
  if (takes_value(option)) out += " \\fI" + troff(value_name(option)) + "\\fR";
  return out;
}

void add_item(std::string& out, const std::string& head, const CLI::Option& option) {
  out += ".TP\n" + head + "\n";
  out += option.get_description().empty() ? "\\&\n" : troff(option.get_description()) + "\n";
  if (!option.get_envname().empty()) {
    out += "Environment: \\fB" + troff(option.get_envname()) + "\\fR.\n";
  }
}

void add_options(std::string& out, const CLI::App& app) {
  for (const CLI::Option* option : arguments(app)) {
    if (option->get_description().empty()) continue;
    add_item(out, "\\fI" + troff(argument_name(*option)) + "\\fR", *option);
  }
  for (const CLI::Option* option : named_options(app)) {
    if (option != app.get_help_ptr()) add_item(out, troff_option(*option), *option);
  }
}

void add_command(std::string& out, const Command& command, const std::string& inherited) {
  out +=
      ".SS \"" + troff(usage_of(command)) + "\"\n" + troff(command.app->get_description()) + ".\n";
  add_options(out, *command.app);
  const std::string footer = command.app->get_footer();
  if (footer != inherited) out += ".PP\n" + troff(footer) + "\n";
}

// ---- completion ----

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The first line, for a list.
std::string brief(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string identifier(std::string name) {
  std::ranges::replace(name, '-', '_');
  return "_" + name;
}

std::vector<std::string> spellings(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const std::string& name : option.get_snames()) out.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.push_back("--" + name);
  return out;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

// The options that a command accepts: its own and, for commands other than the root, the global ones.
std::vector<const CLI::Option*> options_of(const CLI::App& root, const CLI::App& app) {
  std::vector<const CLI::Option*> out = named_options(app);
  if (&root == &app) return out;
  for (const CLI::Option* option : global_options(root)) out.push_back(option);
  return out;
}

bool is_path(const CLI::Option& option) {
  return value_name(option) == "FILE" || value_name(option) == "DIR";
}

// Every option that takes a value, once per set of spellings.
std::vector<const CLI::Option*> valued_options(const CLI::App& app) {
  std::vector<const CLI::Option*> out;
  std::vector<std::vector<std::string>> seen;
  for (const Command& command : all_commands(app)) {
    for (const CLI::Option* option : named_options(*command.app)) {
      const std::vector<std::string> names = spellings(*option);
      if (!takes_value(*option) || std::ranges::find(seen, names) != seen.end()) continue;
      seen.push_back(names);
      out.push_back(option);
    }
  }
  return out;
}

// The pattern of a shell's `case` that every command but the root matches: 'bop put'|'bop get'.
std::string command_pattern(const CLI::App& app, const char* between) {
  std::vector<std::string> paths;
  for (const Command& command : all_commands(app)) {
    if (command.app != &app) paths.push_back(shell_quoted(command.path));
  }
  return joined(paths, between);
}

bool takes_file(const CLI::App& app) {
  return std::ranges::any_of(arguments(app),
                             [](const CLI::Option* option) { return is_path(*option); });
}

}  // namespace

std::string manual_page(const CLI::App& app, std::string_view version) {
  const std::string name = app.get_name();
  std::string out = ".\\\" Generated from the program's help; do not edit.\n";
  out += ".TH " + upper(name) + " 1 \"\" \"" + std::string(version) + "\" \"bop manual\"\n";
  const std::string description = app.get_description();  // "bop: keys and values ..."
  const size_t colon = description.find(": ");
  out += ".SH NAME\n" + name + " \\- " +
         troff(colon == description.npos ? description : description.substr(colon + 2)) + "\n";
  out += ".SH SYNOPSIS\n.nf\n";
  for (const Command& command : all_commands(app)) {
    if (commands_of(*command.app).empty()) out += troff(usage_of(command)) + "\n";
  }
  out += ".fi\n.SH OPTIONS\n";
  add_options(out, app);
  out += ".SH COMMANDS\n";
  for (const Command& command : all_commands(app)) {
    if (commands_of(*command.app).empty()) add_command(out, command, app.get_footer());
  }
  if (!app.get_footer().empty()) out += ".SH NOTES\n" + troff(app.get_footer()) + "\n";
  return out;
}

std::string bash_completion(const CLI::App& app) {
  const std::string name = app.get_name();
  std::string out =
      "# bash completion of " + name + "; generated from the program's help.\n" + identifier(name) +
      "() {\n" +
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local at=" +
      shell_quoted(name) +
      " words= i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"$at ${COMP_WORDS[i]}\" in\n"
      "      " +
      command_pattern(app, "|") +
      ") at=\"$at ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case $previous in\n";
  for (const CLI::Option* option : valued_options(app)) {
    out += "    " + joined(spellings(*option), "|") + ") ";
    if (!choices(*option).empty()) {
      out += "mapfile -t COMPREPLY < <(compgen -W " + shell_quoted(joined(choices(*option), " ")) +
             " -- \"$current\"); ";
    } else if (is_path(*option)) {
      out += std::string("mapfile -t COMPREPLY < <(compgen ") +
             (value_name(*option) == "DIR" ? "-d" : "-f") + " -- \"$current\"); ";
    }
    out += "return ;;\n";
  }
  out += "  esac\n  case $at in\n";
  for (const Command& command : all_commands(app)) {
    std::vector<std::string> words;
    for (const CLI::App* below : commands_of(*command.app)) words.push_back(below->get_name());
    for (const CLI::Option* option : options_of(app, *command.app)) {
      for (const std::string& spelling : spellings(*option)) words.push_back(spelling);
    }
    out += "    " + shell_quoted(command.path) + ") words=" + shell_quoted(joined(words, " ")) +
           " ;;\n";
  }
  out +=
      "  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n";
  for (const Command& command : all_commands(app)) {
    if (!takes_file(*command.app)) continue;
    out += "  [ \"$at\" != " + shell_quoted(command.path) +
           " ] || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\")\n";
  }
  return out + "}\ncomplete -F " + identifier(name) + " " + name + "\n";
}

std::string zsh_completion(const CLI::App& app) {
  const std::string name = app.get_name();
  // For _describe: a colon ends the word.
  const auto described = [](std::string word, const std::string& text) {
    return shell_quoted(word + ":" + brief(text));
  };
  std::string out = "#compdef " + name + "\n# zsh completion of " + name +
                    "; generated from the program's help.\n" + identifier(name) + "() {\n" +
                    "  local at=" + shell_quoted(name) +
                    " word\n"
                    "  local -a commands options\n"
                    "  for word in ${words[2,CURRENT-1]}; do\n"
                    "    case \"$at $word\" in\n"
                    "      " +
                    command_pattern(app, "|") +
                    ") at=\"$at $word\" ;;\n"
                    "    esac\n"
                    "  done\n"
                    "  case ${words[CURRENT-1]} in\n";
  for (const CLI::Option* option : valued_options(app)) {
    out += "    " + joined(spellings(*option), "|") + ") ";
    if (!choices(*option).empty()) {
      out += "compadd -- " + joined(choices(*option), " ") + "; ";
    } else if (is_path(*option)) {
      out += value_name(*option) == "DIR" ? "_files -/; " : "_files; ";
    }
    out += "return ;;\n";
  }
  out += "  esac\n  case $at in\n";
  for (const Command& command : all_commands(app)) {
    out += "    " + shell_quoted(command.path) + ")\n      commands=(";
    for (const CLI::App* below : commands_of(*command.app)) {
      out += "\n        " + described(below->get_name(), below->get_description());
    }
    out += ")\n      options=(";
    for (const CLI::Option* option : options_of(app, *command.app)) {
      for (const std::string& spelling : spellings(*option)) {
        out += "\n        " + described(spelling, option->get_description());
      }
    }
    out += ")\n";
    if (takes_file(*command.app)) out += "      [[ $PREFIX == -* ]] || _files\n";
    out += "      ;;\n";
  }
  return out +
         "  esac\n"
         "  (( $#commands )) && _describe -t commands command commands\n"
         "  [[ $PREFIX != -* ]] || _describe -t options option options\n"
         "}\n" +
         identifier(name) + " \"$@\"\n";
}

std::string fish_completion(const CLI::App& app) {
  const std::string name = app.get_name();
  const std::string at = "__fish" + identifier(name) + "_at";
  // In single quotes fish interprets \' and \\ only.
  const auto text = [](std::string_view given) {
    std::string out = "'";
    for (const char c : given)
      out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return out + "'";
  };
  std::string out = "# fish completion of " + name + "; generated from the program's help.\n" +
                    "function " + at +
                    "\n"
                    "    set -l at " +
                    name +
                    "\n"
                    "    for word in (commandline -opc)[2..-1]\n"
                    "        switch \"$at $word\"\n"
                    "            case " +
                    command_pattern(app, " ") +
                    "\n"
                    "                set at \"$at $word\"\n"
                    "        end\n"
                    "    end\n"
                    "    test \"$at\" = \"$argv\"\n"
                    "end\n"
                    "complete -c " +
                    name + " -f\n";
  for (const Command& command : all_commands(app)) {
    const std::string line = "complete -c " + name + " -n " + text(at + " " + command.path);
    for (const CLI::App* below : commands_of(*command.app)) {
      out +=
          line + " -a " + below->get_name() + " -d " + text(brief(below->get_description())) + "\n";
    }
    for (const CLI::Option* option : options_of(app, *command.app)) {
      out += line;
      for (const std::string& spelling : option->get_snames()) out += " -s " + spelling;
      for (const std::string& spelling : option->get_lnames()) out += " -l " + spelling;
      if (takes_value(*option)) out += is_path(*option) ? " -r -F" : " -x";
      if (!choices(*option).empty()) out += " -a " + text(joined(choices(*option), " "));
      out += " -d " + text(brief(option->get_description())) + "\n";
    }
    if (takes_file(*command.app)) out += line + " -F\n";
  }
  return out;
}

std::optional<std::string> document(const CLI::App& app, std::string_view version, int count,
                                    char** values) {
  if (count != 3 || std::string_view(values[1]) != "--make-document") return std::nullopt;
  const std::string_view kind = values[2];
  if (kind == "man") return manual_page(app, version);
  if (kind == "bash") return bash_completion(app);
  if (kind == "zsh") return zsh_completion(app);
  if (kind == "fish") return fish_completion(app);
  return std::nullopt;
}

}  // namespace command_line

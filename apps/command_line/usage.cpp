#include "command_line/usage.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <memory>
#include <utility>

#include "command_line/tree.h"

namespace command_line {
namespace {

class Help final : public CLI::Formatter {
 public:
  Help() {
    label("Positionals", "Arguments");
    label("Subcommands", "Commands");
    label("SUBCOMMAND", "COMMAND");
    label("SUBCOMMANDS", "COMMAND");
    label("REQUIRED", "(required)");
  }

  std::string make_footer(const CLI::App* app) const override {
    std::string out;
    const CLI::App* root = app;
    while (root->get_parent() != nullptr) root = root->get_parent();
    const std::vector<const CLI::Option*> options = global_options(*root);
    if (root != app && !options.empty()) {
      out += make_group("Global options", false, options).substr(1) +
             "\n";  // without a second empty line
    }
    return out + CLI::Formatter::make_footer(app);
  }

  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    return positional ? argument_name(*option)
                      : CLI::Formatter::make_option_name(option, positional);
  }
  // Arguments: only whether they are required. The name of the type would add nothing.
  std::string make_option_opts(const CLI::Option* option) const override {
    if (!option->get_positional()) return CLI::Formatter::make_option_opts(option);
    return option->get_required() ? " " + get_label("REQUIRED") : "";
  }
  std::string make_option_usage(const CLI::Option* option) const override {
    return argument_usage(*option);
  }
};

// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

// "; did you mean "get" or "put"?", or an empty string.
std::string suggestion(const std::string& word, const std::vector<std::string>& names) {
  std::vector<std::string> near = nearest(word, names);
  std::ranges::transform(near, near.begin(), in_quotes);
  return near.empty() ? "" : "; did you mean " + joined(near, " or ") + "?";
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

std::string describe_extra(const Command& at, const std::vector<std::string>& extras) {
  const std::string& first = extras.front();
  if (first.size() > 1 && first[0] == '-') {
    const std::string name = first.substr(0, first.find('='));
    return "unknown option " + in_quotes(name) + suggestion(name, option_names(at));
  }
  const std::vector<std::string> names = names_of(commands_of(*at.app));
  if (!names.empty()) {
    const std::string near = suggestion(first, names);
    return "unknown command " + in_quotes(first) +
           (near.empty() ? "; the commands are: " + joined(names, ", ") : near);
  }
  std::vector<std::string> all = extras;
  std::ranges::transform(all, all.begin(), in_quotes);
  return (all.size() > 1 ? "unexpected arguments " : "unexpected argument ") + joined(all, ", ") +
         "; usage: " + usage_of(at);
}

// CLI11 begins messages with the name of the option. Arguments appear in capitals, as in the help.
std::string with_argument_names(const CLI::App& app, std::string what) {
  for (const CLI::Option* option : arguments(app)) {
    const std::string& name = option->get_name(true);
    if (what.starts_with(name + " ") || what.starts_with(name + ":"))
      return what.replace(0, name.size(), argument_name(*option));
  }
  return what;
}

std::string describe(const CLI::App& app, const CLI::ParseError& error) {
  const Command at = chosen(app);
  const std::vector<std::string> extras = app.remaining(true);
  const bool missing = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  const bool unknown = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  if ((missing || unknown) && !extras.empty()) return describe_extra(at, extras);
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    const std::string what =
        with_argument_names(*at.app, error.what());  // "FIRST excludes --prefix"
    const size_t word = what.find(" excludes ");
    return what.substr(0, word) + " cannot be combined with " + what.substr(word + 10);
  }
  if (!missing) return with_argument_names(*at.app, error.what());
  const std::vector<std::string> names = names_of(commands_of(*at.app));
  if (!names.empty()) return "a command is required: " + joined(names, ", ");
  return with_argument_names(*at.app, error.what()) + "; usage: " + usage_of(at);
}

}  // namespace

void use_help(CLI::App& app) {
  app.formatter(std::make_shared<Help>());
  app.group("Commands");  // inherited by the commands
}

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& names) {
  constexpr size_t farthest = 2;
  std::vector<std::pair<size_t, std::string>> found;
  for (const std::string& name : names) {
    const bool begun = word.size() > 1 && name.starts_with(word) && !word.ends_with('-');
    const size_t far = begun ? 0 : distance(word, name);
    if (far <= farthest && far < std::max(word.size(), name.size())) found.emplace_back(far, name);
  }
  std::ranges::sort(found);
  std::vector<std::string> out;
  for (const auto& [far, name] : found) {
    // If the word is the beginning of a name, similar names are not suggested.
    if (out.size() < 2 && (far == 0 || found.front().first > 0)) out.push_back(name);
  }
  return out;
}

std::optional<int> parse(CLI::App& app, int count, char** values, int wrong,
                         const Complain& complain) {
  try {
    app.parse(count, values);
    return std::nullopt;
  } catch (const CLI::Success& help) {
    app.exit(help);
    return 0;
  } catch (const CLI::ParseError& error) {
    const std::string text = describe(app, error);
    if (complain) {
      complain(text);
    } else {
      const std::string program = app.get_name();
      std::fprintf(stderr, "%s: %s\n", program.c_str(), text.c_str());
      std::fprintf(stderr, "Run `%s --help` for more.\n", chosen(app).path.c_str());
    }
    return wrong;
  }
}

int end(const char* program, int code, int lost) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "%s: standard output could not be written\n", program);
  return code == 0 ? lost : code;
}

}  // namespace command_line

// bop-scenario: plays a text scenario with replicas of the core in memory.
//
//   bop-scenario [--rewrite] [FILE]      FILE: default standard input
//
// --rewrite writes the observed outputs into FILE (from standard input: the new text to standard output).
// Exit: 0 if every check held, 1 if one did not, 2 for a line that is not of the language (docs/TESTING.md).
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "base/assert.h"
#include "tools/checker.h"
#include "tools/scenario.h"

namespace {

int usage() {
  std::fprintf(
      stderr,
      "usage: bop-scenario [--rewrite] [FILE]   (docs/TESTING.md has the lines it reads)\n");
  return 2;
}

bool read(const std::string& path, std::string& text) {
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    return true;
  }
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), {});
  return file.is_open() && !file.bad();
}

bool write(const std::string& path, const std::string& text) {
  if (path == "-") return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return !file.fail();
}

}  // namespace

int main(int count, char** arguments) {
  std::string path = "-";
  bool rewrite = false;
  bool has_path = false;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--rewrite")
      rewrite = true;
    else if (has_path || (argument.starts_with("-") && argument != "-"))
      return usage();
    else
      path = argument, has_path = true;
  }
  std::string text;
  if (!read(path, text)) {
    std::fprintf(stderr, "bop-scenario: %s cannot be read\n", path.c_str());
    return 2;
  }
  bop::set_assert_handler(bop::raft::model::throw_on_assert);
  std::string printed;
  std::string rewritten;
  int exit = 0;
  std::string error;
  try {
    bop::tools::run_scenario(text, printed, rewrite ? &rewritten : nullptr);
  } catch (const bop::tools::ScenarioFailure& failure) {
    exit = 1;
    error = failure.what();
  } catch (const bop::tools::ScenarioSyntax& syntax) {
    exit = 2;
    error = syntax.what();
  }
  if (!rewrite) std::fwrite(printed.data(), 1, printed.size(), stdout);
  if (exit != 0) std::fprintf(stderr, "bop-scenario: %s\n", error.c_str());
  if (rewrite && exit == 0 && !write(path, rewritten)) {
    std::fprintf(stderr, "bop-scenario: %s cannot be written\n", path.c_str());
    return 2;
  }
  return exit;
}

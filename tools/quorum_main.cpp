// bop-quorum: evaluates majorities, votes and changes of members with the core's own functions.
//
//   bop-quorum < FILE      one answer for each line; empty lines and comments (#) are repeated
//
// Exit: 0, or 2 if a line does not follow the grammar (tools/quorum.h), which is reported on standard error and
// answered with "?".
#include <cstdio>
#include <iostream>
#include <string>

#include "tools/quorum.h"

int main(int count, char**) {
  if (count > 1) {
    std::fprintf(stderr, "usage: bop-quorum < FILE   (docs/TESTING.md has the lines it reads)\n");
    return 2;
  }
  int exit = 0;
  size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.starts_with("#")) {
      std::printf("%s\n", line.c_str());
      continue;
    }
    const auto answer = bop::tools::quorum_line(line);
    std::printf("%s\n", answer ? answer->c_str() : "?");
    if (answer) continue;
    std::fprintf(stderr, "bop-quorum: line %zu: %s\n", number, answer.error().detail.c_str());
    exit = 2;
  }
  return exit;
}

// bop-check: is a history of client operations linearizable?
//
//   bop-check FILE...      one verdict per file, "-": standard input; sim/history.h has the format
//
// Exit: 0 all linearizable, 1 a violation, 2 usage error or invalid history, 3 undecided within its
// memory limit.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "sim/history.h"

namespace {

using namespace bop::sim;

enum Exit { linearizable = 0, violated = 1, usage = 2, undecided = 3 };

bop::Result<std::string> read_all(const std::string& name) {
  if (name == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(name, std::ios::binary);
  if (!file) return bop::fail(BOP_E_NOT_FOUND, name + ": cannot be opened");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Exit check(const std::string& name) {
  const auto text = read_all(name);
  if (!text) {
    std::fprintf(stderr, "bop-check: %s\n", text.error().detail.c_str());
    return usage;
  }
  const auto history = parse_history(*text);
  if (!history) {
    std::fprintf(stderr, "bop-check: %s: %s\n", name.c_str(), history.error().detail.c_str());
    return usage;
  }
  const CheckResult result = check_history(*history);
  if (result.verdict == Verdict::linearizable) {
    std::printf("%s: linearizable, %zu operations on %zu keys\n", name.c_str(), history->size(),
                result.keys);
    return linearizable;
  }
  const bool bad = result.verdict == Verdict::violated;
  std::printf("%s: %s at key '%s': %s\n", name.c_str(), bad ? "NOT linearizable" : "undecided",
              result.key.c_str(), result.why.c_str());
  return bad ? violated : undecided;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || (arguments[1][0] == '-' && arguments[1][1] != '\0')) {
    std::fprintf(stderr, "usage: bop-check FILE...   (\"-\": standard input)\n");
    return usage;
  }
  int worst = linearizable;
  for (int i = 1; i < count; ++i) {
    const int exit = check(arguments[i]);
    if (worst != violated && exit != linearizable) worst = exit;
  }
  return worst;
}

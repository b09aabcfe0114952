// The line language of bop-scenario: replicas of the core with disks and a network in memory. Nothing happens unless a
// line asks for it, except that a replica's writes, reads of its log and installations of snapshots complete at once.
// docs/TESTING.md describes every line.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bop::tools {

// A line that is not of the language.
struct ScenarioSyntax : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A check that does not hold: an expectation, or an invariant of Raft.
struct ScenarioFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Scenario {
 public:
  Scenario();
  ~Scenario();
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  // Runs a line, without comment, and checks the invariants. Returns what it prints: "" for a line that prints nothing.
  // Throws ScenarioSyntax or ScenarioFailure.
  std::string run(std::string_view line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Runs all lines. `printed` gets what they print, one line for each; with `rewritten`, expectations that do not hold do not
// fail: it gets the text with the outputs as they are, one `expect` after each line that prints something. Throws as
// above, with the number of the line.
void run_scenario(std::string_view text, std::string& printed, std::string* rewritten);

}  // namespace bop::tools

#include "sim/shrink.h"

#include <algorithm>
#include <set>
#include <vector>

namespace bop::sim {

namespace {

using Numbers = std::vector<uint64_t>;

class Shrinker {
 public:
  Shrinker(const ShrinkOptions& options, const std::function<void(const ShrinkResult&)>& smaller)
      : options_(options), smaller_(smaller) {}

  std::optional<ShrinkResult> run() {
    best_.simulation = options_.simulation;
    if (!fails(options_.simulation, best_.failure)) return {};
    check_ = best_.failure.check;
    do {
      changed_ = false;
      shorten();
      drop_faults();
      shorten();
      for (uint32_t SettingOptions::* number :
           {&SettingOptions::clients, &SettingOptions::keys, &SettingOptions::groups,
            &SettingOptions::shards, &SettingOptions::nodes}) {
        lower(number);
      }
    } while (changed_ && time_left());
    return best_;
  }

 private:
  bool time_left() const { return best_.seconds < options_.core_time; }

  bool fails(const SimulationOptions& simulation, TrialResult& result) {
    ++best_.runs;
    result = run_apart(simulation, simulation.seed, simulation.seed, options_.core_time);
    best_.seconds += result.seconds;
    return result.failed && (check_.empty() || result.check == check_);
  }

  // Keeps the candidate if it fails, too.
  bool attempt(const SimulationOptions& candidate) {
    TrialResult result;
    if (!time_left() || !fails(candidate, result)) return false;
    best_.simulation = candidate;
    best_.failure = result;
    changed_ = true;
    smaller_(best_);
    return true;
  }

  // The run up to the failure is the same if the faults end right after it. A failure that is found later, when
  // everything should have recovered, may also follow a shorter run.
  void shorten() {
    const auto rounded_up = [](Instant at) { return (at / milliseconds + 1) * milliseconds; };
    const Instant at = best_.failure.progress.at;
    SimulationOptions candidate = best_.simulation;
    candidate.time = rounded_up(at);
    if (at != 0 && candidate.time < best_.simulation.time && attempt(candidate)) return;
    const Duration time = best_.simulation.time;
    for (const Duration part : {time / 8, time / 4, time / 2, time / 4 * 3, time / 8 * 7}) {
      candidate.time = rounded_up(part);
      if (candidate.time < time && attempt(candidate)) return;
    }
  }

  bool attempt_faults(const Numbers& numbers) {
    SimulationOptions candidate = best_.simulation;
    candidate.setting.only_faults = std::set<uint64_t>(numbers.begin(), numbers.end());
    return attempt(candidate);
  }

  Numbers faults() const {
    Numbers numbers;
    for (uint64_t number = 1; number <= best_.failure.progress.faults_drawn; ++number) {
      const auto& only = best_.simulation.setting.only_faults;
      if (!only || only->contains(number)) numbers.push_back(number);
    }
    return numbers;
  }

  // Delta debugging (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002): leaves out ever
  // smaller parts.
  void drop_faults() {
    Numbers numbers = faults();
    if (numbers.empty() || attempt_faults({})) return;
    for (size_t parts = 2; numbers.size() > 1 && time_left();) {
      const size_t size = (numbers.size() + parts - 1) / parts;
      bool dropped = false;
      for (size_t begin = 0; begin < numbers.size() && !dropped; begin += size) {
        Numbers rest = numbers;
        const size_t end = std::min(begin + size, numbers.size());
        rest.erase(rest.begin() + static_cast<long>(begin), rest.begin() + static_cast<long>(end));
        dropped = attempt_faults(rest);
        if (dropped) numbers = rest;
      }
      if (dropped) {
        parts = std::max<size_t>(parts - 1, 2);
      } else if (size == 1) {
        break;
      } else {
        parts = std::min(parts * 2, numbers.size());
      }
    }
  }

  void lower(uint32_t SettingOptions::* number) {
    constexpr uint32_t most = 12;  // clients
    const uint32_t now = best_.simulation.setting.*number;
    for (uint32_t fewer = 1; fewer < (now == 0 ? most : now);
         fewer = fewer < 3 ? fewer + 1 : fewer * 2) {
      SimulationOptions candidate = best_.simulation;
      candidate.setting.*number = fewer;
      if (attempt(candidate)) return;
    }
  }

  const ShrinkOptions& options_;
  const std::function<void(const ShrinkResult&)>& smaller_;
  ShrinkResult best_;
  std::string check_;
  bool changed_ = false;
};

}  // namespace

std::optional<ShrinkResult> shrink(const ShrinkOptions& options,
                                   const std::function<void(const ShrinkResult&)>& smaller) {
  return Shrinker(options, smaller).run();
}

}  // namespace bop::sim

#include "bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "kv.h"
#include "output.h"
#include "phases.h"

namespace {

struct Result {
  Load::Counts counts;
  Histogram::Counts latencies;
  double seconds = 0;
  std::map<std::string, uint64_t> errors_by_name;
  uint64_t acknowledged = 0, missing = 0, unread = 0;
};

double microseconds(uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

double per_second(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// One line per second, on standard error: standard output has the result alone.
void print_interval(double at, double seconds, const Load::Counts& before, const Load::Counts& now,
                    const Histogram::Counts& latencies) {
  std::fprintf(stderr, "%6.0f s %10.0f ops/s  p50 %8.0f us  p99 %8.0f us  errors %llu\n", at,
               per_second(now.ops() - before.ops(), seconds), microseconds(latencies.quantile(0.5)),
               microseconds(latencies.quantile(0.99)), static_cast<unsigned long long>(now.errors));
}

void watch(Load& load, const BenchArguments& arguments, bool silent) {
  const int64_t began = monotonic_ns();
  const int64_t end = began + static_cast<int64_t>(arguments.seconds * 1e9);
  Load::Counts counts;
  auto latencies = std::make_unique<Histogram::Counts>();
  for (int64_t last = began; last < end;) {
    const int64_t until = std::min(last + 1'000'000'000, end);
    if (load.wait(static_cast<double>(until - monotonic_ns()) / 1e9)) return;  // every loop failed
    const int64_t now = monotonic_ns();
    const Load::Counts counts_now = load.counts();
    auto latencies_now = std::make_unique<Histogram::Counts>(load.latencies().counts());
    if (!silent) {
      print_interval(static_cast<double>(now - began) / 1e9, static_cast<double>(now - last) / 1e9,
                     counts, counts_now, latencies_now->since(*latencies));
    }
    counts = counts_now;
    latencies = std::move(latencies_now);
    last = now;
  }
}

Exit run_phases(BenchClient& client, const BenchArguments& arguments, bool silent, Result& result) {
  Ledger ledger(arguments.keys);
  if (arguments.preload) {
    if (!silent) std::fprintf(stderr, "preloading %u keys\n", arguments.keys);
    Preload preload(client, arguments, ledger);
    preload.run();
    if (preload.unfinished() > 0) {
      std::fprintf(stderr, "bop: preloading failed: %s\n", preload.last_error().c_str());
      return unavailable;
    }
  }

  Load load(client, arguments, ledger);
  const int64_t began = monotonic_ns();
  load.run();
  watch(load, arguments, silent);
  load.stop();
  result.seconds = static_cast<double>(monotonic_ns() - began) / 1e9;
  result.counts = load.counts();
  result.latencies = load.latencies().counts();
  // Requests in flight end by their timeout; they may still be acknowledged.
  load.end();
  result.errors_by_name = load.errors_by_name();

  result.acknowledged = ledger.acknowledged();
  if (!arguments.verify || result.acknowledged == 0) return ok;  // nothing can be missing
  if (!silent) std::fprintf(stderr, "reading back all keys\n");
  ReadBack read_back(client, arguments, ledger);
  read_back.run();
  result.missing = read_back.missing();
  result.unread = read_back.unread();
  if (result.unread > 0) {
    std::fprintf(stderr, "bop: about %llu keys could not be read back: %s\n",
                 static_cast<unsigned long long>(result.unread), read_back.last_error().c_str());
  }
  return ok;
}

nlohmann::json document(const BenchArguments& arguments, const Result& result) {
  const Histogram::Counts& latencies = result.latencies;
  return {{"ops", result.counts.ops()},
          {"ops_per_s", per_second(result.counts.ops(), result.seconds)},
          {"p50_us", microseconds(latencies.quantile(0.5))},
          {"p90_us", microseconds(latencies.quantile(0.9))},
          {"p99_us", microseconds(latencies.quantile(0.99))},
          {"p999_us", microseconds(latencies.quantile(0.999))},
          {"max_us", microseconds(latencies.max)},
          {"errors", result.counts.errors},
          {"errors_by_name", result.errors_by_name},
          {"acked", result.acknowledged},
          {"missing", result.missing},
          {"unread", result.unread},
          {"reads", result.counts.reads},
          {"writes", result.counts.writes},
          {"seconds", result.seconds},
          {"clients", arguments.clients},
          {"pipeline", arguments.pipeline},
          {"size", arguments.size_bytes},
          {"keys", arguments.keys},
          {"read_ratio", arguments.read_ratio}};
}

// One line with a bar per power of two of microseconds.
void print_histogram(const Histogram::Counts& latencies) {
  const uint64_t total = latencies.total();
  if (total == 0) return;
  std::vector<uint64_t> octaves(46, 0);
  for (size_t i = 0; i < Histogram::buckets; ++i) {
    const uint64_t us = Histogram::upper_end(i) / 1000;
    octaves[static_cast<size_t>(std::bit_width(us))] += latencies.counts[i];
  }
  uint64_t seen = 0;
  for (size_t octave = 0; octave < octaves.size(); ++octave) {
    if (octaves[octave] == 0) continue;
    seen += octaves[octave];
    const double share = static_cast<double>(octaves[octave]) / static_cast<double>(total);
    std::printf("  < %9llu us %10llu %7.3f %%  %s\n", 1ull << octave,
                static_cast<unsigned long long>(octaves[octave]),
                100 * static_cast<double>(seen) / static_cast<double>(total),
                std::string(static_cast<size_t>(share * 50 + 0.5), '#').c_str());
  }
}

void print_result(const BenchArguments& arguments, const Result& result) {
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  const Histogram::Counts& latencies = result.latencies;
  std::printf("%u clients, pipeline %u, %u-byte values, %u keys, %.0f %% reads, %.1f s\n",
              arguments.clients, arguments.pipeline, arguments.size_bytes, arguments.keys,
              arguments.read_ratio * 100, result.seconds);
  print_histogram(latencies);
  std::printf("ops %llu, %.0f ops/s (%llu reads, %llu writes)\n", number(result.counts.ops()),
              per_second(result.counts.ops(), result.seconds), number(result.counts.reads),
              number(result.counts.writes));
  std::printf("p50 %.0f us, p90 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us\n",
              microseconds(latencies.quantile(0.5)), microseconds(latencies.quantile(0.9)),
              microseconds(latencies.quantile(0.99)), microseconds(latencies.quantile(0.999)),
              microseconds(latencies.max));
  std::printf("errors %llu", number(result.counts.errors));
  for (const auto& [name, count] : result.errors_by_name) {
    std::printf(" (%s %llu)", name.c_str(), number(count));
  }
  std::printf("\nacked %llu", number(result.acknowledged));
  if (arguments.verify) std::printf(" missing %llu", number(result.missing + result.unread));
  std::printf("\n");
}

}  // namespace

Exit bench_kv(const Globals& globals, const BenchArguments& arguments) {
  // A group that does not exist will not appear, while an unreachable cluster may come back: the load retries.
  const Answer first = Session(globals).query_kv(kv::get({"is anybody there"}));
  if (first.status == BOP_E_NO_GROUP || first.status == BOP_E_UNSUPPORTED)
    return report(globals, first.status, first.detail);

  BenchClient client(globals, arguments);
  if (client.opened() != BOP_OK) return report(globals, client.opened(), client.error());
  Result result;
  if (const Exit failed = run_phases(client, arguments, globals.json, result); failed != ok) {
    return failed;
  }
  if (globals.json) {
    nlohmann::json out = document(arguments, result);
    if (arguments.verify) {
      out["missing"] = result.missing + result.unread;
    } else {
      out["missing"] = out["unread"] = nullptr;
    }
    print_json(out);
  } else {
    print_result(arguments, result);
  }
  if (result.missing > 0) return condition;
  if (result.unread > 0 || result.counts.ops() == 0) {
    return report(globals, BOP_E_UNAVAILABLE, client.causes());
  }
  return ok;
}

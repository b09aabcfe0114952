#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace bop::metrics {
namespace {

TEST(Metrics, of_one_name_and_labels_are_one_metric) {
  Registry registry;
  Counter& first = registry.counter("bop_writes_total", "Writes.", {{"shard", "0"}});
  EXPECT_EQ(&first, &registry.counter("bop_writes_total", "Writes.", {{"shard", "0"}}));
  EXPECT_NE(&first, &registry.counter("bop_writes_total", "Writes.", {{"shard", "1"}}));
}

TEST(Metrics, are_shown_as_prometheus_text) {
  Registry registry;
  registry.counter("bop_writes_total", "Writes.", {{"shard", "0"}}).add(3);
  registry.counter("bop_writes_total", "Writes.", {{"shard", "1"}}).follow(7);
  registry.gauge("bop_connections", "Open connections.").set(-2);
  EXPECT_EQ(registry.text(),
            "# HELP bop_connections Open connections.\n"
            "# TYPE bop_connections gauge\n"
            "bop_connections -2\n"
            "# HELP bop_writes_total Writes.\n"
            "# TYPE bop_writes_total counter\n"
            "bop_writes_total{shard=\"0\"} 3\n"
            "bop_writes_total{shard=\"1\"} 7\n");
}

TEST(Metrics, of_a_histogram_are_cumulative_with_inclusive_bounds) {
  Registry registry;
  Histogram& sizes = registry.histogram("bop_size", "Sizes.", {1, 1, 3}, {{"a", "b"}});
  for (const uint64_t value : {0, 2, 3, 8, 9}) sizes.record(value);
  EXPECT_EQ(registry.text(),
            "# HELP bop_size Sizes.\n"
            "# TYPE bop_size histogram\n"
            "bop_size_bucket{a=\"b\",le=\"2\"} 2\n"
            "bop_size_bucket{a=\"b\",le=\"4\"} 3\n"
            "bop_size_bucket{a=\"b\",le=\"8\"} 4\n"
            "bop_size_bucket{a=\"b\",le=\"+Inf\"} 5\n"
            "bop_size_sum{a=\"b\"} 22\n"
            "bop_size_count{a=\"b\"} 5\n");
}

TEST(Metrics, show_recorded_nanoseconds_as_seconds) {
  Registry registry;
  registry.histogram("bop_write_seconds", "Time.", seconds_of_ns).record(1'500'000'000);
  EXPECT_NE(registry.text().find("bop_write_seconds_sum 1.5\n"), std::string::npos);
  EXPECT_NE(registry.text().find("le=\"1.024e-06\"} 0\n"), std::string::npos);
}

TEST(Metrics, escape_what_labels_and_help_hold) {
  Registry registry;
  registry.gauge("bop_x", "back\\slash\nline", {{"path", "a\"b\\c\nd"}}).set(1);
  EXPECT_EQ(registry.text(),
            "# HELP bop_x back\\\\slash\\nline\n"
            "# TYPE bop_x gauge\n"
            "bop_x{path=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(MetricsDeathTest, of_one_name_have_one_kind) {
  Registry registry;
  registry.counter("bop_x", "X.");
  EXPECT_DEATH(registry.gauge("bop_x", "X."), "assertion failed");
  EXPECT_DEATH(registry.gauge("0 bad", "X."), "assertion failed");
}

TEST(Metrics, may_be_read_while_their_thread_writes) {
  Registry registry;
  Counter& counter = registry.counter("bop_x_total", "X.");
  Histogram& histogram = registry.histogram("bop_y", "Y.", {});
  std::thread writer([&] {
    for (uint64_t i = 0; i < 20000; ++i) {
      counter.add();
      histogram.record(i);
    }
  });
  while (counter.value() < 20000) EXPECT_FALSE(registry.text().empty());
  writer.join();
  EXPECT_EQ(histogram.in_buckets(), 20000u);
  EXPECT_NE(registry.text().find("bop_x_total 20000\n"), std::string::npos);
}

}  // namespace
}  // namespace bop::metrics

#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace bop {
namespace {

TEST(HistogramBuckets, follow_each_other_without_gaps) {
  for (size_t bucket = 0; bucket + 2 < Histogram::buckets; ++bucket) {
    const uint64_t end = Histogram::upper_end(bucket);
    ASSERT_EQ(Histogram::bucket_of(end), bucket);
    ASSERT_EQ(Histogram::bucket_of(end + 1), bucket + 1);
  }
}

TEST(HistogramBuckets, are_a_sixteenth_of_their_value_wide) {
  for (size_t bucket = 16; bucket + 2 < Histogram::buckets; ++bucket) {
    const uint64_t end = Histogram::upper_end(bucket);
    ASSERT_LE((end - Histogram::upper_end(bucket - 1)) * 16, end);
  }
}

TEST(HistogramBuckets, take_the_smallest_and_the_largest_value) {
  EXPECT_EQ(Histogram::bucket_of(0), 0u);
  EXPECT_EQ(Histogram::bucket_of(~uint64_t{0}), Histogram::buckets - 1);
}

TEST(Histogram, without_values_is_all_zero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.count(), 0u);
}

TEST(Histogram, knows_quantiles_to_a_sixteenth) {
  Histogram histogram;
  Random random(11);
  std::vector<uint64_t> values;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(random.below(uint64_t{1} << random.below(40)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const size_t rank = static_cast<size_t>(std::max(1.0, std::ceil(fraction * 20000))) - 1;
    const auto exact = static_cast<double>(values[rank]);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(fraction)), exact, exact / 16 + 1);
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, counts_and_sums_what_was_recorded) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 1024; ++value) histogram.record(value);
  EXPECT_EQ(histogram.count(), 1024u);
  EXPECT_EQ(histogram.in_buckets(), 1024u);
  EXPECT_EQ(histogram.sum(), 1024u * 1025 / 2);
  EXPECT_EQ(histogram.at_most(512), 512u);
  EXPECT_EQ(histogram.at_most(1024), 1024u);
}

TEST(Histogram, keeps_values_beyond_its_last_octave) {
  Histogram histogram;
  histogram.record(uint64_t{1} << 60);
  EXPECT_EQ(histogram.quantile(0.5), uint64_t{1} << 60);
  EXPECT_EQ(histogram.in_buckets(), 1u);
}

}  // namespace
}  // namespace bop

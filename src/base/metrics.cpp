#include "base/metrics.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace bop::metrics {
namespace {

struct Series {
  std::string labels;  // `a="b",c="d"`, escaped
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
  Scale scale;
};

bool is_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != ':') return false;
  }
  return true;
}

std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || (c == '"' && quotes)) out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string label_text(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    BOP_ASSERT(is_name(name));
    if (!out.empty()) out += ',';
    out += fmt::format("{}=\"{}\"", name, escaped(value, true));
  }
  return out;
}

std::string braced(const std::string& labels, const std::string& more = {}) {
  if (labels.empty() && more.empty()) return {};
  const char* comma = labels.empty() || more.empty() ? "" : ",";
  return fmt::format("{{{}{}{}}}", labels, comma, more);
}

// Cumulative counts at powers of two: the bounds are the same in every scrape.
void write_histogram(std::string& out, const std::string& name, const Series& series) {
  const Histogram& histogram = *series.histogram;
  for (int octave = series.scale.first_octave; octave <= series.scale.last_octave; ++octave) {
    const uint64_t limit = uint64_t{1} << octave;
    const double shown = static_cast<double>(limit) * series.scale.unit;
    out += fmt::format("{}_bucket{} {}\n", name,
                       braced(series.labels, fmt::format("le=\"{:.9g}\"", shown)),
                       histogram.at_most(limit));
  }
  // Read after the buckets: a value recorded in between must not make the total smaller than a bucket.
  const uint64_t count = histogram.in_buckets();
  out += fmt::format("{}_bucket{} {}\n", name, braced(series.labels, "le=\"+Inf\""), count);
  out += fmt::format("{}_sum{} {:.15g}\n", name, braced(series.labels),
                     static_cast<double>(histogram.sum()) * series.scale.unit);
  out += fmt::format("{}_count{} {}\n", name, braced(series.labels), count);
}

}  // namespace

struct Registry::Family {
  std::string help;
  std::string_view type;
  std::vector<std::unique_ptr<Series>> series;

  Series& with(const Labels& labels) {
    std::string text = label_text(labels);
    for (const auto& known : series) {
      if (known->labels == text) return *known;
    }
    series.push_back(std::make_unique<Series>());
    series.back()->labels = std::move(text);
    return *series.back();
  }
};

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Family& Registry::family(const std::string& name, const std::string& help,
                                   std::string_view type) {
  BOP_ASSERT(is_name(name));
  std::unique_ptr<Family>& family = families_[name];
  if (family == nullptr) family = std::make_unique<Family>(Family{help, type, {}});
  BOP_ASSERT(family->type == type);
  return *family;
}

Counter& Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  Series& series = family(name, help, "counter").with(labels);
  if (series.counter == nullptr) series.counter = std::make_unique<Counter>();
  return *series.counter;
}

Gauge& Registry::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  Series& series = family(name, help, "gauge").with(labels);
  if (series.gauge == nullptr) series.gauge = std::make_unique<Gauge>();
  return *series.gauge;
}

Histogram& Registry::histogram(const std::string& name, const std::string& help, Scale scale,
                               const Labels& labels) {
  BOP_ASSERT_LE(scale.first_octave, scale.last_octave);
  BOP_ASSERT_LT(scale.last_octave, Histogram::octaves);
  const std::lock_guard lock(mutex_);
  Series& series = family(name, help, "histogram").with(labels);
  if (series.histogram == nullptr) series.histogram = std::make_unique<Histogram>();
  series.scale = scale;
  return *series.histogram;
}

std::string Registry::text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(family->help, false), name,
                       family->type);
    for (const auto& series : family->series) {
      if (series->counter != nullptr) {
        out += fmt::format("{}{} {}\n", name, braced(series->labels), series->counter->value());
      } else if (series->gauge != nullptr) {
        out += fmt::format("{}{} {}\n", name, braced(series->labels), series->gauge->value());
      } else {
        write_histogram(out, name, *series);
      }
    }
  }
  return out;
}

}  // namespace bop::metrics

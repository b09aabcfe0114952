// A closed-loop load over RESP, for bop and Redis alike: every client keeps --pipeline commands under
// way, keys are 16 bytes and uniform, and what comes out is one JSON object. One thread.
//
//   bench_resp --endpoint 127.0.0.1:7101 --clients 64 --pipeline 1 --time 5
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "connection.h"

namespace bench {
namespace {

struct Options {
  std::string host = "127.0.0.1";
  uint16_t port = 6379;
  size_t clients = 1;
  size_t pipeline = 1;
  uint64_t keys = 100'000;
  size_t value_bytes = 256;
  double seconds = 5;
  double read_ratio = 0;
  bool preload = false;
};

// What to send next: every key once when preloading, else by chance until the time is over.
class Commands {
 public:
  explicit Commands(const Options& options) : options_(options) {
    value_.resize(options.value_bytes);
    for (char& c : value_) c = static_cast<char>('a' + random_() % 26);
  }

  void start() {
    end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                              std::chrono::duration<double>(options_.seconds));
  }

  bool over() const { return options_.preload ? next_ == options_.keys : Clock::now() >= end_; }

  std::string_view next() {
    const uint64_t number = options_.preload ? next_++ : random_() % options_.keys;
    char key[32];
    std::snprintf(key, sizeof key, "k%015llu", static_cast<unsigned long long>(number));
    const bool read = !options_.preload && chance_(random_) < options_.read_ratio;
    if (read) {
      command_ = "*2\r\n$3\r\nGET\r\n$16\r\n" + std::string(key) + "\r\n";
    } else {
      command_ = "*3\r\n$3\r\nSET\r\n$16\r\n" + std::string(key) + "\r\n$" +
                 std::to_string(value_.size()) + "\r\n" + value_ + "\r\n";
    }
    return command_;
  }

 private:
  const Options& options_;
  std::mt19937_64 random_{1};
  std::uniform_real_distribution<double> chance_{0, 1};
  std::string value_;
  std::string command_;
  uint64_t next_ = 0;
  Clock::time_point end_;
};

struct Tally {
  std::vector<float> latencies_us;
  uint64_t errors = 0;
  std::string last_error;
  double seconds = 0;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), commands_(options) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw std::runtime_error("no epoll");
    for (size_t i = 0; i < options.clients; ++i) {
      connections_.push_back(std::make_unique<Connection>(options.host, options.port));
      watch(EPOLL_CTL_ADD, i, false);
    }
    waits_.assign(options.clients, false);
  }
  ~Load() { close(epoll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  Tally run() {
    const Clock::time_point began = Clock::now();
    commands_.start();
    for (size_t i = 0; i < connections_.size(); ++i) refill(i);
    while (under_way_ > 0) turn();
    tally_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return std::move(tally_);
  }

 private:
  static constexpr int patience_ms = 30'000;

  void watch(int operation, size_t index, bool for_room) {
    epoll_event event{};
    event.events = EPOLLIN | (for_room ? EPOLLOUT : 0u);
    event.data.u64 = index;
    if (epoll_ctl(epoll_, operation, connections_[index]->descriptor(), &event) < 0) {
      throw std::runtime_error("epoll_ctl failed");
    }
  }

  void flush(size_t index) {
    const bool waits = connections_[index]->flush();
    if (waits != waits_[index]) watch(EPOLL_CTL_MOD, index, waits);
    waits_[index] = waits;
  }

  void refill(size_t index) {
    Connection& connection = *connections_[index];
    while (connection.under_way() < options_.pipeline && !commands_.over()) {
      connection.add(commands_.next());
      ++under_way_;
    }
    flush(index);
  }

  void count(Clock::duration latency, std::string_view error) {
    --under_way_;
    if (error.empty()) {
      tally_.latencies_us.push_back(std::chrono::duration<float, std::micro>(latency).count());
    } else {
      ++tally_.errors;
      tally_.last_error = error;
    }
  }

  void turn() {
    epoll_event events[256];
    const int ready = epoll_wait(epoll_, events, 256, patience_ms);
    if (ready < 0 && errno != EINTR) throw std::runtime_error("epoll_wait failed");
    if (ready == 0) throw std::runtime_error("no reply for 30 seconds");
    for (int i = 0; i < ready; ++i) {
      const size_t index = events[i].data.u64;
      connections_[index]->receive(
          [this](Clock::duration latency, std::string_view error) { count(latency, error); });
      refill(index);
    }
  }

  const Options& options_;
  Commands commands_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<bool> waits_;  // until the socket is writable
  size_t under_way_ = 0;
  Tally tally_;
};

float at(std::vector<float>& sorted, double share) {
  return sorted.empty()
             ? 0
             : sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= ' ') out += c;
  }
  return out + '"';
}

void print(Tally& tally) {
  std::vector<float>& all = tally.latencies_us;
  std::sort(all.begin(), all.end());
  std::printf(
      "{\"ops\":%zu,\"ops_per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
      "\"errors\":%llu,\"seconds\":%.3f,\"last_error\":%s}\n",
      all.size(), static_cast<double>(all.size()) / tally.seconds, at(all, 0.5), at(all, 0.99),
      at(all, 1), static_cast<unsigned long long>(tally.errors), tally.seconds,
      quoted(tally.last_error).c_str());
}

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr,
               "bench_resp: %s\n"
               "usage: bench_resp [--endpoint IP:PORT] [--clients N] [--pipeline P] [--keys K]\n"
               "                  [--size BYTES] [--time SECONDS] [--read-ratio R] [--preload]\n",
               why.c_str());
  std::exit(2);
}

double number(const std::string& name, const char* text, double least, double most) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= least) || !(value <= most)) {
    usage(name + " is not from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

void set_endpoint(Options& options, const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) usage("--endpoint is not IP:PORT");
  options.host = text.substr(0, colon);
  options.port = static_cast<uint16_t>(number("the port", text.c_str() + colon + 1, 1, 65535));
}

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--preload") {
      options.preload = true;
      continue;
    }
    if (i + 1 == count) usage(name + " needs a value");
    const char* value = arguments[++i];
    if (name == "--endpoint")
      set_endpoint(options, value);
    else if (name == "--clients")
      options.clients = static_cast<size_t>(number(name, value, 1, 10'000));
    else if (name == "--pipeline")
      options.pipeline = static_cast<size_t>(number(name, value, 1, 10'000));
    else if (name == "--keys")
      options.keys = static_cast<uint64_t>(number(name, value, 1, 1e12));
    else if (name == "--size")
      options.value_bytes = static_cast<size_t>(number(name, value, 0, 1 << 20));
    else if (name == "--time")
      options.seconds = number(name, value, 0.01, 86'400);
    else if (name == "--read-ratio")
      options.read_ratio = number(name, value, 0, 1);
    else
      usage("unknown argument " + name);
  }
  return options;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  const bench::Options options = bench::parse(count, arguments);
  bench::raise_descriptor_limit();
  try {
    bench::Tally tally = bench::Load(options).run();
    bench::print(tally);
    return tally.errors == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_resp: %s\n", error.what());
    return 1;
  }
}

#include "load.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>

#include "sockets.h"

namespace bench_floor {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t key_bytes = 16;  // as in the benchmarks of bop

int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

// Time on a processor of a process, all its threads, the kernel's for io_uring too. From the scheduler's
// own count: user and system time in /proc/PID/stat are sampled by a tick that work ending with an
// interrupt slips by.
double cpu_seconds(pid_t process) {
  double sum = 0;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream file(task.path() / "schedstat");
    double nanoseconds = 0;
    if (!(file >> nanoseconds)) die_plainly(task.path().string() + "/schedstat cannot be read");
    sum += nanoseconds / 1e9;
  }
  return sum;
}

double cpu_seconds(const std::vector<pid_t>& processes) {
  double sum = 0;
  for (const pid_t process : processes) sum += cpu_seconds(process);
  return sum;
}

struct Client {
  explicit Client(int socket) : channel(socket) {}
  Channel channel;
  std::deque<int64_t> sent_at;
};

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), poll_(epoll_create1(0)) {
    const auto size = static_cast<uint32_t>(key_bytes + options.value_bytes);
    request_.resize(4 + size, 'x');
    std::memcpy(request_.data(), &size, sizeof size);
    for (size_t i = 0; i < options.clients; ++i) {
      clients_.push_back(std::make_unique<Client>(connect_to(options.port)));
      watch(poll_, clients_.back()->channel.socket(), i, true);
    }
  }
  ~Load() { ::close(poll_); }

  std::string run() {
    const double cpu_before = cpu_seconds(options_.servers);
    const int64_t start = now_ns();
    for (auto& client : clients_) send(*client, options_.pipeline);
    turn_until(start + static_cast<int64_t>(options_.seconds * 1e9));
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    return result(seconds, cpu_seconds(options_.servers) - cpu_before);
  }

 private:
  void turn_until(int64_t end) {
    std::array<epoll_event, 512> events;
    while (true) {
      const int64_t left_ns = end - now_ns();
      if (left_ns <= 0) return;
      const int count = epoll_wait(poll_, events.data(), events.size(),
                                   static_cast<int>(left_ns / 1'000'000 + 1));
      for (int i = 0; i < count; ++i) on_event(events[static_cast<size_t>(i)]);
    }
  }

  void on_event(const epoll_event& event) {
    Client& client = *clients_[event.data.u64];
    if ((event.events & EPOLLOUT) != 0) client.channel.flush();
    if ((event.events & EPOLLIN) == 0) return;
    if (!client.channel.fill()) die_plainly("the leader closed a connection");
    const int64_t now = now_ns();
    size_t answers = 0;
    for (; client.channel.available() >= 8; client.channel.consume(8), ++answers) {
      latencies_ns_.push_back(static_cast<uint32_t>(now - client.sent_at.front()));
      client.sent_at.pop_front();
    }
    send(client, answers);
  }

  void send(Client& client, size_t requests) {
    const int64_t now = now_ns();
    for (size_t i = 0; i < requests; ++i) {
      client.channel.append(request_.data(), request_.size());
      client.sent_at.push_back(now);
    }
    client.channel.flush();
  }

  double percentile_us(double part) {
    if (latencies_ns_.empty()) return 0;
    const auto at = latencies_ns_.begin() +
                    static_cast<ptrdiff_t>(part * static_cast<double>(latencies_ns_.size() - 1));
    std::nth_element(latencies_ns_.begin(), at, latencies_ns_.end());
    return *at / 1e3;
  }

  std::string result(double seconds, double cpu) {
    const auto ops = static_cast<double>(latencies_ns_.size());
    char cpu_text[32] = "null";
    if (!options_.servers.empty())
      std::snprintf(cpu_text, sizeof cpu_text, "%.2f", cpu * 1e6 / ops);
    char text[512];
    std::snprintf(text, sizeof text,
                  "{\"clients\":%zu,\"pipeline\":%zu,\"value_bytes\":%zu,\"ops\":%zu,"
                  "\"ops_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
                  "\"cpu_us_per_op\":%s}",
                  options_.clients, options_.pipeline, options_.value_bytes, latencies_ns_.size(),
                  ops / seconds, percentile_us(0.5), percentile_us(0.99), percentile_us(1),
                  cpu_text);
    return text;
  }

  const LoadOptions options_;
  const int poll_;
  std::vector<uint8_t> request_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<uint32_t> latencies_ns_;
};

}  // namespace

std::string run_load(const LoadOptions& options) { return Load(options).run(); }

}  // namespace bench_floor

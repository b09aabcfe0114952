#include "server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "disk.h"
#include "sockets.h"

namespace bench_floor {

namespace {

constexpr size_t batch_head_bytes = 12;
constexpr uint64_t listener_tag = 1u << 30, disk_tag = listener_tag + 1,
                   peer_tag = listener_tag + 2;

template <class T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

class Leader {
 public:
  explicit Leader(const ServerOptions& options)
      : disk_(options.path, options.file_bytes), listener_(listen_on(options.port)) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    // Level-triggered would do: connections come before the load.
    watch(poll_, disk_.descriptor(), disk_tag);
    for (const uint16_t port : options.followers) {
      followers_.push_back(std::make_unique<Follower>(connect_to(port)));
      watch(poll_, followers_.back()->channel.socket(), peer_tag + followers_.size() - 1, true);
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = listener_tag;
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &event) != 0) die("epoll_ctl");
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 512> events;
    while (true) {
      const int count = epoll_wait(poll_, events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) on_event(events[static_cast<size_t>(i)]);
      if (disk_.finished()) {
        own_ = batches_begun_;
        commit();
      }
      begin_batch();
      for (Channel* channel : dirty_) channel->flush();
      dirty_.clear();
    }
  }

 private:
  struct Client {
    explicit Client(int socket) : channel(socket) {}
    Channel channel;
    uint64_t answered = 0;
  };
  struct Follower {
    explicit Follower(int socket) : channel(socket) {}
    Channel channel;
    uint64_t durable = 0;
  };
  // Whose requests a batch holds, and how many of each in a row.
  struct Share {
    Client* client;
    uint32_t requests;
  };

  void on_event(const epoll_event& event) {
    const uint64_t tag = event.data.u64;
    if (tag == disk_tag) return;
    if (tag == listener_tag) {
      on_client();
    } else if (tag >= peer_tag) {
      on_follower(*followers_[tag - peer_tag], event.events);
    } else {
      on_requests(tag, event.events);
    }
  }

  void on_client() {
    const int socket = accept_from(listener_);
    if (socket < 0) return;
    clients_.push_back(std::make_unique<Client>(socket));
    watch(poll_, socket, clients_.size() - 1, true);
  }

  void on_requests(uint64_t number, uint32_t events) {
    Client& client = *clients_[number];
    if ((events & EPOLLIN) != 0 && !client.channel.fill()) {
      // Its batches may still be under way: it is only not looked at any more.
      epoll_ctl(poll_, EPOLL_CTL_DEL, client.channel.socket(), nullptr);
      return;
    }
    take_requests(client);
    if ((events & EPOLLOUT) != 0) dirty_.push_back(&client.channel);
  }

  void take_requests(Client& client) {
    Channel& channel = client.channel;
    uint32_t requests = 0;
    while (channel.available() >= 4) {
      const size_t size = 4 + load<uint32_t>(channel.data());
      if (size > max_request_bytes) die_plainly("a request is too large");
      if (channel.available() < size) {
        channel.want(size);
        break;
      }
      gathered_.insert(gathered_.end(), channel.data(), channel.data() + size);
      channel.consume(size);
      ++requests;
    }
    if (requests > 0) gathered_shares_.push_back({&client, requests});
  }

  // One write and one send a follower for all that gathered while the disk was busy.
  void begin_batch() {
    if (disk_.busy() || gathered_.empty()) return;
    const size_t size = batch_head_bytes + gathered_.size();
    if (size > Disk::max_write_bytes) die_plainly("a batch is too large");
    uint8_t* batch = disk_.buffer();
    store<uint64_t>(batch, ++batches_begun_);
    store<uint32_t>(batch + 8, static_cast<uint32_t>(gathered_.size()));
    std::memcpy(batch + batch_head_bytes, gathered_.data(), gathered_.size());
    gathered_.clear();
    for (auto& follower : followers_) {
      follower->channel.append(batch, size);
      follower->channel.flush();
    }
    disk_.write(size);
    under_way_.push_back(std::move(gathered_shares_));
    gathered_shares_.clear();
  }

  void on_follower(Follower& follower, uint32_t events) {
    if ((events & EPOLLOUT) != 0) follower.channel.flush();
    if ((events & EPOLLIN) == 0) return;
    if (!follower.channel.fill()) die_plainly("a follower is gone");
    while (follower.channel.available() >= 8) {
      follower.durable = load<uint64_t>(follower.channel.data());
      follower.channel.consume(8);
    }
    commit();
  }

  void commit() {
    std::array<uint64_t, 3> durable = {own_, 0, 0};
    for (size_t i = 0; i < followers_.size() && i < 2; ++i) durable[i + 1] = followers_[i]->durable;
    std::sort(durable.begin(), durable.end());
    const uint64_t majority = durable[1];
    for (; committed_ < majority; ++committed_) {
      for (const Share& share : under_way_.front()) answer(share);
      under_way_.pop_front();
    }
  }

  void answer(const Share& share) {
    for (uint32_t i = 0; i < share.requests; ++i) {
      const uint64_t count = ++share.client->answered;
      share.client->channel.append(&count, sizeof count);
    }
    dirty_.push_back(&share.client->channel);
  }

  static constexpr size_t max_request_bytes = 1u << 20;

  Disk disk_;
  int listener_;
  int poll_ = -1;
  std::vector<std::unique_ptr<Follower>> followers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Channel*> dirty_;

  std::vector<uint8_t> gathered_;
  std::vector<Share> gathered_shares_;
  std::deque<std::vector<Share>> under_way_;
  uint64_t batches_begun_ = 0;
  uint64_t own_ = 0;
  uint64_t committed_ = 0;
};

}  // namespace

void run_leader(const ServerOptions& options) { Leader(options).run(); }

void run_follower(const ServerOptions& options) {
  Disk disk(options.path, options.file_bytes);
  const int listener = listen_on(options.port);
  Channel leader(accept_from(listener));
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  watch(poll, leader.socket(), 1);
  watch(poll, disk.descriptor(), disk_tag);
  uint64_t writing = 0;
  std::array<epoll_event, 8> events;
  while (true) {
    const int count = epoll_wait(poll, events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      if (events[static_cast<size_t>(i)].data.u64 == 1 && !leader.fill()) std::exit(0);
    }
    if (disk.finished()) {
      leader.append(&writing, sizeof writing);
      leader.flush();
    }
    if (disk.busy()) continue;
    // All whole batches that came meanwhile, in one write.
    size_t size = 0;
    while (leader.available() >= batch_head_bytes) {
      const size_t next = batch_head_bytes + load<uint32_t>(leader.data() + 8);
      if (leader.available() < next) {
        leader.want(next);
        break;
      }
      if (size + next > Disk::max_write_bytes) break;
      std::memcpy(disk.buffer() + size, leader.data(), next);
      writing = load<uint64_t>(leader.data());
      leader.consume(next);
      size += next;
    }
    if (size > 0) disk.write(size);
  }
}

}  // namespace bench_floor

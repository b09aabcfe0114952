// A Transport in memory, on a clock that the test advances: without sockets, threads and waiting.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/transport.h"

namespace bop::client {

// One connection, as its server sees it.
class Wire {
 public:
  explicit Wire(net::Address dialed) : address(std::move(dialed)) {}

  void send(std::string_view bytes) {
    if (open()) to_client_ += bytes;
  }
  // The bytes that the client sent since the last call.
  std::string take() { return std::exchange(to_server_, {}); }
  void hang_up() { hung_up_ = true; }
  bool open() const { return !hung_up_ && !closed_; }

  const net::Address address;

 private:
  friend class MemoryTransport;
  friend class MemoryLink;

  std::string to_client_, to_server_;
  bool hung_up_ = false;                   // by the server
  bool closed_ = false;                    // by the client
  std::optional<Error> reason_;            // of closing, for the handler
  std::string unconsumed_;                 // by the handler
  net::StreamHandler* handler_ = nullptr;  // null: not started, or already notified of the end
};

class MemoryLink final : public Link {
 public:
  explicit MemoryLink(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~MemoryLink() override {
    wire_->handler_ = nullptr;
    wire_->closed_ = true;
  }
  void start(net::StreamHandler& handler) override { wire_->handler_ = &handler; }
  void append(const mem::Buffer& bytes) override {
    if (wire_->open()) wire_->to_server_ += as_text(bytes.bytes());
  }
  void close(Error reason) override {
    if (wire_->closed_) return;
    wire_->closed_ = true;
    wire_->reason_ = std::move(reason);
  }

 private:
  const std::shared_ptr<Wire> wire_;
};

class MemoryTransport final : public Transport {
 public:
  // Whether there is a listener; called when a dial completes, in the turn after it began.
  std::function<bool(const net::Address&)> listens = [](const net::Address&) { return true; };
  // Called for each connection that is made, in order.
  std::vector<std::shared_ptr<Wire>> wires;

  Instant now() const override { return now_; }

  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override {
    auto alarm = std::make_shared<Alarm>(Alarm{std::move(on_deadline)});
    alarms_.push_back(alarm);
    return std::make_unique<MemoryTimer>(std::move(alarm));
  }

  std::unique_ptr<net::Dial> dial(const net::Address& address, Duration, Dialed done) override {
    auto call = std::make_shared<Call>(Call{address, std::move(done)});
    calls_.push_back(call);
    return std::make_unique<MemoryDial>(std::move(call));
  }

  // Completes dials, delivers bytes and ends of connections, and fires due timers, each once.
  void run_turn() {
    answer_dials();
    const std::vector<std::shared_ptr<Wire>> heard = open_;
    for (const auto& wire : heard) hear(*wire);
    std::erase_if(open_, [](const auto& wire) {
      return wire->handler_ == nullptr && (wire->closed_ || wire->hung_up_);
    });
    for (size_t i = 0; i < alarms_.size(); ++i) {
      const std::shared_ptr<Alarm> alarm = alarms_[i];  // ringing may add others
      if (alarm->deadline > now_) continue;
      alarm->deadline = never;
      alarm->ring();
    }
    std::erase_if(alarms_, [](const auto& alarm) { return alarm.use_count() == 1; });
  }
  // Advances the clock and runs a turn.
  void advance(Duration time) {
    now_ += time;
    run_turn();
  }

  size_t open_connections() const { return open_.size(); }

 private:
  struct Alarm {
    std::function<void()> ring;
    Instant deadline = never;
  };
  class MemoryTimer final : public port::Timer {
   public:
    explicit MemoryTimer(std::shared_ptr<Alarm> alarm) : alarm_(std::move(alarm)) {}
    ~MemoryTimer() override { cancel(); }
    void arm(Instant deadline) override { alarm_->deadline = deadline; }
    void cancel() override { alarm_->deadline = never; }

   private:
    const std::shared_ptr<Alarm> alarm_;
  };

  struct Call {
    net::Address address;
    Dialed done;  // empty: cancelled
  };
  class MemoryDial final : public net::Dial {
   public:
    explicit MemoryDial(std::shared_ptr<Call> call) : call_(std::move(call)) {}
    ~MemoryDial() override { call_->done = nullptr; }

   private:
    const std::shared_ptr<Call> call_;
  };

  void answer_dials() {
    for (const auto& call : std::exchange(calls_, {})) {
      const Dialed done = std::exchange(call->done, nullptr);
      if (done == nullptr) continue;
      if (!listens(call->address)) {
        done(fail(BOP_E_CONNECTION_REFUSED, call->address.to_string() + ": nobody listens"));
        continue;
      }
      auto wire = std::make_shared<Wire>(call->address);
      open_.push_back(wire);
      wires.push_back(wire);
      done(std::make_unique<MemoryLink>(std::move(wire)));
    }
  }

  static void hear(Wire& wire) {
    if (wire.handler_ == nullptr) return;
    if (!wire.closed_ && !wire.to_client_.empty()) {
      wire.unconsumed_ += std::exchange(wire.to_client_, {});
      const net::Consumed consumed =
          wire.handler_->on_bytes(mem::Buffer::copy(as_bytes(wire.unconsumed_)));
      wire.unconsumed_.erase(0, consumed.bytes);
    }
    if (wire.handler_ == nullptr || !(wire.closed_ || wire.hung_up_)) return;
    const Error reason = wire.reason_.value_or(
        Error{BOP_E_CONNECTION_LOST, wire.address.to_string() + ": closed by the server"});
    std::exchange(wire.handler_, nullptr)->on_closed(reason);
  }

  Instant now_ = 1 * seconds;
  std::vector<std::shared_ptr<Alarm>> alarms_;
  std::vector<std::shared_ptr<Call>> calls_;
  std::vector<std::shared_ptr<Wire>> open_;
};

}  // namespace bop::client

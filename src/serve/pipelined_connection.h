// What the connections of both client protocols have in common: how input is bounded, when reads are repeated, and
// how a connection ends. A protocol's own class cuts the input into commands, starts them, and encodes their replies.
//
//   open ──────► ending: no further command starts ──────► finishing: the queued output is sent,
//      an error, QUIT, the end of      every command           then the socket is closed
//      the input, the node stops       is replied to
//
// While a command waits for the replies of earlier ones, input stays in the socket. While it waits for the client to
// read, the client may be writing all its commands first: they are received up to `max_input_bytes`; beyond it the
// client has to make progress within stall_limit. Input after the last command that is executed is received and
// discarded, or the client might never come to read the error.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "node/service.h"
#include "serve/client_connections.h"
#include "serve/read_window.h"
#include "serve/wire.h"

namespace bop::serve {

// Received bytes that wait: unparsed input, or whole frames. The first buffer, mostly the only one, is kept apart: the
// deque's memory would be two cache misses a request.
class InputQueue {
 public:
  void push(mem::Buffer buffer) {
    bytes_ += cost(buffer);
    if (first_) {
      later_.push_back(std::move(buffer));
    } else {
      first_ = std::move(buffer);
    }
  }
  const mem::Buffer& front() const { return *first_; }
  mem::Buffer pop() {
    mem::Buffer buffer = std::move(*first_);
    first_.reset();
    if (!later_.empty()) {
      first_ = std::move(later_.front());
      later_.pop_front();
    }
    bytes_ -= cost(buffer);
    return buffer;
  }
  void clear() {
    first_.reset();
    later_.clear();
    bytes_ = 0;
  }
  bool empty() const { return !first_; }
  // With what refers to them: many requests are shorter than that.
  size_t bytes() const { return bytes_; }

 private:
  static size_t cost(const mem::Buffer& buffer) { return buffer.size() + sizeof buffer; }

  std::optional<mem::Buffer> first_;
  std::deque<mem::Buffer> later_;
  size_t bytes_ = 0;
};

class PipelinedConnection : public ClientConnection, protected port::Completion {
 public:
  void on_bytes(mem::Buffer received) final;
  bool on_end() final;
  void on_drained() final { connections_.schedule(*this); }
  void on_stalled() final;
  void on_closed() final;
  void stop() final;
  void end_stop() final;
  void on_end_of_turn() final;
  bool ending() const final { return ending_; }
  bool finished() const final { return wire_ == nullptr && in_flight_ == 0; }

 protected:
  PipelinedConnection(uint64_t id, ClientConnections& connections, ProtocolMetrics& metrics,
                      Wire& wire);

  // ---- the protocol ----

  // Adds what was received to input().
  virtual void receive(mem::Buffer received) = 0;
  // Starts the commands of input() in order. True: the next one has to wait; it is tried again when a reply came or
  // the output drained.
  virtual bool start_commands() = 0;
  // Starts what was held for another reason than the above.
  virtual void start_held() {}
  virtual void forget_held() {}
  // Sends a read that was passed to repeat_later().
  virtual void send_query(uint64_t number) = 0;
  virtual bool all_replied() const = 0;
  // The bytes of commands and of replies that it keeps besides input().
  virtual size_t held_input_bytes() const { return 0; }
  virtual size_t held_output_bytes() const { return 0; }
  // Whether a part of a command was received.
  virtual bool within_command() const { return false; }
  // Queues the reason why no further command is executed, behind the replies.
  virtual void send_error(const Error& error) = 0;
  // Whether the client is told that a request without a reply was not executed when the connection closes. If it is
  // not, then a node that stops answers what the client sends next by errors before it closes the connection.
  virtual bool has_goodbye() const = 0;
  // Queues the last bytes of the connection.
  virtual void send_goodbye() {}

  // ---- for the protocol ----

  InputQueue& input() { return input_; }
  bool stopping() const { return stopping_; }
  bool command_waits() const { return command_waits_; }
  // Replies that the client has not read let no command start.
  bool output_blocked() const;
  bool may_start() const { return repeats_.empty() && !output_blocked(); }

  // Requests to the node. complete() is called with `number` for each.
  // In order: commands that were submitted so take effect one after the other, even when the leader changes.
  void submit_proposal(uint64_t number, GroupId group, mem::Buffer payload, Instant deadline,
                       bool in_order);
  void submit_query(uint64_t number, GroupId group, mem::Buffer payload, Instant deadline);
  // Calls `done` with the node's status.
  template <class Done>
  void ask_status(Done done);
  template <class Done>
  void ask_snapshots(GroupId group, node::SnapshotAction action, Done done);
  // The first call of complete(); `read`: the request was counted by count_read().
  void count_outcome(bool read, const port::Outcome& outcome);
  // The last call of complete().
  void continue_after_reply();

  // Counts a request whose reply is as large as a read's; submit_query() does it.
  void count_read() { reads_.begin(); }
  bool may_read() const { return reads_.admits(); }
  // Whether the replies that the client has not read, and the `held_bytes` of others, exceed the read-ahead, or that
  // many times as much. Then the reply to a read is dropped and the read repeated later, which is linearizable: a read
  // changes nothing.
  bool exceeds_output(size_t held_bytes, size_t times = 1) const;
  void repeat_later(uint64_t number);

  // No further command is started.
  void end() { ending_ = true; }
  // Logs the error, tells the client, and ends.
  void end_with(const Error& error);

  ClientConnections& connections_;
  const uint32_t max_pipeline_;  // as it was configured when the client connected
  Wire* wire_;                   // nullptr: closed

 private:
  void pump();
  void end_input();
  bool is_input_complete() const;
  void repeat_reads();
  void receive_or_pause();
  void finish_when_replied();

  ProtocolMetrics& metrics_;
  InputQueue input_;
  std::deque<uint64_t>
      repeats_;  // reads to repeat once their replies can be kept, in ascending order
  ReadWindow reads_;
  uint32_t in_flight_ = 0;      // requests to the node without an outcome
  bool command_waits_ = false;  // the next command of the input
  bool reading_ = true;         // the wire is not paused
  bool input_ended_ = false;    // the client sends no more
  bool stopping_ = false;       // the node is
  bool received_since_stop_ = false;
  bool stop_ended_ = false;  // see end_stop()
  bool ending_ = false;
  bool finishing_ = false;
};

template <class Done>
void PipelinedConnection::ask_status(Done done) {
  ++in_flight_;
  connections_.service().status([this, done](const node::NodeStatus& status) {
    --in_flight_;
    done(status);
    continue_after_reply();
  });
}

template <class Done>
void PipelinedConnection::ask_snapshots(GroupId group, node::SnapshotAction action, Done done) {
  ++in_flight_;
  connections_.service().snapshots(
      group, action, [this, done](const Result<std::vector<node::SnapshotStatus>>& result) {
        --in_flight_;
        done(result);
        continue_after_reply();
      });
}

}  // namespace bop::serve

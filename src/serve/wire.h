// What a connection needs of its connection: net's connections stand behind it in a node, strings in the
// tests and fuzzers. All of it is of one shard's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "mem/buffer.h"

namespace bop::serve {

inline constexpr Duration stall_limit = 5 * seconds;

class Wire {
 public:
  virtual ~Wire() = default;
  // Queues for one write at the end of the turn. A large buffer is shared, a small one copied.
  virtual void append(const mem::Buffer& buffer) = 0;
  virtual size_t queued_bytes() const = 0;
  // Counts what the connection itself keeps of commands and of replies.
  virtual void hold(size_t input_bytes, size_t output_bytes) = 0;
  // No further on_bytes until resume().
  virtual void pause() = 0;
  virtual void resume() = 0;
  // True: on_stalled() is called if the client takes nothing of what is queued for stall_limit.
  virtual void expect_progress(bool expected) = 0;
  // Sends what is queued, then closes. What is still received is dropped.
  virtual void finish(const Error& reason) = 0;
  // For messages: "127.0.0.1:53412".
  virtual std::string_view peer() const = 0;
};

// The protocol side of a connection.
class ClientConnection {
 public:
  explicit ClientConnection(uint64_t id) : id_(id) {}
  virtual ~ClientConnection() = default;
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  // Takes all of `received`.
  virtual void on_bytes(mem::Buffer received) = 0;
  // The client sends no more. True: answers are still to come.
  virtual bool on_end() = 0;
  // Less than the high-water mark waits to be sent, after more did.
  virtual void on_drained() = 0;
  // The client does not take its replies, although it was expected to.
  virtual void on_stalled() = 0;
  // The connection is gone, and with it the Wire.
  virtual void on_closed() = 0;
  // The node stops: what was received is still answered, nothing is read any more, and then the
  // connection is closed.
  virtual void stop() = 0;
  // Goes on with what had to wait; called by ClientConnections at the end of a turn.
  virtual void go_on() = 0;
  // Its connection is closed and none of its requests is unanswered: nobody will call it again.
  virtual bool finished() const = 0;

  uint64_t id() const { return id_; }

 private:
  friend class ClientConnections;
  const uint64_t id_;
  bool waits_for_end_of_turn_ = false;  // ClientConnections' own
};

}  // namespace bop::serve

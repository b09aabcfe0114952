// The transport below a ClientConnection: a socket of `net` in a node, strings in tests and fuzzers.
// Everything here belongs to one shard's thread.
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
  // Reports the bytes of commands and of replies that the connection keeps itself, for the shard's budget.
  virtual void hold(size_t input_bytes, size_t output_bytes) = 0;
  // No further on_bytes until resume().
  virtual void pause() = 0;
  virtual void resume() = 0;
  // While true, on_stalled() is called once the client has read nothing of the queued output for stall_limit.
  virtual void expect_progress(bool expected) = 0;
  // Sends the queued output, then closes. Input received until then is discarded.
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
  // The client sends no more. Returns true while replies are still to come.
  virtual bool on_end() = 0;
  // The queued output fell below the high-water mark.
  virtual void on_drained() = 0;
  // The client has read nothing for stall_limit; see Wire::expect_progress.
  virtual void on_stalled() = 0;
  // The transport is closed; the Wire must not be used any more.
  virtual void on_closed() = 0;
  // The node stops: what was received is still answered, then the connection is closed.
  virtual void stop() = 0;
  // Some time after stop(): no further input is waited for.
  virtual void end_stop() = 0;
  // Resumes what had to wait; ClientConnections calls it at the end of a turn.
  virtual void on_end_of_turn() = 0;
  // No further command is started.
  virtual bool ending() const = 0;
  // It is closed and none of its requests is unanswered, so it can be destroyed.
  virtual bool finished() const = 0;

  uint64_t id() const { return id_; }

 private:
  friend class ClientConnections;
  const uint64_t id_;
  bool waits_for_end_of_turn_ = false;  // used by ClientConnections
};

}  // namespace bop::serve

// Connections over TCP and UNIX sockets, on one loop.
//
//   on_bytes ◄── receive block ◄── socket          one read when the socket is readable
//   append   ──► output        ──► socket          one write for each connection at the end of a turn
//
// Receiving: bytes are read into blocks, from front to back. A handler is shown all bytes that it has not
// consumed yet as one contiguous Buffer, a slice of the block, and returns how many of them it has consumed.
// A message that arrives whole is never copied; another one is copied at most once, when its block is full.
//
// Sending: small pieces are gathered in a block, large Buffers are kept and shared.
//
// Bounds: a connection stops reading while more than `pause_reading_at` bytes wait to be sent, and is
// closed (OVERLOADED) when more than `max_output_bytes` do. A message has at most `max_message_bytes`.
// Only the side that answers pauses reading: if both sides did, each could wait for the other forever.
// That also happens with a client that writes everything before it reads; a handler that supports such
// clients sets `handler_pauses` and reads on, up to a bound of its own.
//
// Threads: a Streams and its connections are used on the thread of their loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "io/loop.h"
#include "mem/buffer.h"
#include "port/post.h"

namespace bop::net {

class StreamBudget;

inline constexpr size_t never_pause = SIZE_MAX;

struct StreamLimits {
  size_t max_message_bytes = 2u << 20;  // that a handler may leave unconsumed; more: TOO_LARGE
  size_t pause_reading_at = 1u << 20;   // unsent bytes; never_pause for a side that sends requests
  size_t max_output_bytes = 16u << 20;  // unsent bytes; more: OVERLOADED
  bool handler_pauses = false;  // do not stop reading at pause_reading_at: the handler decides
  size_t first_block_bytes = 4u << 10;  // of the first receive block; later ones follow the traffic
  size_t block_bytes = 64u << 10;  // of the largest block, except for a message that needs more
  port::Phase sends_in =
      port::Phase::reply;  // the phase of the end of a turn in which bytes are sent
  // After finish(), input is read and discarded for this time or up to this many bytes, before the socket
  // is closed.
  Duration linger_limit = 1 * seconds;
  uint64_t linger_bytes = 4u << 20;
  int linger_rounds = 1;  // repeats linger_limit up to this often while the peer still writes
  StreamBudget* budget = nullptr;  // shared with the other connections of the loop; nullptr: none
  bool trust_wanted =
      false;  // reserve memory for all that a handler wants, not only as bytes arrive
  // A TCP connection is closed when sent bytes stay unacknowledged for this time; 0: the system's limit.
  Duration unacknowledged_limit = 0;
  // Of a TCP connection: how long its bytes may queue on the path, which bounds those in transit (send_window.h); 0:
  // as many as the system sends.
  Duration max_path_delay = 0;
  bool urgent = false;  // small messages that must not wait behind other connections' bytes
};

// What a handler has done with the bytes that it was shown.
struct Consumed {
  size_t bytes = 0;   // consumed, from the front; they are not shown again
  size_t wanted = 0;  // how many bytes after those it needs to continue; 0: at least one more
};

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // Called with all bytes that were received and not consumed, never empty. May close, pause or destroy the
  // connection.
  virtual Consumed on_bytes(const mem::Buffer& bytes) = 0;
  // The other side sends no more, so a message that is still incomplete stays so. Return true to keep the
  // connection open for further replies; false closes it when the queued bytes are sent.
  virtual bool on_end() { return false; }
  // The connection was closed, by either side. This is the last call, never from within a call of
  // Connection. `reason`: CONNECTION_LOST, OVERLOADED, TOO_LARGE, or what close() was called with.
  virtual void on_closed(const Error& reason) = 0;
  // The unsent bytes fell to half of pause_reading_at.
  virtual void on_drained() {}
  // No queued byte was sent for the time that expect_progress() was called with.
  virtual void on_stalled() {}
};

class Stream;
class StreamCount;

// A connection, owned by its user. Destroying it closes the socket at once; its handler is not called any
// more.
class Connection {
 public:
  explicit Connection(Stream& stream);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins to read; call it once. The handler must live until on_closed() or the connection's destruction.
  void start(StreamHandler& handler);

  // Passes the connection to another handler, which is called in a later turn with the unconsumed bytes.
  void hand_over(StreamHandler& handler, const StreamLimits& limits);

  // Queues bytes, which are sent at the end of the turn. Does nothing on a closed connection.
  void append(Bytes bytes);                // copied
  void append(const mem::Buffer& buffer);  // copied when small, else shared
  // At least `size` bytes of memory, valid until the next call; then commit the bytes written to it.
  uint8_t* reserve(size_t size);
  void commit(size_t size);

  size_t queued_bytes() const;
  // Tells the budget how many bytes the handler keeps for this connection. May close the connection.
  void hold(size_t input_bytes, size_t output_bytes);
  // More than pause_reading_at bytes wait to be sent. A handler that answers requests in on_bytes() stops
  // then and leaves the rest unconsumed: it is shown again after on_drained().
  bool throttled() const;

  // on_bytes() is not called until resume(), after which unconsumed bytes are shown in a later turn.
  void pause();
  void resume();

  // Calls on_stalled() when the other side has read none of the queued bytes for `limit`; 0 ends that.
  void expect_progress(Duration limit);

  // Sends the queued bytes, then closes. Input received until then is discarded: the other side may have to
  // finish writing before it reads. When it has read nothing for 10 s, the connection is closed.
  void finish(Error reason = {BOP_E_STOPPED, "closed by this side"});
  // Closes at once and drops the queued bytes.
  void close(Error reason = {BOP_E_STOPPED, "closed by this side"});
  bool open() const;

  // The other side's address, "127.0.0.1:53412" or "unix", for messages.
  const std::string& peer() const;
  uint64_t received_bytes() const;
  uint64_t sent_bytes() const;  // given to the system
  // Of the sent bytes those that the other side's system has, as far as this one heard of it.
  uint64_t delivered_bytes() const;

 private:
  Stream& stream_;
};

// The state that the connections of one loop share. Must outlive them.
class Streams {
 public:
  explicit Streams(io::Loop& loop);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  io::Loop& loop() { return loop_; }
  size_t open_connections() const;

  // Takes over a connected socket that belongs to no loop; on failure the socket is closed. Calls
  // count->leave() when the connection is closed.
  Result<std::unique_ptr<Connection>> adopt(int native, const StreamLimits& limits,
                                            std::shared_ptr<StreamCount> count = nullptr);

  struct Shared;

 private:
  io::Loop& loop_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace bop::net

// Connections over TCP and UNIX sockets, on one loop.
//
//   on_bytes ◄── receive block ◄── socket          one read when there is something to read
//   append   ──► output        ──► socket          one write a connection at the end of a turn
//
// Receiving: bytes lie in blocks, filled from front to back; a handler gets all bytes that it has not
// consumed yet as one contiguous Buffer, a slice of the block, and says how many it is done with. A
// message that arrives whole is never copied; one that does not is copied at most once, when its block
// is full.
//
// Sending: small pieces are gathered in a block, large ones are kept as the Buffers they are.
//
// Bounds: a connection stops reading while more than `pause_reading_at` bytes wait to be sent, and is
// closed (OVERLOADED) when more than `max_output_bytes` do; a message may have `max_message_bytes`.
// Only the side that answers pauses reading: if both did, each could wait for the other for ever. The same happens when
// the other side writes everything before it reads; a handler that has to cope with this sets `handler_pauses` and goes
// on reading up to a bound of its own.
//
// Threads: everything of a Streams and its connections belongs to its loop's thread.
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
  size_t max_message_bytes = 2u << 20;  // bytes that a handler leaves unconsumed; beyond: TOO_LARGE
  size_t pause_reading_at = 1u << 20;   // unsent; never_pause for a side that sends requests
  size_t max_output_bytes = 16u << 20;  // unsent; beyond: OVERLOADED
  bool handler_pauses = false;  // reading goes on at pause_reading_at: the handler pauses by itself
  size_t first_block_bytes = 4u << 10;  // of the first receive block; later ones follow the traffic
  size_t block_bytes = 64u << 10;       // of the largest, but for a message that needs more
  port::Phase sends_in = port::Phase::reply;  // of a turn's end
  // After finish(), how long and how many bytes are read and dropped before the socket is closed.
  Duration linger_limit = 1 * seconds;
  uint64_t linger_bytes = 4u << 20;
  int linger_rounds = 1;  // so many times linger_limit, as long as the other side goes on writing
  StreamBudget* budget = nullptr;  // shared with the other connections of the loop
  bool trust_wanted = false;  // reserve what a handler wants at once; else only as bytes arrive
  // Of a TCP connection: closed when sent bytes stay unacknowledged for so long; 0: the system's limit.
  Duration unacknowledged_limit = 0;
  // Of a TCP connection: how long its bytes may queue on the path, which bounds those in transit (send_window.h); 0:
  // as many as the system sends.
  Duration max_path_delay = 0;
  bool urgent = false;  // small messages that must not wait behind other connections' bytes
};

// How much of the bytes it was shown a handler has consumed.
struct Consumed {
  size_t bytes = 0;   // from the front; they are not shown again
  size_t wanted = 0;  // bytes, from there on, that it needs to go on; 0: at least one more
};

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // All bytes received and not consumed, never empty. May close, pause or destroy the connection.
  virtual Consumed on_bytes(const mem::Buffer& bytes) = 0;
  // The other side sends no more. What was left unconsumed will not become whole. Return true to keep
  // the connection for answers that are still to come; false closes it once what is queued is sent.
  virtual bool on_end() { return false; }
  // The connection is closed, by either side: the last call, never from within a call of Connection.
  // CONNECTION_LOST with the reason; OVERLOADED, TOO_LARGE; or what close() was given.
  virtual void on_closed(const Error& reason) = 0;
  // The unsent bytes fell to half of pause_reading_at.
  virtual void on_drained() {}
  // Nothing was sent for the time given to expect_progress().
  virtual void on_stalled() {}
};

class Stream;
class StreamCount;

// Owned by its user; destroying it closes the socket at once, and its handler is not called any more.
class Connection {
 public:
  explicit Connection(Stream& stream);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Once: begins to read. The handler must outlive the connection or its on_closed().
  void start(StreamHandler& handler);

  // Passes the connection to another handler, which is called in a later turn with the unconsumed bytes.
  void hand_over(StreamHandler& handler, const StreamLimits& limits);

  // Queue for sending at the end of the turn. Nothing happens on a closed connection.
  void append(Bytes bytes);                // copied
  void append(const mem::Buffer& buffer);  // copied when small, else shared
  // At least `size` bytes to write into; valid until the next call. Then commit what was written.
  uint8_t* reserve(size_t size);
  void commit(size_t size);

  size_t queued_bytes() const;
  // Reports the bytes that the handler keeps for this connection, for the budget. May close the connection.
  void hold(size_t input_bytes, size_t output_bytes);
  // More than pause_reading_at bytes wait to be sent. A handler that answers as it goes stops here and
  // leaves the rest unconsumed: it is shown again when there is room.
  bool throttled() const;

  // No on_bytes until resume(); what then waits is shown again in a later turn.
  void pause();
  void resume();

  // Calls on_stalled() once the other side has read nothing of the queued bytes for `limit`; 0 ends that.
  void expect_progress(Duration limit);

  // Sends the queued bytes, then closes. Input received until then is discarded: the other side may have to
  // finish writing before it reads. Closes at once when the other side has read nothing for 10 s.
  void finish(Error reason = {BOP_E_STOPPED, "closed by this side"});
  // Closes at once and drops the queued bytes.
  void close(Error reason = {BOP_E_STOPPED, "closed by this side"});
  bool open() const;

  // "127.0.0.1:53412" or "unix"; for messages.
  const std::string& peer() const;
  uint64_t received_bytes() const;
  uint64_t sent_bytes() const;  // given to the system
  // Of the sent bytes those that the other side's system has, as far as this one heard of it.
  uint64_t delivered_bytes() const;

 private:
  Stream& stream_;
};

// What the connections of one loop share. Must outlive them.
class Streams {
 public:
  explicit Streams(io::Loop& loop);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  io::Loop& loop() { return loop_; }
  size_t open_connections() const;

  // Takes over a connected socket that belongs to no loop, also when it fails. `count` hears when the
  // connection closes.
  Result<std::unique_ptr<Connection>> adopt(int native, const StreamLimits& limits,
                                            std::shared_ptr<StreamCount> count = nullptr);

  struct Shared;

 private:
  io::Loop& loop_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace bop::net

// One connection.
//
//                 start()          end of input, on_end() true
//   (made) ──────► reading ──────────────────────────► ended ─────┐
//                     │  finish()                                 │ finish()
//                     ▼                                           ▼
//                  finishing: sends the queued  ───────────► lingering: reads and discards until the
//                     │       bytes and discards input       other side ends, linger_limit passed, or
//                     ▼                                           │      linger_bytes were read
//                  closed ◄───────────────────────────────────────┘
//
// close(), an error or an exceeded limit lead from each state directly to closed. A connection lingers
// because closing a socket with unread input resets it, and the other side could then lose the last
// reply.
#include "net/stream.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "net/endpoint.h"
#include "net/input.h"
#include "net/operation_memory.h"
#include "net/output.h"
#include "net/path.h"
#include "net/send_window.h"
#include "net/socket.h"
#include "net/stream_budget.h"
#include "net/stream_count.h"
#include "port/timer.h"

namespace bop::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// The number of buffers that Asio passes to one sendmsg.
constexpr size_t most_pieces = 64;
// A turn that queues more than this sends before its end, so that max_output_bytes limits what the other
// side does not read, not what one turn may send.
constexpr size_t send_early_bytes = 512u << 10;
// A connection that is finishing is closed when the other side has read nothing for this time.
constexpr Duration longest_finish = 10 * seconds;
// How often the path is inspected while bytes wait for the send window.
constexpr Duration look_at_path_every = 5 * milliseconds;

bool is_would_block(const error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

std::string peer_of(Socket& socket) {
  error_code error;
  const Endpoint peer = socket.remote_endpoint(error);
  if (error) return "unknown";
  const Address address = address_of(peer);
  return address.is_unix() || address.host.empty() ? "unix" : address.to_string();
}

Error lost(const error_code& error) { return {BOP_E_CONNECTION_LOST, error.message()}; }

}  // namespace

// Counts the users of a stream: its Connection, operations in progress, calls on the stack. Used on the
// loop's thread, so the count is not atomic.
class StreamUse {
 public:
  explicit StreamUse(Stream& stream);
  StreamUse(const StreamUse& other);
  StreamUse(StreamUse&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  StreamUse& operator=(const StreamUse&) = delete;
  ~StreamUse();

  Stream& operator*() const { return *stream_; }
  Stream* operator->() const { return stream_; }

 private:
  Stream* stream_;
};

struct Streams::Shared {
  explicit Shared(io::Loop& loop) : loop(loop) {}

  io::Loop& loop;
  OutputBlocks blocks;
  // Streams with bytes to send at the end of the turn, by phase.
  std::array<std::vector<StreamUse>, port::phase_count> dirty;
  size_t open = 0;
};

class Stream final : public StreamBudget::Member {
 public:
  Stream(std::shared_ptr<Streams::Shared> shared, Socket socket, const StreamLimits& limits,
         std::string peer, std::shared_ptr<StreamCount> count);
  ~Stream() override { BOP_ASSERT(!socket_.is_open()); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void start(StreamHandler& handler);
  void hand_over(StreamHandler& handler, const StreamLimits& limits);
  template <class Add>
  void send(Add add);
  uint8_t* reserve(size_t size) { return output_.reserve(size); }
  void flush();
  void pause() { paused_ = true; }
  void resume();
  void expect_progress(Duration limit);
  void finish(Error reason);
  void close(Error reason);
  void forget_handler() { handler_ = nullptr; }

  bool open() const { return socket_.is_open(); }
  size_t queued_bytes() const { return output_.size(); }
  bool throttled() const { return throttled_; }
  const std::string& peer() const override { return peer_; }
  void disconnect(const Error& reason) override { close(reason); }
  void hold(size_t input_bytes, size_t output_bytes);
  uint64_t received_bytes() const { return received_; }
  uint64_t sent_bytes() const { return sent_; }
  uint64_t delivered_bytes() const;

  size_t uses = 0;

 private:
  template <void (Stream::*method)(const error_code&, size_t), OperationMemory Stream::* memory>
  struct Handler {
    StreamUse stream;
    using allocator_type = OperationAllocator<void>;
    allocator_type get_allocator() const noexcept { return allocator_type((*stream).*memory); }
    void operator()(const error_code& error, size_t size = 0) { ((*stream).*method)(error, size); }
  };

  void read_more();
  void on_read(const error_code& error, size_t size);
  bool may_show() const;
  // Input is read and discarded, since the other side may have to finish writing before it reads.
  bool drops() const { return lingering_ || (finishing_ && writing_ && handler_ != nullptr); }
  void deliver();
  void deliver_later();
  void show();
  void tell_end();

  void plan_flush();
  bool send_some();
  void apply_limits();
  size_t sendable_bytes();
  void look_at_path();
  void on_window_time();
  void wait_for_window();
  void arm_window_timer();
  void wait_until_writable();
  void on_writable(const error_code& error, size_t);
  void after_sending();
  void linger();
  void linger_on();
  void look_for_progress();
  void tell_closed();
  void count_held();

  const std::shared_ptr<Streams::Shared> shared_;
  Socket socket_;
  StreamLimits limits_;
  const std::string peer_;
  const std::shared_ptr<StreamCount> count_;
  StreamHandler* handler_ = nullptr;
  Input input_;
  Output output_;

  bool reading_ = false;     // a read is in progress
  bool delivering_ = false;  // on_bytes is on the stack
  bool show_ = false;    // the handler has not seen all unread bytes, or should look at them again
  bool paused_ = false;  // by the handler
  bool throttled_ = false;  // too many bytes wait to be sent
  bool ended_ = false;      // the other side sends no more
  bool told_end_ = false;   // the handler knows it
  bool finishing_ = false;
  bool lingering_ = false;
  bool dirty_ = false;    // in shared_->dirty
  bool writing_ = false;  // waits until the socket, or the send window, accepts more
  Error reason_;          // passed to finish(), or why the connection was closed
  std::unique_ptr<port::Timer> linger_timer_;
  std::unique_ptr<port::Timer> progress_timer_;  // while progress is expected
  Duration progress_limit_ = 0;
  uint64_t progress_from_ = 0;  // sent_ when the timer was armed

  size_t handler_input_ = 0;  // bytes that the handler holds: see hold()
  size_t handler_output_ = 0;

  std::optional<SendWindow> window_;
  std::unique_ptr<port::Timer> window_timer_;  // while bytes wait
  bool window_full_ = false;                   // bytes wait for the send window, not for the socket
  uint64_t known_delivered_ = 0;               // delivered bytes when the path was last inspected

  uint64_t received_ = 0;
  uint64_t sent_ = 0;
  uint64_t linger_end_ = 0;   // the stream is closed when received_ gets there
  uint64_t linger_from_ = 0;  // received_ when the current round began
  int linger_rounds_ = 0;
  OperationMemory read_memory_;
  OperationMemory write_memory_;
};

StreamUse::StreamUse(Stream& stream) : stream_(&stream) { ++stream.uses; }
StreamUse::StreamUse(const StreamUse& other) : StreamUse(*other.stream_) {}
StreamUse::~StreamUse() {
  if (stream_ != nullptr && --stream_->uses == 0) delete stream_;
}

Stream::Stream(std::shared_ptr<Streams::Shared> shared, Socket socket, const StreamLimits& limits,
               std::string peer, std::shared_ptr<StreamCount> count)
    : shared_(std::move(shared)),
      socket_(std::move(socket)),
      limits_(limits),
      peer_(std::move(peer)),
      count_(std::move(count)),
      input_(limits_),
      output_(shared_->blocks) {
  ++shared_->open;
  if (limits_.unacknowledged_limit > 0)
    set_unacknowledged_limit(socket_, limits_.unacknowledged_limit);
  apply_limits();
  if (limits_.budget != nullptr) limits_.budget->enter(*this);
}

void Stream::apply_limits() {
  if (limits_.urgent) set_urgent(socket_);
  if (limits_.max_path_delay > 0 && !window_) window_.emplace(limits_.max_path_delay);
}

// Tells the budget how many bytes this connection holds. May close it.
void Stream::count_held() {
  if (limits_.budget == nullptr || !open()) return;
  limits_.budget->set(*this, input_.unread_bytes() + handler_input_,
                      output_.empty() ? handler_output_ : output_.memory_bytes() + handler_output_);
}

void Stream::hold(size_t input_bytes, size_t output_bytes) {
  if (input_bytes == handler_input_ && output_bytes == handler_output_) return;
  handler_input_ = input_bytes;
  handler_output_ = output_bytes;
  count_held();
}

// ---- receiving ----

void Stream::start(StreamHandler& handler) {
  BOP_ASSERT(handler_ == nullptr);
  handler_ = &handler;
  if (open()) {
    read_more();
  } else {
    tell_closed();
  }
}

void Stream::hand_over(StreamHandler& handler, const StreamLimits& limits) {
  BOP_ASSERT(handler_ != nullptr);
  BOP_ASSERT(limits.budget == limits_.budget);
  handler_ = &handler;
  if (open() && limits.unacknowledged_limit != limits_.unacknowledged_limit)
    set_unacknowledged_limit(socket_, limits.unacknowledged_limit);
  limits_ = limits;
  if (open()) apply_limits();
  deliver_later();
}

// Whether on_bytes() may be called.
bool Stream::may_show() const {
  const bool throttled = throttled_ && !limits_.handler_pauses;
  return open() && !delivering_ && !paused_ && !throttled && !finishing_ && handler_ != nullptr;
}

void Stream::read_more() {
  if (reading_ || ended_ || !open() || !(may_show() || drops())) return;
  auto space = input_.space();
  if (!space) {
    close(space.error());
    return;
  }
  reading_ = true;
  socket_.async_read_some(asio::buffer(space->data(), space->size()),
                          Handler<&Stream::on_read, &Stream::read_memory_>{StreamUse(*this)});
}

void Stream::on_read(const error_code& error, size_t size) {
  reading_ = false;
  if (!open()) return;
  if (error && error != asio::error::eof) {
    close(lost(error));
    return;
  }
  ended_ = error == asio::error::eof;
  received_ += size;
  if (!finishing_) {
    input_.received(size);
    show_ |= size > 0;
    deliver();
  } else if (lingering_ && (ended_ || received_ >= linger_end_)) {
    close(reason_);
  } else {
    if (input_.unread_bytes() > 0) input_.clear();
    read_more();
  }
}

// Shows the handler the unread bytes, then starts the next read.
void Stream::deliver() {
  if (may_show() && show_ && input_.ready()) show();
  if (may_show() && ended_ && !told_end_) tell_end();
  read_more();
}

void Stream::show() {
  show_ = false;
  delivering_ = true;
  const mem::Buffer unread = input_.unread();
  const Consumed consumed = handler_->on_bytes(unread);
  delivering_ = false;
  // A handler that called finish() or close() is shown no more; the unread bytes are already dropped.
  if (open() && !finishing_) input_.consume(consumed);
  count_held();
}

void Stream::tell_end() {
  told_end_ = true;
  if (!handler_->on_end()) finish({BOP_E_CONNECTION_LOST, "closed by the other side"});
}

void Stream::deliver_later() {
  show_ = true;
  shared_->loop.post([stream = StreamUse(*this)] { stream->deliver(); });
}

void Stream::resume() {
  if (!paused_) return;
  paused_ = false;
  deliver_later();
}

// ---- sending ----

template <class Add>
void Stream::send(Add add) {
  if (!open() || finishing_) return;
  add(output_);
  if (output_.size() > limits_.pause_reading_at) throttled_ = true;
  if (output_.size() >= send_early_bytes && !writing_ && !send_some()) return;
  if (output_.size() > limits_.max_output_bytes) {
    close({BOP_E_OVERLOADED, "the other side does not read its replies"});
    return;
  }
  plan_flush();
  count_held();
}

void Stream::plan_flush() {
  if (dirty_ || writing_) return;
  dirty_ = true;
  const auto phase = static_cast<size_t>(limits_.sends_in);
  shared_->dirty[phase].emplace_back(*this);
  if (shared_->dirty[phase].size() > 1) return;
  shared_->loop.at_end_of_turn(limits_.sends_in, [shared = shared_, phase] {
    // By index: a flush may call handlers, which may send and so append to the list.
    auto& dirty = shared->dirty[phase];
    for (size_t i = 0; i < dirty.size(); ++i) {
      const StreamUse stream = dirty[i];
      stream->flush();
    }
    dirty.clear();
  });
}

void Stream::flush() {
  dirty_ = false;
  if (open() && !writing_ && send_some()) after_sending();
}

// Sends until all is sent or the socket's buffer is full. False: the connection was closed.
bool Stream::send_some() {
  while (!output_.empty()) {
    std::array<Bytes, most_pieces> pieces;
    std::array<asio::const_buffer, most_pieces> buffers;
    size_t left = sendable_bytes();
    if (left == 0) {
      wait_for_window();
      return true;
    }
    const size_t gathered = output_.gather(pieces);
    size_t offered = 0;
    size_t count = 0;
    for (; count < gathered && left > 0; ++count) {
      const size_t size = std::min(pieces[count].size(), left);
      buffers[count] = asio::buffer(pieces[count].data(), size);
      offered += size;
      left -= size;
    }
    error_code error;
    const size_t sent = count == 1 ? socket_.write_some(buffers[0], error)
                                   : socket_.write_some(std::span(buffers).first(count), error);
    if (error && !is_would_block(error)) {
      close(lost(error));
      return false;
    }
    sent_ += sent;
    output_.consume(sent);
    // The other side may read no more for as long as it likes.
    if (limits_.budget != nullptr) output_.trim();
    count_held();
    if (sent < offered) {
      wait_until_writable();
      return true;
    }
  }
  return true;
}

// ---- the send window ----

// How much of the output may be sent now.
size_t Stream::sendable_bytes() {
  if (!window_) return SIZE_MAX;
  // What is known to be delivered is a lower bound: mostly it is enough, and nobody has to be asked.
  const auto in_transit = [this] { return sent_ - known_delivered_; };
  if (in_transit() + output_.size() <= window_->bytes()) return SIZE_MAX;
  look_at_path();
  if (!window_) return SIZE_MAX;
  return window_->bytes() > in_transit() ? window_->bytes() - in_transit() : 0;
}

void Stream::look_at_path() {
  known_delivered_ = delivered_bytes();
  if (const auto path = path_of(socket_.native_handle()))
    window_->observe(shared_->loop.now(), known_delivered_, path->round_trip, path->shortest);
  else
    window_.reset();  // a UNIX socket has no path to queue on
}

void Stream::arm_window_timer() {
  if (window_timer_ == nullptr)
    window_timer_ = shared_->loop.make_timer([this] { on_window_time(); });
  window_timer_->arm(shared_->loop.now() + look_at_path_every);
}

void Stream::wait_for_window() {
  writing_ = window_full_ = true;
  arm_window_timer();
  if (finishing_) read_more();
}

void Stream::on_window_time() {
  const StreamUse use(*this);
  if (!open() || !writing_ || !window_) return;
  if (window_full_) {
    writing_ = window_full_ = false;
    if (send_some()) after_sending();
  } else {
    // The socket is full: what it holds shows when the path got slower.
    look_at_path();
    arm_window_timer();
  }
}

void Stream::wait_until_writable() {
  writing_ = true;
  socket_.async_wait(Socket::wait_write,
                     Handler<&Stream::on_writable, &Stream::write_memory_>{StreamUse(*this)});
  if (window_) arm_window_timer();
  if (finishing_) read_more();
}

void Stream::on_writable(const error_code& error, size_t) {
  writing_ = false;
  if (!open()) return;
  if (error) {
    close(lost(error));
  } else if (send_some()) {
    after_sending();
  }
}

void Stream::after_sending() {
  if (throttled_ && output_.size() <= limits_.pause_reading_at / 2) {
    throttled_ = false;
    deliver_later();
    if (handler_ != nullptr) handler_->on_drained();
  }
  if (finishing_ && output_.empty() && open() && !lingering_) linger();
}

uint64_t Stream::delivered_bytes() const {
  if (!open()) return 0;
  return sent_ - std::min(sent_, unacknowledged_bytes(socket_));
}

// ---- ending ----

void Stream::finish(Error reason) {
  if (!open() || finishing_) return;
  finishing_ = true;
  reason_ = std::move(reason);
  if (!reading_) input_.clear();  // a read in progress still uses the block
  if (output_.empty()) {
    linger();
    return;
  }
  plan_flush();
  progress_timer_.reset();
  expect_progress(longest_finish);
  read_more();
}

void Stream::expect_progress(Duration limit) {
  if (limit == 0) {
    progress_timer_.reset();
    return;
  }
  if (!open() || progress_timer_ != nullptr) return;
  progress_limit_ = limit;
  progress_from_ = sent_;
  progress_timer_ = shared_->loop.make_timer([this] { look_for_progress(); });
  progress_timer_->arm(shared_->loop.now() + limit);
}

void Stream::look_for_progress() {
  const StreamUse use(*this);
  if (sent_ != progress_from_) {
    progress_from_ = sent_;
    progress_timer_->arm(shared_->loop.now() + progress_limit_);
  } else if (finishing_) {
    close(reason_);
  } else if (handler_ != nullptr) {
    handler_->on_stalled();
  }
}

void Stream::linger() {
  lingering_ = true;
  linger_end_ = received_ + limits_.linger_bytes;
  linger_from_ = received_;
  progress_timer_.reset();
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  if (error || ended_ || handler_ == nullptr) {
    close(reason_);
    return;
  }
  linger_timer_ = shared_->loop.make_timer([this] { linger_on(); });
  linger_timer_->arm(shared_->loop.now() + limits_.linger_limit);
  read_more();
}

void Stream::linger_on() {
  if (received_ == linger_from_ || ++linger_rounds_ >= limits_.linger_rounds) {
    close(reason_);
    return;
  }
  linger_from_ = received_;
  linger_timer_->arm(shared_->loop.now() + limits_.linger_limit);
}

void Stream::close(Error reason) {
  if (!open()) return;
  error_code ignored;
  socket_.close(ignored);
  output_.clear();
  reason_ = std::move(reason);
  --shared_->open;
  if (limits_.budget != nullptr) limits_.budget->leave(*this);
  if (count_ != nullptr) count_->leave();
  if (handler_ != nullptr) tell_closed();
  linger_timer_.reset();  // last: this may run within a call of one of them
  progress_timer_.reset();
  window_timer_.reset();
}

void Stream::tell_closed() {
  shared_->loop.post([stream = StreamUse(*this)] {
    if (stream->handler_ == nullptr) return;  // the Connection was destroyed
    const Error reason = stream->reason_;
    std::exchange(stream->handler_, nullptr)->on_closed(reason);
  });
}

// ---- Connection ----

Connection::Connection(Stream& stream) : stream_(stream) { ++stream_.uses; }

Connection::~Connection() {
  stream_.forget_handler();
  stream_.close({});
  if (--stream_.uses == 0) delete &stream_;
}

void Connection::start(StreamHandler& handler) { stream_.start(handler); }
void Connection::hand_over(StreamHandler& handler, const StreamLimits& limits) {
  stream_.hand_over(handler, limits);
}
void Connection::append(Bytes bytes) {
  stream_.send([&](Output& output) { output.append(bytes); });
}
void Connection::append(const mem::Buffer& buffer) {
  stream_.send([&](Output& output) { output.append(buffer); });
}
uint8_t* Connection::reserve(size_t size) { return stream_.reserve(size); }
void Connection::commit(size_t size) {
  stream_.send([&](Output& output) { output.commit(size); });
}
size_t Connection::queued_bytes() const { return stream_.queued_bytes(); }
bool Connection::throttled() const { return stream_.throttled(); }
void Connection::pause() { stream_.pause(); }
void Connection::hold(size_t input_bytes, size_t output_bytes) {
  stream_.hold(input_bytes, output_bytes);
}
void Connection::resume() { stream_.resume(); }
void Connection::expect_progress(Duration limit) { stream_.expect_progress(limit); }
void Connection::finish(Error reason) { stream_.finish(std::move(reason)); }
void Connection::close(Error reason) { stream_.close(std::move(reason)); }
bool Connection::open() const { return stream_.open(); }
const std::string& Connection::peer() const { return stream_.peer(); }
uint64_t Connection::received_bytes() const { return stream_.received_bytes(); }
uint64_t Connection::sent_bytes() const { return stream_.sent_bytes(); }
uint64_t Connection::delivered_bytes() const { return stream_.delivered_bytes(); }

// ---- Streams ----

Streams::Streams(io::Loop& loop) : loop_(loop), shared_(std::make_shared<Shared>(loop)) {}

Streams::~Streams() {
  BOP_ASSERT_EQ(shared_->open, 0u);
  for (auto& dirty : shared_->dirty) dirty.clear();
}

size_t Streams::open_connections() const { return shared_->open; }

Result<std::unique_ptr<Connection>> Streams::adopt(int native, const StreamLimits& limits,
                                                   std::shared_ptr<StreamCount> count) {
  Socket socket(loop_.context().get_executor());
  error_code error = assign(socket, native);
  if (error) {
    if (count != nullptr) count->leave();
    return std::unexpected(lost(error));
  }
  std::string peer = peer_of(socket);
  auto* stream = new Stream(shared_, std::move(socket), limits, std::move(peer), std::move(count));
  return std::make_unique<Connection>(*stream);
}

}  // namespace bop::net

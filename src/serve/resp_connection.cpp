#include "serve/resp_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"

namespace bop::serve {

namespace {

// A larger write is not kept until it is answered: reads of its keys are logged.
constexpr size_t max_joined_bytes = 64 << 10;
constexpr size_t max_joined_operations = 16;
// What unread replies may hold before one to a logged read is dropped, in read-aheads.
constexpr size_t logged_reply_budget = 4;

// A write that no state of the records makes fail, and whose result does not depend on them.
bool may_be_joined(std::span<const proto::KvOperation> operations) {
  constexpr uint8_t conditions =
      BOP_KV_IF_ABSENT | BOP_KV_IF_PRESENT | BOP_KV_IF_REVISION | BOP_KV_IF_VALUE;
  return operations.size() <= max_joined_operations &&
         std::ranges::all_of(operations, [](const proto::KvOperation& operation) {
           const bool sets = operation.op == BOP_KV_PUT || operation.op == BOP_KV_DELETE;
           return sets && (operation.flags & conditions) == 0;
         });
}

// What `command` leaves under `key`: a value, or nothing. False: it does not touch the key.
bool written_value(Bytes command, Bytes key, std::optional<Bytes>& value) {
  Reader in(command);
  in.bytes(2);
  bool found = false;
  for (uint16_t left = in.u16(); left > 0; --left) {
    const uint8_t op = in.u8();
    in.u8();
    const uint16_t key_size = in.u16();
    const uint32_t value_size = in.u32();
    const Bytes own_key = in.bytes(key_size);
    const Bytes own_value = in.bytes(value_size);
    if (as_text(own_key) != as_text(key)) continue;
    found = true;
    value = op == BOP_KV_PUT ? std::optional(own_value) : std::nullopt;
  }
  BOP_ASSERT(in.complete());
  return found;
}

// The machine's reply to a GET of `keys` right after `command` (bop/kv.h). False: the command does not
// write all of them.
bool read_written(Bytes command, std::span<const Bytes> keys, std::vector<uint8_t>& body) {
  Writer out(body);
  out.u64(0);
  out.u16(static_cast<uint16_t>(keys.size()));
  for (const Bytes key : keys) {
    std::optional<Bytes> value;
    if (!written_value(command, key, value)) return false;
    out.u8(value ? 1 : 0);
    out.u64(0);
    out.u32(value ? static_cast<uint32_t>(value->size()) : 0);
    if (value) out.bytes(*value);
  }
  return true;
}

// The question GET of bop/kv.h as a command that changes nothing, whatever the records are, and whose outcome shows
// them: it deletes each key on the condition that it is absent. When all are absent, the outcome is OK; when one is
// present, it is CONDITION_FAILED with every record.
mem::Buffer logged_read(mem::Arena& arena, Bytes question,
                        std::vector<proto::KvOperation>& operations) {
  Reader in(question);
  in.bytes(4);
  operations.clear();
  for (uint16_t left = in.u16(); left > 0; --left) {
    proto::KvOperation& operation = operations.emplace_back();
    operation.op = BOP_KV_DELETE;
    operation.flags = BOP_KV_IF_ABSENT;
    operation.key = in.bytes(in.u16());
  }
  BOP_ASSERT(in.complete());
  return proto::encode_kv_command(arena, operations);
}

}  // namespace

RespConnection::RespConnection(uint64_t id, ClientConnections& connections, Wire& wire)
    : PipelinedConnection(id, connections, connections.resp(), wire),
      slots_(1),
      connected_at_(connections.service().now()),
      active_at_(connected_at_) {}

// ---- commands in ----

void RespConnection::receive(mem::Buffer received) {
  active_at_ = connections_.service().now();
  ++arrived_;
  input().push(std::move(received));
}

bool RespConnection::start_commands() {
  for (bool parsed = command_waits(); !ending(); parsed = false) {
    if (!parsed && !parse_command()) return false;
    if (!may_start_command() || !dispatch(parser_.arguments())) return true;
  }
  return false;
}

// False: the input holds no further command.
bool RespConnection::parse_command() {
  using Step = proto::RespParser::Step;
  Step step = parser_.next();
  for (; step == Step::more && !input().empty(); step = parser_.next()) {
    ++parsed_;
    parser_.push(input().pop());
  }
  if (step == Step::error) end_with({BOP_E_PROTOCOL, parser_.error()});
  return step == Step::command;
}

bool RespConnection::may_start_command() const {
  const Options& options = connections_.options();
  return tail_ - head_ < max_pipeline_ && may_start() &&
         held_request_bytes_ <= options.max_held_bytes;
}

bool RespConnection::dispatch(Arguments arguments) {
  if (refuse_in_transaction(arguments)) return true;
  const RespCommand* command = find_resp_command(as_text(arguments[0]));
  if (command == nullptr) {
    connections_.resp().commands.add();
    unknown_command(arguments);
    return true;
  }
  const bool well_formed = command->takes(arguments.size());
  const bool data = (command->flags & (RespCommand::readonly | RespCommand::write)) != 0;
  access_ = {};
  if (well_formed && data && !admit(*command, arguments)) return false;
  connections_.resp().commands.add();
  if (!well_formed) {
    error(wrong_arity(command->name));
  } else if (data) {
    run_data(command->verb, arguments);
  } else {
    run_server(command->verb, *command, arguments);
  }
  return true;
}

// Determines which keys the command reads or writes. False: it has to wait, and so do all commands after it.
bool RespConnection::admit(const RespCommand& command, Arguments arguments) {
  access_.writes = (command.flags & RespCommand::write) != 0;
  access_.reads = !access_.writes;
  access_.every_key = command.first_key == 0;
  if (access_.reads && !may_read()) return false;
  if (access_.every_key) return open_writes_ == 0;
  if (access_.writes && open_scans_ > 0) return false;
  size_t count = 0;
  command.each_key(arguments, [&](Bytes key) {
    access_.key = hash64(key);
    if (++count > 1) access_.keys.push_back(access_.key);
    if (count == 2)
      access_.keys.push_back(hash64(arguments[static_cast<size_t>(command.first_key)]));
  });
  std::ranges::sort(access_.keys);
  const auto repeated = std::ranges::unique(access_.keys);
  access_.keys.erase(repeated.begin(), repeated.end());
  return true;
}

// ---- requests out ----

uint64_t RespConnection::open_slot(PendingReply reply) {
  // One slot beyond the limit is for the error that ends a connection.
  BOP_ASSERT_LE(tail_ - head_, max_pipeline_);
  if (tail_ - head_ == slots_.size()) grow_slots();
  const uint64_t number = tail_++;
  Slot& opened = slot(number);
  reply.version = static_cast<uint8_t>(version_);
  opened.reply = std::move(reply);
  opened.access = {};
  opened.started = connections_.service().now();
  opened.done = opened.held = opened.joined = opened.sets = false;
  return number;
}

// The ring starts with one slot: there may be thousands of connections, and most have one command in progress.
void RespConnection::grow_slots() {
  std::vector<Slot> larger(2 * slots_.size());
  for (uint64_t number = head_; number != tail_; ++number)
    larger[number & (larger.size() - 1)] = std::move(slot(number));
  slots_.swap(larger);
}

// Proposes checked operations as one command.
void RespConnection::propose(PendingReply reply, std::span<const proto::KvOperation> operations) {
  if (!find_group()) return;
  const uint64_t number = open_slot(std::move(reply));
  Slot& opened = slot(number);
  opened.access = std::move(access_);
  opened.request = proto::encode_kv_command(connections_.arena(), operations);
  opened.sets = may_be_joined(operations) && opened.request.size() <= max_joined_bytes;
  opened.arrived = arrived_;
  if (opened.sets) opened.turn = connections_.turn();
  start_or_hold(number);
}

void RespConnection::query(PendingReply reply, mem::Buffer question) {
  if (!find_group()) return;
  const uint64_t number = open_slot(std::move(reply));
  Slot& opened = slot(number);
  opened.access = std::move(access_);
  opened.request = std::move(question);
  start_or_hold(number);
}

void RespConnection::start_or_hold(uint64_t number) {
  Slot& entered = slot(number);
  if (!enter(number)) return hold(entered);
  entered.access.writes ? send_proposal(number) : send_query(number);
}

void RespConnection::hold(Slot& slot) {
  slot.held = true;
  held_request_bytes_ += slot.request.size();
}

// False: the command is held behind others on its keys.
bool RespConnection::enter(uint64_t number) {
  const Access& access = slot(number).access;
  if (access.every_key) {
    ++open_scans_;
    return true;
  }
  const uint32_t others = access.writes ? open_reads_ : open_writes_;
  if (!ordering_ && others > 0) order_open_commands(number);
  ++(access.writes ? open_writes_ : open_reads_);
  return !ordering_ || order_.enter(number, access.writes, access.hashes());
}

// Reads alone and writes alone run together without being ordered. Now there are both: takes in all that
// is open, but for `entering`, which is about to be.
void RespConnection::order_open_commands(uint64_t entering) {
  ordering_ = true;
  for (uint64_t number = head_; number != tail_; ++number) {
    const Slot& open = slot(number);
    const bool keyed = (open.access.reads || open.access.writes) && !open.access.every_key;
    if (open.done || open.joined || !keyed || number == entering) continue;
    const bool started = order_.enter(number, open.access.writes, open.access.hashes());
    BOP_ASSERT(started);
  }
}

void RespConnection::leave(uint64_t number) {
  const Access& access = slot(number).access;
  if (access.every_key) {
    --open_scans_;
    return;
  }
  --(access.writes ? open_writes_ : open_reads_);
  if (!ordering_) return;
  order_.leave(number, access.writes, access.hashes(), ready_);
  ordering_ = !order_.empty();
}

void RespConnection::start_held() {
  for (const uint64_t number : ready_) {
    Slot& started = slot(number);
    started.held = false;
    held_request_bytes_ -= started.request.size();
    started.access.writes ? send_proposal(number) : repeat_later(number);
  }
  ready_.clear();
}

void RespConnection::send_proposal(uint64_t number) {
  Slot& started = slot(number);
  const Instant deadline = connections_.service().now() + connections_.options().deadline;
  mem::Buffer payload;
  if (started.access.is_logged_read()) {
    payload = logged_read(connections_.arena(), started.request.bytes(), connections_.operations());
    count_read();
  } else {
    payload = started.sets ? started.request : std::move(started.request);
  }
  submit_proposal(number, group_, std::move(payload), deadline, true);
}

void RespConnection::send_query(uint64_t number) {
  const Instant deadline = connections_.service().now() + connections_.options().deadline;
  submit_query(number, group_, slot(number).request, deadline);
}

bool RespConnection::find_group() {
  if (group_ != 0) return true;
  const auto found = connections_.service().find_group_running("kv", connections_.options().group);
  if (!found) {
    error(found.error());
    return false;
  }
  group_ = *found;
  return true;
}

// ---- reads of keys that are being written ----

void RespConnection::read_keys(Arguments keys, PendingReply::Kind kind, mem::Buffer question) {
  if (open_writes_ > 0) {
    if (!ordering_) order_open_commands(KeyOrder::none);
    if (join(keys, kind, question)) return;
    access_.writes = is_being_written();  // then it is a logged read
  }
  query({.kind = kind}, std::move(question));
}

// Whether an unanswered command writes a key of the command being dispatched.
bool RespConnection::is_being_written() const {
  return std::ranges::any_of(access_.hashes(), [this](uint64_t key) {
    return order_.latest_write(key) != KeyOrder::none;
  });
}

// The write that all keys of the command being dispatched were last changed by, if a read of them can be
// answered with it; none otherwise.
uint64_t RespConnection::write_to_join() const {
  const auto keys = access_.hashes();
  const uint64_t writer = order_.latest_write(keys.front());
  for (const uint64_t key : keys) {
    if (order_.latest_write(key) != writer) return KeyOrder::none;
  }
  if (writer == KeyOrder::none) return writer;
  // A read that came later may have been sent after the write took effect, and after others since.
  const Slot& write = slot(writer);
  const bool before_it = parsed_ <= write.arrived || write.turn == connections_.turn();
  return write.sets && before_it ? writer : KeyOrder::none;
}

// Prepares the reply to a read of `keys` that the write before it will release.
bool RespConnection::join(Arguments keys, PendingReply::Kind kind, const mem::Buffer& question) {
  const uint64_t writer = write_to_join();
  if (writer == KeyOrder::none) return false;
  std::vector<uint8_t> body;
  if (!read_written(slot(writer).request.bytes(), keys, body)) return false;
  if (held_reply_bytes_ + body.size() > connections_.options().read_ahead_bytes) return false;

  const uint64_t number = open_slot({.kind = kind});
  Slot& joined = slot(number);
  joined.joined = true;
  joined.access = std::move(access_);
  joined.request = question;
  proto::PartWriter& scratch = connections_.scratch();
  scratch.begin();
  proto::RespWriter out(scratch, version_);
  write_reply(out, joined.reply, {.status = BOP_OK, .body = body, .detail = {}},
              connections_.shared().cursors, joined.started);
  held_reply_bytes_ += scratch.size();
  const auto parts = scratch.finish();
  joined.parts.assign(parts.begin(), parts.end());
  slot(writer).readers.push_back(number);
  return true;
}

void RespConnection::complete_joined(std::span<const uint64_t> readers,
                                     const port::Outcome& write) {
  for (const uint64_t number : readers) complete_joined(number, write);
}

void RespConnection::complete_joined(uint64_t number, const port::Outcome& write) {
  Slot& reader = slot(number);
  if (write.status == BOP_OK || wire_ == nullptr) {
    reader.done = true;
    reader.request = {};
    if (number == head_) send_ready();
    return;
  }
  for (const mem::Buffer& part : reader.parts) held_reply_bytes_ -= part.size();
  reader.parts.clear();
  reader.joined = false;
  read_after_failure(number, write);
}

// Of a logged read, which has left the order of the commands.
void RespConnection::complete_logged(uint64_t number, const port::Outcome& outcome, Instant now) {
  Slot& read = slot(number);
  port::Outcome records = outcome;
  if (outcome.status == BOP_E_CONDITION_FAILED) records.status = BOP_OK;  // see logged_read()
  if (records.status != BOP_OK) return read_after_failure(number, outcome);
  // Unlike other reads, it can only be repeated while no later command changes its keys.
  const size_t held = number == head_ ? 0 : held_reply_bytes_;
  const bool repeatable = exceeds_output(held) && !written_after(number);
  if (repeatable || exceeds_output(held, logged_reply_budget)) {
    return read_after_failure(
        number, {.status = BOP_E_OVERLOADED,
                 .body = {},
                 .detail = "the reply was dropped because too many before it were not read"});
  }
  read.request = {};
  complete(number, read.reply.version, [&](proto::RespWriter& out) {
    write_reply(out, read.reply, records, connections_.shared().cursors, now);
  });
}

// What a joined or logged read would have shown is not known. It is sent as any other read, or fails as well when a
// later command changes its keys.
void RespConnection::read_after_failure(uint64_t number, const port::Outcome& failure) {
  Slot& read = slot(number);
  read.access.writes = false;
  if (wire_ == nullptr || written_after(number)) {
    read.request = {};
    connections_.resp().errors.add();
    complete(number, read.reply.version, [&](proto::RespWriter& out) {
      out.error(resp_error(failure.status, failure.detail));
    });
  } else if (enter(number)) {
    repeat_later(number);
  } else {
    hold(read);
  }
}

// Whether a later command changes a key of this one.
bool RespConnection::written_after(uint64_t number) const {
  const auto keys = slot(number).access.hashes();
  for (uint64_t later = number + 1; later != tail_; ++later) {
    const Access& access = slot(later).access;
    if (!access.changes_keys()) continue;
    const auto written = access.hashes();
    if (std::ranges::find_first_of(keys, written) != keys.end()) return true;
  }
  return false;
}

// ---- replies out ----

void RespConnection::complete(uint64_t number, const port::Outcome& outcome) {
  Slot& answered = slot(number);
  const Instant now = connections_.service().now();
  const bool reads = answered.access.reads;
  const bool logged = answered.access.is_logged_read();
  count_outcome(reads, outcome);
  if (reads && !logged && outcome.status == BOP_OK &&
      exceeds_output(number == head_ ? 0 : held_reply_bytes_)) {
    return repeat_later(number);
  }
  auto& metrics = connections_.resp();
  (reads ? metrics.query_ns : metrics.propose_ns)
      .record(static_cast<uint64_t>(now - answered.started));
  leave(number);
  if (logged) {
    complete_logged(number, outcome, now);
  } else {
    answered.request = {};
    const std::vector<uint64_t> readers = std::exchange(answered.readers, {});
    complete(number, answered.reply.version, [&](proto::RespWriter& out) {
      write_reply(out, answered.reply, outcome, connections_.shared().cursors, now);
    });
    if (outcome.status < 0 && outcome.status != BOP_E_CONDITION_FAILED) metrics.errors.add();
    complete_joined(readers, outcome);
  }
  if (wire_ != nullptr) wire_->hold(input().bytes() + held_input_bytes(), held_output_bytes());
  if (!ready_.empty()) connections_.schedule(*this);
  continue_after_reply();
}

void RespConnection::append(std::span<const mem::Buffer> parts) {
  if (wire_ == nullptr) return;
  for (const mem::Buffer& part : parts) wire_->append(part);
}

void RespConnection::send_ready() {
  while (head_ != tail_ && slot(head_).done) {
    Slot& ready = slot(head_);
    for (const mem::Buffer& part : ready.parts) held_reply_bytes_ -= part.size();
    append(ready.parts);
    ready.parts.clear();
    ready.reply.note = {};
    ++head_;
  }
}

void RespConnection::error(std::string_view text) {
  connections_.resp().errors.add();
  reply([&](proto::RespWriter& out) { out.error(text); });
}

void RespConnection::error(const Error& error) {
  this->error(resp_error(error.code, error.detail));
}

}  // namespace bop::serve

#include "serve/resp_connection.h"

#include <algorithm>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/logging.h"

namespace bop::serve {

RespConnection::RespConnection(uint64_t id, ClientConnections& connections, Wire& wire)
    : ClientConnection(id),
      connections_(connections),
      wire_(&wire),
      slots_(1),
      reads_(connections.options().read_ahead_bytes, connections.options().max_pipeline),
      connected_at_(connections.service().now()),
      active_at_(connected_at_) {
  connections_.resp().connections.add();
  connections_.resp().connected.add(1);
}

// ---- what the connection says ----

void RespConnection::on_bytes(mem::Buffer received) {
  if (ending_) return;
  active_at_ = connections_.service().now();
  waiting_.push_back(std::move(received));
  pump();
}

bool RespConnection::on_end() {
  ending_ = true;
  waiting_.clear();
  command_waits_ = false;
  return head_ != tail_;
}

void RespConnection::on_drained() { connections_.later(*this); }

void RespConnection::on_closed() {
  wire_ = nullptr;
  ending_ = true;
  waiting_.clear();
  again_.clear();
  command_waits_ = false;
  connections_.resp().connected.add(-1);
  connections_.later(*this);
}

void RespConnection::stop() {
  stopping_ = true;
  if (wire_ != nullptr) pump();
}

void RespConnection::go_on() {
  if (wire_ != nullptr) pump();
}

// ---- commands in ----

void RespConnection::pump() {
  using Step = proto::RespParser::Step;
  ask_again();
  while (!ending_) {
    if (!command_waits_) {
      const Step step = parser_.next();
      if (step == Step::more) {
        if (waiting_.empty()) break;
        parser_.push(std::move(waiting_.front()));
        waiting_.pop_front();
        continue;
      }
      if (step == Step::error) {
        logging::warning("{}: {}, closing", wire_->peer(), parser_.error());
        error("ERR " + parser_.error());
        ending_ = true;
        break;
      }
    }
    command_waits_ = !has_room() || !dispatch(parser_.arguments());
    if (command_waits_) break;
  }
  if (stopping_ && !command_waits_) ending_ = true;
  if (ending_) {
    waiting_.clear();
    command_waits_ = false;
  }
  update_reading();
  finish_when_replied();
}

bool RespConnection::has_room() const {
  return tail_ - head_ < connections_.options().max_pipeline && again_.empty() &&
         wire_->queued_bytes() <= connections_.options().pause_output_bytes;
}

// Whether a reply to a read has to be dropped: its client does not take those before it. (Reads change
// nothing: one that is asked again is as linearizable as if it had only been slow.) The first in order
// only needs the wire's room, so that those that are held behind it can follow.
bool RespConnection::too_much(uint64_t number, const port::Outcome& answer) const {
  if (wire_ == nullptr || answer.status != BOP_OK) return false;
  const Options& options = connections_.options();
  const size_t kept = wire_->queued_bytes() + (number == head_ ? 0 : held_bytes_);
  return kept > options.pause_output_bytes + options.read_ahead_bytes;
}

void RespConnection::ask_again() {
  while (!again_.empty() && reads_.has_room() &&
         wire_->queued_bytes() <= connections_.options().pause_output_bytes) {
    const uint64_t number = again_.front();
    again_.pop_front();
    ask(number);
  }
}

// Nothing is read while a command waits: what cannot be worked on is left to the client's side.
void RespConnection::update_reading() {
  const bool read = !command_waits_ && !ending_;
  if (read == reading_ || wire_ == nullptr) return;
  reading_ = read;
  if (read) {
    wire_->resume();
  } else {
    wire_->pause();
  }
}

void RespConnection::finish_when_replied() {
  if (ending_ && head_ == tail_ && wire_ != nullptr && !finishing_) {
    finishing_ = true;
    wire_->finish({BOP_E_STOPPED, "closed after the last reply"});
  }
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

bool RespConnection::admit(const RespCommand& command, Arguments arguments) {
  access_.writes = (command.flags & RespCommand::write) != 0;
  access_.reads = !access_.writes;
  access_.every_key = command.first_key != 1 || arguments.size() < 2 ||
                      (command.last_key != 1 && arguments.size() > 2);
  if (!access_.every_key) access_.key_hash = static_cast<uint32_t>(hash64(arguments[1]));
  if (access_.reads && !reads_.has_room()) return false;
  return !conflicts(access_);
}

// A read that runs beside a write of its key might see it, or not: either could be out of order.
bool RespConnection::conflicts(const Access& access) const {
  if ((access.reads ? writes_ : reads_.under_way() + again_.size()) == 0) return false;
  for (uint64_t number = head_; number != tail_; ++number) {
    const Slot& other = slot(number);
    if (other.done || (access.reads ? !other.access.writes : !other.access.reads)) continue;
    if (access.every_key || other.access.every_key || access.key_hash == other.access.key_hash) {
      return true;
    }
  }
  return false;
}

// ---- requests out ----

uint64_t RespConnection::open_slot(PendingReply reply) {
  // One more is for the error that ends a connection: it comes whether there is room or not.
  BOP_ASSERT_LE(tail_ - head_, connections_.options().max_pipeline);
  if (tail_ - head_ == slots_.size()) grow_slots();
  const uint64_t number = tail_++;
  Slot& opened = slot(number);
  reply.version = static_cast<uint8_t>(version_);
  opened.reply = std::move(reply);
  opened.access = {};
  opened.started = connections_.service().now();
  opened.done = false;
  return number;
}

// Most connections have one command under way, and there may be thousands of them.
void RespConnection::grow_slots() {
  std::vector<Slot> larger(2 * slots_.size());
  for (uint64_t number = head_; number != tail_; ++number)
    larger[number % larger.size()] = std::move(slot(number));
  slots_.swap(larger);
}

void RespConnection::propose(PendingReply reply, mem::Buffer command) {
  if (!find_group()) return;
  const uint64_t number = open_slot(std::move(reply));
  slot(number).access = access_;
  ++unanswered_;
  ++writes_;
  connections_.service().propose(
      {.group = group_,
       .payload = std::move(command),
       .deadline = slot(number).started + connections_.options().deadline,
       .completion = this,
       .token = number});
}

void RespConnection::propose(PendingReply reply, const proto::KvOperation& operation) {
  propose(std::move(reply), proto::encode_kv_command(connections_.arena(), {&operation, 1}));
}

void RespConnection::query(PendingReply reply, mem::Buffer question) {
  if (!find_group()) return;
  const uint64_t number = open_slot(std::move(reply));
  slot(number).access = access_;
  slot(number).question = std::move(question);
  ask(number);
}

void RespConnection::ask(uint64_t number) {
  ++unanswered_;
  reads_.begin();
  const Slot& asked = slot(number);
  connections_.service().query({.group = group_,
                                .payload = asked.question,
                                .deadline = asked.started + connections_.options().deadline,
                                .completion = this,
                                .token = number});
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

// ---- answers back ----

void RespConnection::complete(uint64_t token, const port::Outcome& answer) {
  Slot& answered = slot(token);
  const Instant now = connections_.service().now();
  --unanswered_;
  if (answered.access.reads) {
    reads_.end(answer.body.size());
    if (too_much(token, answer)) {
      again_.insert(std::upper_bound(again_.begin(), again_.end(), token), token);
      return;
    }
    answered.question = {};
  }
  writes_ -= answered.access.writes ? 1 : 0;
  auto& metrics = connections_.resp();
  (answered.access.writes ? metrics.propose_ns : metrics.query_ns)
      .record(static_cast<uint64_t>(now - answered.started));
  complete(token, answered.reply.version, [&](proto::RespWriter& out) {
    write_reply(out, answered.reply, answer, connections_.shared().cursors, now);
  });
  if (answer.status < 0 && answer.status != BOP_E_CONDITION_FAILED) metrics.errors.add();
  if (command_waits_ || !again_.empty() || ending_) connections_.later(*this);
}

void RespConnection::append(std::span<const mem::Buffer> parts) {
  if (wire_ == nullptr) return;
  for (const mem::Buffer& part : parts) wire_->append(part);
}

void RespConnection::send_ready() {
  while (head_ != tail_ && slot(head_).done) {
    Slot& ready = slot(head_);
    for (const mem::Buffer& part : ready.parts) held_bytes_ -= part.size();
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

#include "serve/pipelined_connection.h"

#include <fmt/format.h>

#include <algorithm>

namespace bop::serve {

PipelinedConnection::PipelinedConnection(uint64_t id, ClientConnections& connections,
                                         ProtocolMetrics& metrics, Wire& wire)
    : ClientConnection(id),
      connections_(connections),
      max_pipeline_(connections.options().max_pipeline),
      wire_(&wire),
      metrics_(metrics),
      reads_(connections.options().read_ahead_bytes, max_pipeline_) {
  metrics_.connections.add();
  metrics_.connected.add(1);
}

// ---- events of the connection ----

void PipelinedConnection::on_bytes(mem::Buffer received) {
  if (ending_) return;
  received_since_stop_ = stopping_;
  receive(std::move(received));
  pump();
}

bool PipelinedConnection::on_end() {
  input_ended_ = true;
  pump();
  return !all_replied() || !ending_;
}

// The client sent more than its input budget and has read no reply for stall_limit: it writes all its commands before
// it reads, or it hangs. Its further input is discarded, so that it comes to read the error.
void PipelinedConnection::on_stalled() {
  if (ending_ || wire_ == nullptr) return;
  end_with(
      {BOP_E_OVERLOADED,
       fmt::format("{} bytes of commands were sent without reading the replies; the limit is {} "
                   "(limits.input_bytes): the commands from here on were not executed",
                   input_.bytes(), connections_.options().max_input_bytes)});
}

void PipelinedConnection::on_closed() {
  wire_ = nullptr;
  end_input();
  repeats_.clear();
  forget_held();
  metrics_.connected.add(-1);
  connections_.schedule(*this);
}

void PipelinedConnection::stop() {
  stopping_ = true;
  if (wire_ != nullptr) pump();
}

void PipelinedConnection::end_stop() {
  stop_ended_ = true;
  if (wire_ != nullptr) pump();
}

void PipelinedConnection::on_end_of_turn() {
  if (wire_ != nullptr) pump();
}

// ---- input ----

void PipelinedConnection::pump() {
  start_held();
  repeat_reads();
  if (!ending_) command_waits_ = start_commands();
  if (ending_ || is_input_complete()) end_input();
  wire_->hold(input_.bytes() + held_input_bytes(), held_output_bytes());
  receive_or_pause();
  finish_when_replied();
}

// Whether every command was started that will be.
bool PipelinedConnection::is_input_complete() const {
  if (command_waits_) return false;
  const bool refused = received_since_stop_ && !within_command();
  return input_ended_ || (stopping_ && (has_goodbye() || refused || stop_ended_));
}

void PipelinedConnection::end_input() {
  ending_ = true;
  command_waits_ = false;
  input_.clear();
}

bool PipelinedConnection::output_blocked() const {
  return wire_->queued_bytes() > connections_.options().pause_output_bytes;
}

void PipelinedConnection::receive_or_pause() {
  const bool blocked = command_waits_ && output_blocked();
  const bool over_budget = input_.bytes() >= connections_.options().max_input_bytes;
  const bool read = ending_ || !command_waits_ || (blocked && !over_budget && !stopping_);
  wire_->expect_progress(blocked && over_budget);
  if (read == reading_) return;
  reading_ = read;
  if (read) {
    wire_->resume();
  } else {
    wire_->pause();
  }
}

// ---- requests ----

void PipelinedConnection::submit_proposal(uint64_t number, GroupId group, mem::Buffer payload,
                                          Instant deadline, bool in_order) {
  ++in_flight_;
  connections_.service().propose({.group = group,
                                  .payload = std::move(payload),
                                  .deadline = deadline,
                                  .completion = this,
                                  .token = number,
                                  .connection = in_order ? id() : 0});
}

void PipelinedConnection::submit_query(uint64_t number, GroupId group, mem::Buffer payload,
                                       Instant deadline) {
  ++in_flight_;
  count_read();
  connections_.service().query({.group = group,
                                .payload = std::move(payload),
                                .deadline = deadline,
                                .completion = this,
                                .token = number});
}

void PipelinedConnection::count_outcome(bool read, const port::Outcome& outcome) {
  --in_flight_;
  if (read) reads_.end(outcome.body.size());
}

bool PipelinedConnection::exceeds_output(size_t held_bytes, size_t times) const {
  const Options& options = connections_.options();
  return wire_ != nullptr && wire_->queued_bytes() + held_bytes >
                                 options.pause_output_bytes + times * options.read_ahead_bytes;
}

void PipelinedConnection::repeat_later(uint64_t number) {
  repeats_.insert(std::ranges::upper_bound(repeats_, number), number);
}

void PipelinedConnection::repeat_reads() {
  while (!repeats_.empty() && may_read() && !output_blocked()) {
    const uint64_t number = repeats_.front();
    repeats_.pop_front();
    send_query(number);
  }
}

void PipelinedConnection::continue_after_reply() {
  if (command_waits_ || !repeats_.empty() || ending_) connections_.schedule(*this);
}

// ---- the end ----

void PipelinedConnection::end_with(const Error& error) {
  connections_.client_log().warning("{}: {}, closing", wire_->peer(), error.to_string());
  send_error(error);
  end_input();
  receive_or_pause();
  finish_when_replied();
}

void PipelinedConnection::finish_when_replied() {
  if (!ending_ || !all_replied() || finishing_) return;
  finishing_ = true;
  send_goodbye();
  wire_->finish({BOP_E_STOPPED, "closed after the last reply"});
}

}  // namespace bop::serve

// A Redis client's connection.
//
//   bytes ─► parser ─► command ─► slot opened ─┬─► propose or query ─► outcome ─► slot ─► reply
//                         │                    ├─ held until the earlier commands on     in order
//                         │                    │  its keys are answered (key_order.h)    of slots
//                         │                    ├─ joined to the write before it
//                         │                    └─ answered at once
//                         └─ waits when the slots are full, when too many replies are unsent, and
//                            when it reads all keys and a write is in flight, or the reverse
//
// Replies leave in the order of the commands, and a client sees its own commands take effect in that
// order.
//
// A read of keys that unanswered commands of this connection write does not wait for them:
//
// - It is *joined* to the latest write of its keys if that is one command, leaves a value that is known if it
//   succeeds (SET without a condition, MSET, DEL, ...), and had no effect yet when the read was received. The read
//   takes effect right after the write: that moment lies between the read's invocation and its reply, and nothing
//   comes between the two. It costs no round of its own.
// - Otherwise it is *logged*: proposed, as a command that changes nothing, behind the writes. So it takes effect
//   between the writes before it and those after it, in the same round as they do.
//
// If the write, or the log, fails, the read is sent to the machine as any other, unless a later command of this
// connection changes the key; then it fails with the same error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bop/kv.h"
#include "node/service.h"
#include "proto/kv.h"
#include "proto/resp.h"
#include "serve/key_order.h"
#include "serve/pipelined_connection.h"
#include "serve/resp_commands.h"
#include "serve/resp_replies.h"

namespace bop::serve {

class RespConnection final : public PipelinedConnection {
 public:
  RespConnection(uint64_t id, ClientConnections& connections, Wire& wire);

  // The reply to a connection beyond the limit, as Redis words it.
  static std::string refusal() { return "-ERR max number of clients reached\r\n"; }

 private:
  using Arguments = std::span<const Bytes>;

  // What a command does to the data. Commands about the connection and the server do neither.
  struct Access {
    bool reads = false;
    bool writes = false;         // or is proposed as a write is: a logged read does both
    bool every_key = false;      // SCAN, DBSIZE
    uint64_t key = 0;            // the hash of its key, when it has one
    std::vector<uint64_t> keys;  // the hashes, each once, when it has several

    bool changes_keys() const { return writes && !reads; }
    bool is_logged_read() const { return writes && reads; }
    std::span<const uint64_t> hashes() const {
      return keys.empty() ? std::span(&key, 1) : std::span(keys);
    }
  };

  struct Slot {
    PendingReply reply;
    Access access;
    Instant started = 0;
    bool done = false;
    bool held = false;    // until earlier commands on its keys are answered
    bool joined = false;  // a read that is answered with the write before it
    bool sets = false;    // a write that leaves known values if it succeeds: `request` has them
    // The question of a read, which may have to be sent again; the command of a write until it is sent, and of one
    // that sets until it is answered.
    mem::Buffer request;
    uint64_t arrived = 0;           // buffers that had been received when the write was dispatched
    uint64_t turn = 0;              // in which it was
    std::vector<uint64_t> readers;  // joined to this write
    std::vector<mem::Buffer>
        parts;  // the reply, once done; of a joined read, if its write succeeds
  };

  // ---- flow: resp_connection.cpp ----
  void receive(mem::Buffer received) override;
  bool start_commands() override;
  void start_held() override;
  void forget_held() override { ready_.clear(); }
  void send_query(uint64_t number) override;
  bool all_replied() const override { return head_ == tail_; }
  size_t held_input_bytes() const override {
    return parser_.unfinished_bytes() + held_request_bytes_;
  }
  size_t held_output_bytes() const override { return held_reply_bytes_; }
  bool within_command() const override { return parser_.unfinished_bytes() > 0; }
  void send_error(const Error& error) override { this->error(error); }
  bool has_goodbye() const override { return false; }
  void complete(uint64_t number, const port::Outcome& outcome) override;

  bool parse_command();
  bool may_start_command() const;
  bool dispatch(Arguments arguments);  // false: it has to wait
  bool admit(const RespCommand& command, Arguments arguments);

  Slot& slot(uint64_t number) { return slots_[number & (slots_.size() - 1)]; }
  const Slot& slot(uint64_t number) const { return slots_[number & (slots_.size() - 1)]; }
  void grow_slots();
  uint64_t open_slot(PendingReply reply);
  bool find_group();
  void propose(PendingReply reply, std::span<const proto::KvOperation> operations);
  void query(PendingReply reply, mem::Buffer question);
  void start_or_hold(uint64_t number);
  void hold(Slot& slot);
  bool enter(uint64_t number);
  void order_open_commands(uint64_t entering);
  void leave(uint64_t number);
  void send_proposal(uint64_t number);

  void read_keys(Arguments keys, PendingReply::Kind kind, mem::Buffer question);
  bool is_being_written() const;
  uint64_t write_to_join() const;
  bool join(Arguments keys, PendingReply::Kind kind, const mem::Buffer& question);
  void complete_joined(std::span<const uint64_t> readers, const port::Outcome& write);
  void complete_joined(uint64_t number, const port::Outcome& write);
  void complete_logged(uint64_t number, const port::Outcome& outcome, Instant now);
  void read_after_failure(uint64_t number, const port::Outcome& failure);
  bool written_after(uint64_t number) const;

  template <class Write>
  void reply(Write write);
  template <class Write>
  void complete(uint64_t number, int version, Write write);
  void append(std::span<const mem::Buffer> parts);
  void send_ready();
  void error(std::string_view text);
  void error(const Error& error);

  // ---- data: resp_data.cpp ----
  void run_data(Verb verb, Arguments arguments);
  void set(Arguments arguments);
  void refuse_expiry(std::string_view unit, std::string_view time);
  void set_always(Arguments arguments, PendingReply::Kind kind, uint8_t flags);
  void mset(Arguments arguments);
  void add(Bytes key, int64_t delta);
  void add_by(Arguments arguments, bool negative);
  void append_value(Arguments arguments);
  void del(Arguments arguments);
  void get_keys(Arguments keys, PendingReply::Kind kind, uint16_t flags);
  void scan(Arguments arguments);
  bool check_keys(Arguments keys);
  bool check_value(Bytes value);
  void propose_all(PendingReply reply, size_t wanted);  // connections_.operations()

  // ---- the connection and the server: resp_server.cpp ----
  void run_server(Verb verb, const RespCommand& command, Arguments arguments);
  void unknown_command(Arguments arguments);
  bool refuse_in_transaction(Arguments arguments);
  void help(const RespCommand& command, Arguments arguments,
            std::initializer_list<std::string_view> lines);
  void unknown_subcommand(const RespCommand& command, Bytes subcommand);
  void hello(Arguments arguments);
  void auth(Arguments arguments);
  void client(const RespCommand& command, Arguments arguments);
  void client_set_info(Arguments arguments);
  bool check_name(Bytes name);
  void command_command(const RespCommand& command, Arguments arguments);
  void command_list(Arguments filter);
  void command_getkeys(Arguments words);
  void command_docs(Arguments names);
  void command_info(Arguments names);
  void config(const RespCommand& command, Arguments arguments);
  void info(Arguments arguments);
  void select(Bytes database);
  void quit();
  void reset();
  void close_as_foreign();
  std::string client_line() const;

  static constexpr size_t max_name_bytes = 256;

  proto::RespParser parser_;
  uint64_t arrived_ = 0;  // buffers received, ever
  uint64_t parsed_ = 0;   // given to the parser, of these
  Access access_;         // of the command that is being dispatched
  GroupId group_ = 0;

  std::vector<Slot>
      slots_;  // a ring whose size is a power of two; numbers head_ to tail_ - 1 are taken
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  size_t held_reply_bytes_ = 0;    // of replies that wait in their slots for one before them
  size_t held_request_bytes_ = 0;  // of commands that are held

  // Unanswered, sent or held.
  uint32_t open_writes_ = 0;  // logged reads among them
  uint32_t open_reads_ = 0;   // of keys
  uint32_t open_scans_ = 0;   // of every key
  // Of these, but only while there are reads as well as writes: most connections never need it.
  KeyOrder order_;
  bool ordering_ = false;
  std::vector<uint64_t> ready_;  // were held and may start

  int version_ = 2;
  bool refused_multi_ = false;  // no command runs until EXEC, DISCARD, RESET or QUIT
  std::string name_, library_name_, library_version_;
  Instant connected_at_ = 0;
  Instant active_at_ = 0;
};

// Replies to the command that is being dispatched, at once or after those before it.
template <class Write>
void RespConnection::reply(Write write) {
  complete(open_slot({}), version_, write);
}

// Writes the reply of a slot: to the wire when it is the first, else into the slot.
template <class Write>
void RespConnection::complete(uint64_t number, int version, Write write) {
  Slot& completed = slot(number);
  completed.done = true;
  if (wire_ != nullptr) {
    proto::PartWriter& scratch = connections_.scratch();
    scratch.begin();
    proto::RespWriter out(scratch, version);
    write(out);
    const auto parts = scratch.finish();
    if (number == head_) {
      append(parts);
    } else {
      completed.parts.assign(parts.begin(), parts.end());
      held_reply_bytes_ += scratch.size();
    }
  }
  if (number == head_) send_ready();
}

}  // namespace bop::serve

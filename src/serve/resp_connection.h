// A Redis client's connection.
//
//   bytes ─► parser ─► command ─► slot opened ─┬─► propose or query ─► answer ─► slot ─► reply
//                         │                    ├─ held until the earlier commands on    in order
//                         │                    │  its keys are answered (key_order.h)   of slots
//                         │                    ├─ joined to the write before it
//                         │                    └─ answered at once
//                         └─ waits when the slots are full, when too many replies are unsent, and
//                            when it reads all keys and a write is under way, or the reverse
//
// Replies leave in the order of the commands, and a client sees its own commands take effect in that
// order.
//
// A read is *joined* to the latest write of its key when that write is unanswered, leaves a value that is
// known if it succeeds (SET without a condition, MSET, DEL, ...), and nothing of it had happened when the
// read was received. The read takes effect right after the write: that moment lies between the read's
// invocation and its reply, and nothing comes between the two. It costs no round of its own, and does not
// depend on who leads then: only the write does. If the write fails, the read is asked of the machine,
// unless a later command of this connection changes the key; then it fails with the write's error.
//
// While a client does not take its replies no command begins, but its commands are still received, up
// to `max_input_bytes`: many clients write a whole pipeline before they read. One that then neither
// reads nor stops writing is told so and disconnected.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bop/kv.h"
#include "node/service.h"
#include "proto/kv.h"
#include "proto/resp.h"
#include "serve/client_connections.h"
#include "serve/key_order.h"
#include "serve/read_window.h"
#include "serve/resp_commands.h"
#include "serve/resp_replies.h"
#include "serve/wire.h"

namespace bop::serve {

class RespConnection final : public ClientConnection, private port::Completion {
 public:
  RespConnection(uint64_t id, ClientConnections& connections, Wire& wire);

  // What a connection beyond the limit is told, in Redis's words.
  static std::string refusal() { return "-ERR max number of clients reached\r\n"; }

  void on_bytes(mem::Buffer received) override;
  bool on_end() override;
  void on_drained() override;
  void on_stalled() override;
  void on_closed() override;
  void stop() override;
  void go_on() override;
  bool finished() const override { return wire_ == nullptr && unanswered_ == 0; }

 private:
  using Arguments = std::span<const Bytes>;

  // What a command does to the data. Commands about the connection and the server do neither.
  struct Access {
    bool reads = false;
    bool writes = false;
    bool every_key = false;      // SCAN, DBSIZE
    uint64_t key = 0;            // the hash of its key, when it has one
    std::vector<uint64_t> keys;  // the hashes, each once, when it has several

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
    mem::Buffer
        request;  // of a read, which may have to be asked again; of a write that may be joined
    bool sets =
        false;  // a write that leaves known values behind if it succeeds: `request` has them
    uint64_t arrived = 0;           // buffers that had been received when the write was dispatched
    uint64_t turn = 0;              // in which it was
    std::vector<uint64_t> readers;  // joined to this write
    std::vector<mem::Buffer>
        parts;  // the reply, once done; of a joined read, if its write succeeds
  };

  void complete(uint64_t token, const port::Outcome& answer) override;

  // ---- flow: resp_connection.cpp ----
  void pump();
  void end_input();
  bool dispatch(Arguments arguments);  // false: it has to wait
  bool has_room() const;
  bool output_blocked() const;
  bool too_much(uint64_t number, const port::Outcome& answer) const;
  bool admit(const RespCommand& command, Arguments arguments);
  void receive_on_or_pause();
  void tell_held();
  void finish_when_replied();

  Slot& slot(uint64_t number) { return slots_[number % slots_.size()]; }
  const Slot& slot(uint64_t number) const { return slots_[number % slots_.size()]; }
  void grow_slots();
  uint64_t open_slot(PendingReply reply);
  bool find_group();
  void propose(PendingReply reply, std::span<const proto::KvOperation> operations);
  void query(PendingReply reply, mem::Buffer question);
  void start_or_hold(uint64_t number);
  bool enter(uint64_t number);
  void order_open_commands(uint64_t entering);
  void leave(uint64_t number);
  void start_ready();
  void send_proposal(uint64_t number);
  void ask(uint64_t number);
  void ask_later(uint64_t number);
  void ask_again();
  bool join(Arguments keys, PendingReply::Kind kind, const mem::Buffer& question);
  uint64_t write_to_join() const;
  void settle_joined(std::span<const uint64_t> readers, const port::Outcome& answer);
  void settle_joined(uint64_t number, const port::Outcome& answer);
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

  ClientConnections& connections_;
  Wire* wire_;  // nullptr: closed
  proto::RespParser parser_;
  std::deque<mem::Buffer> waiting_;  // received and not parsed
  size_t waiting_bytes_ = 0;
  uint64_t arrived_ = 0;        // buffers received, ever
  uint64_t parsed_ = 0;         // given to the parser, of these
  bool command_waits_ = false;  // the parser's, in its arguments
  bool stopping_ = false;       // the node is: what was received is the last
  bool reading_ = true;
  bool input_ended_ = false;  // the client sends no more
  bool ending_ = false;       // no further command: close when all are replied
  bool finishing_ = false;    // and all were
  Access access_;             // of the command that is being dispatched
  GroupId group_ = 0;

  std::vector<Slot> slots_;  // a ring; numbers head_ to tail_ - 1 are taken
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  uint32_t unanswered_ = 0;
  size_t held_bytes_ = 0;          // of replies that wait in their slots for one before them
  size_t held_request_bytes_ = 0;  // of commands that are held
  std::deque<uint64_t> again_;  // reads to be asked when there is room for their replies, by number
  ReadWindow reads_;

  // Unanswered, started or not.
  uint32_t open_writes_ = 0;
  uint32_t open_reads_ = 0;  // of keys
  uint32_t open_scans_ = 0;  // of every key
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

// Answers the command that is being dispatched, at once or after those before it.
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
      held_bytes_ += scratch.size();
    }
  }
  if (number == head_) send_ready();
}

}  // namespace bop::serve

// A Redis client's connection.
//
//   bytes ─► parser ─► command ─► slot opened ─► propose or query ─► answer ─► slot ─► reply
//                         │            (or answered at once)                    in order of slots
//                         └─ waits when the slots are full, when too many replies are unsent, or
//                            when it and a request under way meet on a key and one of them writes
//
// Replies leave in the order of the commands. Requests of one connection run together, except those
// that wait as above: so a client sees its own commands take effect in their order.
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
  void on_closed() override;
  void stop() override;
  void go_on() override;
  bool finished() const override { return wire_ == nullptr && unanswered_ == 0; }

 private:
  using Arguments = std::span<const Bytes>;

  // How a command meets those under way.
  struct Access {
    bool reads = false;
    bool writes = false;
    bool every_key = false;  // more keys than one
    uint32_t key_hash = 0;
  };

  struct Slot {
    PendingReply reply;
    Access access;
    Instant started = 0;
    bool done = false;
    mem::Buffer question;            // of a read, which may have to be asked again
    std::vector<mem::Buffer> parts;  // the reply, once done
  };

  void complete(uint64_t token, const port::Outcome& answer) override;

  // ---- flow: resp_connection.cpp ----
  void pump();
  bool dispatch(Arguments arguments);  // false: it has to wait
  bool has_room() const;
  bool too_much(uint64_t number, const port::Outcome& answer) const;
  void ask(uint64_t number);
  void ask_again();
  bool admit(const RespCommand& command, Arguments arguments);
  bool conflicts(const Access& access) const;
  void update_reading();
  void finish_when_replied();

  Slot& slot(uint64_t number) { return slots_[number % slots_.size()]; }
  const Slot& slot(uint64_t number) const { return slots_[number % slots_.size()]; }
  void grow_slots();
  uint64_t open_slot(PendingReply reply);
  void propose(PendingReply reply, mem::Buffer command);
  void propose(PendingReply reply, const proto::KvOperation& operation);
  void query(PendingReply reply, mem::Buffer question);
  bool find_group();
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
  void propose_all(PendingReply reply, size_t wanted);

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
  std::deque<mem::Buffer> waiting_;  // received while a command waits; reading is paused then
  bool command_waits_ = false;       // the parser's, in its arguments
  bool stopping_ = false;            // the node is: what was received is the last
  bool reading_ = true;
  bool ending_ = false;     // no further command: close when all are replied
  bool finishing_ = false;  // and all were
  Access access_;           // of the command that is being dispatched
  GroupId group_ = 0;

  std::vector<Slot> slots_;  // a ring; numbers head_ to tail_ - 1 are taken
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  uint32_t unanswered_ = 0;
  size_t held_bytes_ = 0;       // of replies that wait in their slots for one before them
  std::deque<uint64_t> again_;  // reads whose replies came when there was no room for them
  ReadWindow reads_;
  uint32_t writes_ = 0;  // under way

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

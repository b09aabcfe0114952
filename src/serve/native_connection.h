// A native client's connection (proto/client.h): many requests in progress, answered in the order of completion.
//
//   greeting ──hello──► serving ──invalid frame, or end of input──► ending
//
// A client that needs an order waits for the reply before it sends the next request: here no request waits for
// another.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "node/service.h"
#include "proto/client.h"
#include "serve/client_connections.h"
#include "serve/read_window.h"
#include "serve/wire.h"

namespace bop::serve {

class NativeConnection final : public ClientConnection, private port::Completion {
 public:
  NativeConnection(uint64_t id, ClientConnections& connections, Wire& wire);

  // The goodbye frame for a connection that is refused.
  static std::string refusal(const Error& error);

  void on_bytes(mem::Buffer received) override;
  bool on_end() override;
  void on_drained() override;
  void on_stalled() override;
  void on_closed() override;
  void stop() override;
  void go_on() override;
  bool finished() const override { return wire_ == nullptr && unanswered_ == 0; }

 private:
  struct UnderWay {
    uint64_t correlation = 0;
    Instant started = 0;
    bool read = false;
    // Of a read, which may have to be repeated.
    GroupId group = 0;
    Instant deadline = 0;
    mem::Buffer question;
  };

  void complete(uint64_t token, const port::Outcome& answer) override;

  void pump();
  void end_input();
  bool has_room() const;
  bool too_much(const port::Outcome& answer) const;
  void ask(uint32_t place);
  void ask_again();
  bool dispatch(const mem::Buffer& frame);  // false: the request has to wait
  void greet(const proto::ClientHello& hello);
  bool serve(proto::ClientRequest& request);
  bool submit(proto::ClientRequest& request);
  void status(uint64_t correlation);
  void find_group(const proto::ClientRequest& request);
  uint32_t take_place(uint64_t correlation);
  UnderWay give_place(uint64_t token);
  template <class Frame>
  void send(const Frame& frame);
  void reply(const proto::ClientReply& reply, Bytes body);
  void fail(const Error& error);
  bool output_blocked() const;
  void receive_on_or_pause();
  void finish_when_replied();

  ClientConnections& connections_;
  Wire* wire_;  // nullptr: closed
  proto::FrameSplitter splitter_{proto::client_format};
  std::vector<mem::Buffer> cut_;     // by the splitter, of one call
  std::deque<mem::Buffer> waiting_;  // whole frames
  size_t waiting_bytes_ = 0;
  bool greeted_ = false;
  bool reading_ = true;
  bool stopping_ = false;     // the node is: what was received is the last
  bool input_ended_ = false;  // the client sends no more
  bool ending_ = false;
  bool finishing_ = false;
  Error goodbye_{BOP_OK, {}};  // the reason, if this side closes

  std::vector<UnderWay> places_;  // a request's token is its place
  std::vector<uint32_t> free_places_;
  std::deque<uint32_t> again_;  // reads to repeat when there is space for their replies
  uint32_t unanswered_ = 0;
  ReadWindow reads_;
};

}  // namespace bop::serve

// A native client's connection (proto/client.h): many requests in progress, answered in the order of completion.
//
//   greeting ──hello──► serving ──invalid frame, or end of input──► ending
//      │ hello_limit                                                    ▲
//      └────────────────────────────────────────────────────────────────┘
//
// A client that needs an order waits for the reply before it sends the next request: here no request waits for
// another.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/client.h"
#include "serve/pipelined_connection.h"

namespace bop::serve {

// A client that has sent no whole hello yet is disconnected after so long, or when it has sent so many bytes of it.
inline constexpr Duration hello_limit = 10 * seconds;
inline constexpr size_t max_hello_bytes = 1024;  // in every version of the protocol

class NativeConnection final : public PipelinedConnection {
 public:
  NativeConnection(uint64_t id, ClientConnections& connections, Wire& wire);

  // The goodbye frame for a connection that is refused.
  static std::string refusal(const Error& error);

 private:
  // A request that was sent to the node; its number is its place in `open_`.
  struct OpenRequest {
    uint64_t correlation = 0;
    Instant started = 0;
    bool read = false;
    // Of a read, which may have to be repeated.
    GroupId group = 0;
    Instant deadline = 0;
    mem::Buffer question;
  };

  void receive(mem::Buffer received) override;
  bool start_commands() override;
  void send_query(uint64_t number) override;
  bool all_replied() const override { return unreplied_ == 0; }
  void send_error(const Error& error) override { goodbye_ = error; }
  size_t held_input_bytes() const override { return splitter_.pending_bytes(); }
  bool has_goodbye() const override { return true; }
  void send_goodbye() override;
  void complete(uint64_t number, const port::Outcome& outcome) override;

  bool dispatch(const mem::Buffer& frame);  // false: the request has to wait
  void greet(const proto::ClientHello& hello);
  void on_hello_limit();
  bool serve(proto::ClientRequest& request);
  void submit(proto::ClientRequest& request);
  void status(uint64_t correlation);
  void find_group(const proto::ClientRequest& request);
  void snapshots(const proto::ClientRequest& request);
  uint32_t open_request(uint64_t correlation);
  OpenRequest close_request(uint64_t number);
  template <class Frame>
  void send(const Frame& frame);
  void reply(const proto::ClientReply& reply, Bytes body);

  proto::FrameSplitter splitter_{proto::client_format};
  std::vector<mem::Buffer> frames_;      // scratch space of one call
  std::optional<Error> splitter_error_;  // final: nothing more is received
  std::optional<Error> goodbye_;         // the reason, if this side closes
  bool greeted_ = false;
  std::unique_ptr<port::Timer> hello_timer_;  // until then

  std::vector<OpenRequest> open_;
  std::vector<uint32_t> free_;  // places in open_
  uint32_t unreplied_ = 0;      // requests
};

}  // namespace bop::serve

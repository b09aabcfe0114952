// A server of the native protocol that answers as a test says, on a thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "io/loop.h"
#include "net/acceptor.h"
#include "proto/client.h"

namespace bop::client {

class FakeServer {
 public:
  // What to do with a request.
  struct Reaction {
    enum class Kind { reply, silence, close, stop } kind = Kind::reply;
    int32_t status = BOP_OK;
    std::string body = {};
    std::string detail = {};
    std::string leader_address = {};
    NodeId leader = 0;
  };
  using Script = std::function<Reaction(const proto::ClientRequest&)>;

  // port 0: a free one. `greets` false: connections are accepted and never answered.
  explicit FakeServer(Script script, uint16_t port = 0, bool greets = true)
      : script_(std::move(script)), greets_(greets) {
    net::ListenOptions options;
    options.address = {"127.0.0.1", port, {}};
    auto listening = net::Acceptor::listen(
        loop_, options, {{&streams_, [this](auto connection) { accept(std::move(connection)); }}});
    if (!listening) throw std::runtime_error(listening.error().to_string());
    acceptor_ = std::move(*listening);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~FakeServer() {
    loop_.post([this] {
      acceptor_.reset();
      sessions_.clear();
      loop_.stop();
    });
    thread_.join();
  }

  net::Address address() const { return acceptor_->address(); }
  std::string text() const { return address().to_string(); }

  proto::ClusterId cluster{1, 2, 3};
  std::atomic<int> requests = 0;
  std::atomic<int> connections = 0;

 private:
  struct Session final : net::StreamHandler {
    Session(FakeServer& owner, std::unique_ptr<net::Connection> taken)
        : server(owner), connection(std::move(taken)) {}

    net::Consumed on_bytes(const mem::Buffer& bytes) override {
      std::vector<mem::Buffer> frames;
      if (!splitter.push(bytes, frames)) connection->close();
      for (const mem::Buffer& frame : frames) server.take(*this, frame);
      return {bytes.size(), 0};
    }
    void on_closed(const Error&) override {}

    FakeServer& server;
    std::unique_ptr<net::Connection> connection;
    proto::FrameSplitter splitter{proto::client_format};
  };

  void accept(std::unique_ptr<net::Connection> connection) {
    ++connections;
    sessions_.push_back(std::make_unique<Session>(*this, std::move(connection)));
    sessions_.back()->connection->start(*sessions_.back());
  }

  void take(Session& session, const mem::Buffer& frame) {
    if (!greets_) return;
    const auto decoded = proto::decode_client_frame(frame);
    if (!decoded) return session.connection->close();
    writer_.begin();
    if (std::holds_alternative<proto::ClientHello>(*decoded)) {
      proto::ClientHelloAck ack;
      ack.cluster = cluster;
      ack.node = 1;
      ack.max_in_flight = 1024;
      encode(ack, writer_);
    } else if (const auto* request = std::get_if<proto::ClientRequest>(&*decoded)) {
      if (!answer(session, *request)) return;
    }
    for (const mem::Buffer& part : writer_.finish()) session.connection->append(part);
  }

  bool answer(Session& session, const proto::ClientRequest& request) {
    ++requests;
    const Reaction reaction = script_(request);
    if (reaction.kind == Reaction::Kind::close) session.connection->close();
    if (reaction.kind == Reaction::Kind::stop) {
      encode(proto::ClientGoodbye{BOP_E_STOPPED, "this node is stopping"}, writer_);
      for (const mem::Buffer& part : writer_.finish()) session.connection->append(part);
      session.connection->finish();
    }
    if (reaction.kind != Reaction::Kind::reply) return false;
    proto::ClientReply reply;
    reply.correlation = request.correlation;
    reply.status = reaction.status;
    reply.index = 7;
    reply.leader = reaction.leader;
    reply.leader_address = reaction.leader_address;
    reply.detail = reaction.detail;
    encode(reply, as_bytes(reaction.body), writer_);
    return true;
  }

  const Script script_;
  const bool greets_;
  io::Loop loop_;
  net::Streams streams_{loop_};
  proto::PartWriter writer_;
  std::unique_ptr<net::Acceptor> acceptor_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::thread thread_;
};

}  // namespace bop::client

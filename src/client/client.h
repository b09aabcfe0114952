// Client: requests from any thread, answers on its own. bop/client.h in C++.
//
//   submit ──► mailbox ──► Core on the client's thread ──► Channel ──► socket
//   (any thread)           which endpoint, how often,      (one a connection)
//                          until when
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "net/address.h"
#include "proto/client.h"

namespace bop::client {

struct Options {
  std::vector<net::Address> endpoints;  // at least one
  uint32_t connections = 1;             // to the endpoint in use
  uint32_t max_in_flight = 65536;
  Duration connect_timeout = 1 * seconds;
  proto::ClusterId cluster{};  // all zero: any
  std::string name = "bop";    // sent to servers, for people
};

struct Request {
  proto::RequestKind kind = proto::RequestKind::query;
  GroupId group = 0;            // 0: the one that group_name names
  std::string_view group_name;  // copied
  Bytes payload;                // copied
  Duration timeout = 5 * seconds;
  uint64_t tag = 0;
  uint32_t connection = 0;  // status: which endpoint
};

struct Outcome {
  uint64_t tag = 0;
  int32_t status = 0;
  uint32_t attempts = 0;
  Index index = 0;
  NodeId leader = 0;
  Bytes body;               // valid during the call
  std::string_view detail;  // valid during the call
};

class Listener {
 public:
  virtual ~Listener() = default;
  // On the client's thread, once a request. May submit.
  virtual void complete(const Outcome& outcome) = 0;
};

class Core;
struct Submission;

class Client {
 public:
  // The listener must outlive the client.
  static Result<std::unique_ptr<Client>> open(Options options, Listener& listener);
  // Completes what is under way and joins the thread. Not on the client's own thread.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // INVALID_ARGUMENT, TOO_LARGE, OVERLOADED, STOPPED; then it is not completed. Any thread.
  Status submit(const Request& request);

  // "127.0.0.1:7100: connection refused; 127.0.0.1:7110: ok". Any thread.
  std::string causes();

 private:
  struct Runtime;  // the loop and what lives on it

  Client(const Options& options, Listener& listener);
  bool on_own_thread() const { return std::this_thread::get_id() == thread_.get_id(); }
  std::unexpected<Error> refuse(bop_status status, const char* why = "");
  void take_mail();

  const uint32_t max_in_flight_;
  const size_t endpoint_count_;
  std::unique_ptr<Runtime> runtime_;
  std::atomic<uint32_t> in_flight_ = 0;

  std::atomic<bool> closed_ = false;  // set under the mutex
  std::mutex mutex_;                  // of the mailbox
  std::vector<Submission> mailbox_;

  std::vector<Submission> taken_;  // the client's thread's
  std::thread thread_;
};

}  // namespace bop::client

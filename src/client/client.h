// Client: bop/client.h in C++. Requests come from any thread, and complete on the client's own thread.
//
//   submit ──► mailbox ──► Core on the client's thread ──► Channel ──► socket
//   (any thread)           chooses endpoints, retries,     (one for each connection)
//                          enforces deadlines
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "io/thread.h"
#include "net/address.h"
#include "proto/client.h"

namespace bop::client {

struct Options {
  std::vector<net::Address> endpoints;  // at least one
  uint32_t connections = 1;             // to the endpoint in use
  uint32_t max_in_flight = 65536;       // requests; one more is OVERLOADED
  Duration connect_timeout = 1 * seconds;
  proto::ClusterId cluster{};  // that the endpoints must belong to; all zero: any
  std::string name = "bop";    // of the program, sent to servers
};

struct Request {
  proto::RequestKind kind = proto::RequestKind::query;
  GroupId group = 0;            // 0: the group with the name group_name
  std::string_view group_name;  // copied
  Bytes payload;                // copied
  Duration timeout = 5 * seconds;
  uint64_t tag = 0;  // returned in the outcome
  // Requests with equal numbers share a connection; status and snapshot: the endpoint.
  uint32_t connection = 0;
};

struct Outcome {
  uint64_t tag = 0;         // of the request
  int32_t status = 0;       // a bop_status
  uint32_t attempts = 0;    // how often the request was sent
  Index index = 0;          // of a command's entry; 0: unknown
  NodeId leader = 0;        // of the group; 0: unknown
  Bytes body;               // valid during the call
  std::string_view detail;  // valid during the call
};

class Listener {
 public:
  virtual ~Listener() = default;
  // Called on the client's thread, once for each request. May submit further ones.
  virtual void complete(const Outcome& outcome) = 0;
};

class Core;
struct Submission;

class Client {
 public:
  // The listener must outlive the client.
  static Result<std::unique_ptr<Client>> open(Options options, Listener& listener);
  // Completes the requests in flight and joins the thread. Not on the client's own thread.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // On an error (INVALID_ARGUMENT, TOO_LARGE, OVERLOADED, STOPPED) the request does not complete. Any thread.
  Status submit(const Request& request);

  // "127.0.0.1:7100: connection refused; 127.0.0.1:7110: ok". Any thread.
  std::string causes();

 private:
  struct Runtime;  // the loop, and the objects that are used on it

  Client(const Options& options, Listener& listener);
  bool on_own_thread() const { return thread_.is_current(); }
  std::unexpected<Error> refuse(bop_status status, const char* why = "");
  void take_mail();

  const uint32_t max_in_flight_;
  const size_t endpoint_count_;
  std::unique_ptr<Runtime> runtime_;
  std::atomic<uint32_t> in_flight_ = 0;

  std::atomic<bool> closed_ = false;  // set under the mutex
  std::mutex mutex_;                  // guards mailbox_
  std::vector<Submission> mailbox_;

  std::vector<Submission> taken_;  // used on the client's thread
  io::Thread thread_;
};

}  // namespace bop::client

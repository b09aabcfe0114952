#include "client/client.h"

#include <future>

#include "base/assert.h"
#include "client/core.h"
#include "io/loop.h"
#include "io/thread.h"

namespace bop::client {
namespace {

// Counts completed requests, and passes them to the user's listener.
class CountingListener final : public Listener {
 public:
  CountingListener(Listener& listener, std::atomic<uint32_t>& in_flight)
      : listener_(listener), in_flight_(in_flight) {}

  void complete(const Outcome& outcome) override {
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    listener_.complete(outcome);
  }

 private:
  Listener& listener_;
  std::atomic<uint32_t>& in_flight_;
};

}  // namespace

struct Client::Runtime {
  Runtime(const Options& options, Listener& listener, std::atomic<uint32_t>& in_flight)
      : counting(listener, in_flight), transport(loop), core(options, counting, transport) {}

  CountingListener counting;
  io::Loop loop;
  NetTransport transport;
  Core core;
};

Client::Client(const Options& options, Listener& listener)
    : max_in_flight_(options.max_in_flight),
      endpoint_count_(options.endpoints.size()),
      runtime_(std::make_unique<Runtime>(options, listener, in_flight_)) {}

Result<std::unique_ptr<Client>> Client::open(Options options, Listener& listener) {
  if (options.endpoints.empty() || options.endpoints.size() > 64) {
    return fail(BOP_E_INVALID_ARGUMENT, "the number of endpoints must be 1 to 64");
  }
  if (options.connections < 1 || options.connections > 4096) {
    return fail(BOP_E_INVALID_ARGUMENT, "connections must be 1 to 4096");
  }
  std::unique_ptr<Client> client(new Client(options, listener));
  BOP_TRY_ASSIGN(
      client->thread_,
      io::start_thread("bop-client", [runtime = client->runtime_.get()] { runtime->loop.run(); }));
  return client;
}

Client::~Client() {
  BOP_ASSERT(!on_own_thread());
  if (!thread_.joinable()) return;  // it could not be started
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  runtime_->loop.post([this] {
    take_mail();
    runtime_->core.stop();
    runtime_->loop.stop();
  });
  thread_.join();
}

std::unexpected<Error> Client::refuse(bop_status status, const char* why) {
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  return fail(status, why);
}

Status Client::submit(const Request& request) {
  if (request.timeout <= 0) return fail(BOP_E_INVALID_ARGUMENT, "the timeout must be more than 0");
  if (request.payload.size() > proto::max_client_frame_bytes - 1024) {
    return fail(BOP_E_TOO_LARGE, "the payload of a request must be smaller than 8 MiB");
  }
  const bool of_one_endpoint =
      request.kind == proto::RequestKind::status || request.kind == proto::RequestKind::snapshot;
  if (of_one_endpoint && request.connection >= endpoint_count_) {
    return fail(BOP_E_INVALID_ARGUMENT, "there is no endpoint with that number");
  }
  if (!of_one_endpoint && request.group == 0 && request.group_name.empty()) {
    return fail(BOP_E_INVALID_ARGUMENT, "a request must name its group");
  }
  if (in_flight_.fetch_add(1, std::memory_order_relaxed) >= max_in_flight_) {
    return refuse(BOP_E_OVERLOADED, "too many requests in flight");
  }

  Call call;
  call.tag = request.tag;
  call.kind = request.kind;
  call.group = request.group;
  if (!of_one_endpoint && request.group == 0) call.group_name = request.group_name;
  call.payload = mem::Buffer::copy(request.payload);
  call.connection = request.connection;
  if (on_own_thread()) {
    if (closed_) return refuse(BOP_E_STOPPED);
    call.deadline = runtime_->loop.now() + request.timeout;
    runtime_->core.begin(std::move(call));
    return {};
  }
  call.deadline = io::Loop::read_clock() + request.timeout;
  bool first;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return refuse(BOP_E_STOPPED);
    first = mailbox_.empty();
    mailbox_.push_back({std::move(call)});
  }
  if (first) runtime_->loop.post([this] { take_mail(); });
  return {};
}

void Client::take_mail() {
  {
    const std::lock_guard lock(mutex_);
    taken_.swap(mailbox_);
  }
  for (Submission& submission : taken_) runtime_->core.begin(std::move(submission.call));
  taken_.clear();
}

std::string Client::causes() {
  if (on_own_thread()) return runtime_->core.causes();
  std::promise<std::string> causes;
  runtime_->loop.post([&] { causes.set_value(runtime_->core.causes()); });
  return causes.get_future().get();
}

}  // namespace bop::client

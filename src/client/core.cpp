#include "client/core.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::client {
namespace {

constexpr size_t max_group_names = 4096;

// The call was refused before it was proposed, and may succeed on another endpoint or later.
bool is_worth_another_try(int32_t status) {
  switch (status) {
    case BOP_E_NOT_LEADER:
    case BOP_E_UNAVAILABLE:
    case BOP_E_OVERLOADED:
    case BOP_E_STOPPED:
    case BOP_E_SUSPECT:
    case BOP_E_DAMAGED:
    case BOP_E_LATCHED: return true;
    default: return false;
  }
}

// The error is due to the state of the cluster, not to the request.
bool is_about_the_cluster(int32_t status) {
  return status == BOP_E_UNAVAILABLE || status == BOP_E_TIMEOUT || status == BOP_E_OUTCOME_UNKNOWN;
}

constexpr Duration check_interval = 100 * milliseconds;

// A cause for a list in which each one is preceded by its endpoint's name.
std::string cause_of(int32_t status, std::string_view detail, const std::string& endpoint) {
  if (detail.starts_with(endpoint + ": ")) detail.remove_prefix(endpoint.size() + 2);
  return detail.empty() ? bop_error_text(status) : std::string(detail);
}

// The status of a call that was refused until its deadline: that of the last refusal if it is more specific
// than UNAVAILABLE.
int32_t status_of_unsent(const Call& call) {
  switch (call.refused_as) {
    case BOP_E_OVERLOADED:
    case BOP_E_SUSPECT:
    case BOP_E_DAMAGED:
    case BOP_E_LATCHED: return call.refused_as;
    default: return BOP_E_UNAVAILABLE;
  }
}

}  // namespace

Core::Core(const Options& options, Listener& listener, Transport& transport)
    : listener_(listener),
      transport_(transport),
      connections_(options.connections),
      endpoints_(options.endpoints),
      calls_(transport.now()),
      context_{transport, *this, writer_, options.cluster, options.name, options.connect_timeout},
      timer_(transport.make_timer([this] { on_tick(); })) {}

Core::~Core() { BOP_ASSERT_EQ(calls_.count(), 0u); }

// ---- sending ----

void Core::begin(Call call) {
  call.state = Call::State::parked;
  const uint64_t correlation = calls_.add(std::move(call));
  arm();
  dispatch(correlation, *calls_.find(correlation));
}

void Core::dispatch(uint64_t correlation, Call& call) {
  BOP_ASSERT(call.channel == nullptr);
  const Instant now = transport_.now();
  if (call.group == 0 && !call.group_name.empty()) call.group = known_group(call.group_name);
  const size_t endpoint =
      call.pinned() ? call.connection : endpoints_.usable(endpoints_.route(call.group), now);
  if (endpoint == Endpoints::npos) return park(correlation, call, endpoints_.next_up(now));
  Channel& to = channel(endpoint, call.pinned() ? 0 : call.connection % connections_);
  if (to.ready()) return send(to, correlation, call);
  queue(to, correlation, call);
}

void Core::park(uint64_t correlation, Call& call, Instant until) {
  call.state = Call::State::parked;
  call.not_before = until;
  parked_.push_back(correlation);
}

void Core::queue(Channel& to, uint64_t correlation, Call& call) {
  call.state = Call::State::queued;
  call.channel = &to;
  to.queued.push_back(correlation);
  if (to.idle()) to.call();
}

void Core::send(Channel& to, uint64_t correlation, Call& call) {
  proto::ClientRequest request;
  request.correlation = correlation;
  const Duration left = std::max<Duration>(call.deadline - transport_.now(), 0);
  // The server's deadline is earlier than ours, so that its reply, which is more specific, still arrives.
  const Duration servers = left - std::min(left / 10, 100 * milliseconds);
  request.deadline_us =
      static_cast<uint32_t>(std::clamp<Duration>(servers / microseconds, 1, UINT32_MAX));
  if (call.resolving()) {
    request.kind = proto::RequestKind::find_group;
    request.payload = mem::Buffer::copy(as_bytes(call.group_name));
  } else {
    request.kind = call.kind;
    request.group = call.group;
    request.payload = call.payload;
    ++call.attempts;
  }
  call.state = Call::State::sent;
  call.channel = &to;
  to.began();
  to.send(request);
}

Channel& Core::channel(size_t endpoint, uint32_t connection) {
  if (channels_.size() <= endpoint) channels_.resize(endpoint + 1);
  auto& row = channels_[endpoint];
  if (row.size() <= connection) row.resize(connection + 1);
  std::unique_ptr<Channel>& channel = row[connection];
  if (channel == nullptr) {
    channel = std::make_unique<Channel>(context_, endpoint, endpoints_.at(endpoint).address);
  }
  return *channel;
}

GroupId Core::known_group(const std::string& name) const {
  const auto found = groups_.find(name);
  return found == groups_.end() ? 0 : found->second;
}

// ---- replies and lost connections ----

void Core::leave_channel(Call& call) {
  if (call.state == Call::State::sent) call.channel->ended();
  call.channel = nullptr;
}

void Core::on_ready(Channel& channel) {
  endpoints_.answered(channel.endpoint());
  std::vector<uint64_t> waiting;
  waiting.swap(channel.queued);
  for (const uint64_t correlation : waiting) {
    Call* call = calls_.find(correlation);
    if (call == nullptr || call->channel != &channel) continue;  // it has timed out
    send(channel, correlation, *call);
  }
}

void Core::on_reply(Channel& channel, const proto::ClientReply& reply) {
  Call* call = calls_.find(reply.correlation);
  if (call == nullptr || call->channel != &channel) return;  // it is completed already
  const size_t endpoint = channel.endpoint();
  leave_channel(*call);
  call->leader = reply.leader;
  if (!reply.leader_address.empty()) endpoints_.learn_leader(call->group, reply.leader_address);

  if (reply.status < 0 && try_again(reply.correlation, *call, reply, endpoint)) return;
  if (reply.status == BOP_OK) endpoints_.answered(endpoint);
  if (call->resolving() && reply.status == BOP_OK)
    return take_group_id(reply.correlation, *call, reply);
  if (is_about_the_cluster(reply.status) || (reply.status < 0 && call->pinned())) {
    endpoints_.refused(endpoint,
                       cause_of(reply.status, reply.detail, endpoints_.at(endpoint).text));
    proto::ClientReply told = reply;
    if (told.status == BOP_E_OUTCOME_UNKNOWN && !call->may_have_run()) {
      told.status = BOP_E_UNAVAILABLE;
    }
    const std::string causes = causes_of(*call);
    told.detail = causes;
    return complete(told.correlation, *call, told);
  }
  complete(reply.correlation, *call, reply);
}

void Core::take_group_id(uint64_t correlation, Call& call, const proto::ClientReply& reply) {
  Reader reader(reply.body.bytes());
  const GroupId group = reader.u64();
  if (!reader.complete() || group == 0) {
    return complete(correlation, call, BOP_E_PROTOCOL, "the reply to find_group is not a group id");
  }
  if (groups_.size() < max_group_names) groups_.emplace(call.group_name, group);
  call.group = group;
  dispatch(correlation, call);
}

// True: the call is parked and will be sent again.
bool Core::try_again(uint64_t correlation, Call& call, const proto::ClientReply& reply,
                     size_t endpoint) {
  const bool unexecuted = is_worth_another_try(reply.status);
  const bool harmless = reply.status == BOP_E_OUTCOME_UNKNOWN && !call.may_have_run();
  // Another node may host the group, unless all endpoints were tried.
  const bool elsewhere = reply.status == BOP_E_NO_GROUP && call.refusals + 1 < endpoints_.size();
  if (call.pinned() || !(unexecuted || harmless || elsewhere)) return false;
  endpoints_.refused(endpoint, cause_of(reply.status, reply.detail, endpoints_.at(endpoint).text));
  if (reply.leader_address.empty() || endpoints_.route(call.group) == endpoint) {
    endpoints_.turn_away(call.group, endpoint);
  }
  call.refused_as = reply.status;
  const Duration pause = (5 * milliseconds) << std::min(call.refusals, 6u);
  ++call.refusals;
  park(correlation, call, elsewhere ? transport_.now() : transport_.now() + pause);
  return true;
}

void Core::on_lost(Channel& channel, const Error& reason) {
  const size_t endpoint = channel.endpoint();
  endpoints_.failed(endpoint, cause_of(reason.code, reason.detail, endpoints_.at(endpoint).text),
                    transport_.now());
  // Copied, because a completion may begin new calls, also on this channel.
  std::vector<uint64_t> affected;
  affected.swap(channel.queued);
  if (channel.sent() > 0) {
    std::vector<uint64_t> all;
    calls_.all(all);
    for (const uint64_t correlation : all) {
      const Call* call = calls_.find(correlation);
      if (call->channel == &channel && call->state == Call::State::sent) {
        affected.push_back(correlation);
      }
    }
  }
  for (const uint64_t correlation : affected) {
    Call* call = calls_.find(correlation);
    if (call == nullptr || call->channel != &channel) continue;
    lost_call(correlation, *call, endpoint, channel.stopped_in_order());
  }
}

// `unexecuted`: the server did not execute calls that it did not answer.
void Core::lost_call(uint64_t correlation, Call& call, size_t endpoint, bool unexecuted) {
  leave_channel(call);
  if (call.may_have_run() && !unexecuted) {
    return complete(correlation, call, BOP_E_OUTCOME_UNKNOWN, endpoints_.causes());
  }
  if (call.pinned()) return complete(correlation, call, BOP_E_UNAVAILABLE, causes_of(call));
  endpoints_.turn_away(call.group, endpoint);
  ++call.refusals;
  dispatch(correlation, call);
}

// ---- completion ----

// Why the call failed: the causes of all endpoints that it could be sent to.
std::string Core::causes_of(const Call& call) const {
  return call.pinned() ? endpoints_.cause(call.connection) : endpoints_.causes();
}

void Core::complete(uint64_t correlation, Call& call, const proto::ClientReply& reply) {
  const Outcome outcome{call.tag,     reply.status,       call.attempts, reply.index,
                        reply.leader, reply.body.bytes(), reply.detail};
  calls_.remove(correlation);
  listener_.complete(outcome);
}

void Core::complete(uint64_t correlation, Call& call, int32_t status, std::string_view detail) {
  const std::string kept(detail);
  const Outcome outcome{call.tag, status, call.attempts, 0, call.leader, {}, kept};
  calls_.remove(correlation);
  listener_.complete(outcome);
}

void Core::expire(uint64_t correlation, Call& call) {
  const bool sent = call.state == Call::State::sent;
  const int32_t status = call.may_have_run() ? BOP_E_OUTCOME_UNKNOWN
                         : sent              ? BOP_E_TIMEOUT
                                             : status_of_unsent(call);
  if (call.channel != nullptr) {
    const size_t endpoint = call.channel->endpoint();
    if (sent || endpoints_.at(endpoint).cause.empty()) {
      endpoints_.refused(
          endpoint, sent ? "no answer within the timeout" : "no connection within the timeout");
    }
    leave_channel(call);
  }
  complete(correlation, call, status, causes_of(call));
}

void Core::stop() {
  std::vector<uint64_t> all;
  calls_.all(all);
  for (const uint64_t correlation : all) {
    Call* call = calls_.find(correlation);
    if (call == nullptr) continue;
    if (call->channel != nullptr) leave_channel(*call);
    complete(correlation, *call, call->may_have_run() ? BOP_E_OUTCOME_UNKNOWN : BOP_E_STOPPED,
             "the client was closed");
  }
  timer_->cancel();
  channels_.clear();
}

// ---- time ----

void Core::arm() {
  if (armed_) return;
  armed_ = true;
  timer_->arm(transport_.now() + Calls::tick);
}

void Core::on_tick() {
  armed_ = false;
  const Instant now = transport_.now();
  scratch_.clear();
  calls_.expired(now, scratch_);
  const std::vector<uint64_t> due(scratch_);
  for (const uint64_t correlation : due) {
    if (Call* call = calls_.find(correlation)) expire(correlation, *call);
  }
  retry_parked(now);
  check_channels(now);
  if (calls_.count() > 0) arm();
}

void Core::check_channels(Instant now) {
  if (now - checked_ < check_interval) return;
  checked_ = now;
  for (const auto& row : channels_) {
    for (const auto& channel : row) {
      if (channel != nullptr) channel->check_silence(now);
    }
  }
}

void Core::retry_parked(Instant now) {
  std::vector<uint64_t> waiting;
  waiting.swap(parked_);
  for (const uint64_t correlation : waiting) {
    Call* call = calls_.find(correlation);
    if (call == nullptr || call->state != Call::State::parked) continue;
    if (call->not_before > now) {
      parked_.push_back(correlation);
    } else {
      dispatch(correlation, *call);
    }
  }
}

}  // namespace bop::client

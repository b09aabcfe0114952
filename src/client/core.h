// Core: the life of a request from submission to completion. Used on the client's thread.
//
// The rule for retries: a call is sent again only if it was provably not executed (never sent, or refused
// before it was proposed) or can be executed twice without harm (queries). A command that was sent and has
// no reply ends with OUTCOME_UNKNOWN.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/calls.h"
#include "client/channel.h"
#include "client/client.h"
#include "client/endpoints.h"
#include "port/timer.h"

namespace bop::client {

// A request in the mailbox.
struct Submission {
  Call call;
};

class Core final : public ChannelOwner {
 public:
  Core(const Options& options, Listener& listener, Transport& transport);
  ~Core() override;

  void begin(Call call);
  // Completes all calls: with OUTCOME_UNKNOWN if they may have run, else with STOPPED.
  void stop();
  std::string causes() const { return endpoints_.causes(); }

  // ChannelOwner
  void on_ready(Channel& channel) override;
  void on_reply(Channel& channel, const proto::ClientReply& reply) override;
  void on_lost(Channel& channel, const Error& reason) override;

 private:
  void dispatch(uint64_t correlation, Call& call);
  void park(uint64_t correlation, Call& call, Instant until);
  void send(Channel& channel, uint64_t correlation, Call& call);
  void queue(Channel& channel, uint64_t correlation, Call& call);
  void leave_channel(Call& call);
  Channel& channel(size_t endpoint, uint32_t connection);
  GroupId known_group(const std::string& name) const;

  void take_group_id(uint64_t correlation, Call& call, const proto::ClientReply& reply);
  bool try_again(uint64_t correlation, Call& call, const proto::ClientReply& reply,
                 size_t endpoint);
  void lost_call(uint64_t correlation, Call& call, size_t endpoint, bool unexecuted);
  void expire(uint64_t correlation, Call& call);
  std::string causes_of(const Call& call) const;
  void complete(uint64_t correlation, Call& call, const proto::ClientReply& reply);
  void complete(uint64_t correlation, Call& call, int32_t status, std::string_view detail);

  void arm();
  void on_tick();
  void retry_parked(Instant now);
  void check_channels(Instant now);

  Listener& listener_;
  Transport& transport_;
  const uint32_t connections_;
  Endpoints endpoints_;
  Calls calls_;
  proto::PartWriter writer_;
  ChannelContext context_;
  std::vector<std::vector<std::unique_ptr<Channel>>> channels_;  // by endpoint and connection
  std::map<std::string, GroupId, std::less<>> groups_;
  std::vector<uint64_t> parked_;
  std::vector<uint64_t> scratch_;
  std::unique_ptr<port::Timer> timer_;
  bool armed_ = false;
  Instant checked_ = 0;  // when the channels were last checked for silence
};

}  // namespace bop::client

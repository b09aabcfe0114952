// Endpoints: the addresses of the cluster, why the last attempt at each failed, and which one leads a group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "net/address.h"

namespace bop::client {

struct Endpoint {
  net::Address address;
  std::string text;        // the address as text: for messages, and the key for lookups
  bool given = false;      // by the user; the others were learned from servers
  std::string cause;       // why the last attempt failed; empty: there was none, or it succeeded
  bool reached = false;    // a connection succeeded once
  uint32_t failures = 0;   // consecutive
  Instant down_until = 0;  // no connection is attempted before this time
};

class Endpoints {
 public:
  static constexpr size_t max_endpoints = 128;  // given and learned
  static constexpr Duration first_pause = 20 * milliseconds;
  static constexpr Duration longest_pause = 500 * milliseconds;

  explicit Endpoints(const std::vector<net::Address>& given);

  size_t size() const { return endpoints_.size(); }
  Endpoint& at(size_t i) { return endpoints_[i]; }
  const Endpoint& at(size_t i) const { return endpoints_[i]; }

  // The endpoint to which requests of that group are sent at present.
  size_t route(GroupId group) const;
  // A server reported that the leader of the group listens at `address`. False: it is not an address, or
  // there are too many endpoints.
  bool learn_leader(GroupId group, std::string_view address);
  // Sends requests of the group to the endpoint after `from`, if they are still sent to `from`.
  void turn_away(GroupId group, size_t from);

  // `wanted`, or the next endpoint that is not down; npos: all are down.
  size_t usable(size_t wanted, Instant now) const;
  Instant next_up(Instant now) const;

  void failed(size_t endpoint, std::string cause, Instant now);
  void refused(size_t endpoint, std::string cause);
  void answered(size_t endpoint);

  // "127.0.0.1:7100: connection refused".
  std::string cause(size_t endpoint) const;
  std::string causes() const;

  static constexpr size_t npos = SIZE_MAX;

 private:
  struct Route {
    GroupId group;
    size_t endpoint;
  };
  size_t find(std::string_view text) const;
  Route& route_of(GroupId group);

  std::vector<Endpoint> endpoints_;
  std::vector<Route> routes_;  // of groups that were routed away from the first endpoint
};

}  // namespace bop::client

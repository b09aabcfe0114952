// Endpoints: where the cluster may be reached, what kept requests from each last, and who leads.
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
  std::string text;       // the address, for people and to be found by
  bool given = false;     // by the user; the others were learned from servers
  std::string cause;      // why the last attempt failed; empty: none did yet, or the last went well
  bool reached = false;   // a connection was made once
  uint32_t failures = 0;  // in a row
  Instant down_until = 0;  // not to be called before
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

  // The endpoint that requests of that group go to now.
  size_t route(GroupId group) const;
  // A server reported that the leader of the group listens there. False: it is not an address, or there
  // are too many already.
  bool learn_leader(GroupId group, std::string_view address);
  // Requests of the group go to the next one from now on; nothing when they go elsewhere already.
  void turn_away(GroupId group, size_t from);

  // The endpoint to call now for a route: itself, or the next that is not down; npos: all are.
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

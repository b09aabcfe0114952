#include "client/endpoints.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::client {

Endpoints::Endpoints(const std::vector<net::Address>& given) {
  BOP_ASSERT(!given.empty());
  for (const net::Address& address : given) {
    Endpoint endpoint;
    endpoint.address = address;
    endpoint.text = address.to_string();
    endpoint.given = true;
    endpoints_.push_back(std::move(endpoint));
  }
}

size_t Endpoints::route(GroupId group) const {
  for (const Route& route : routes_) {
    if (route.group == group) return route.endpoint;
  }
  return 0;
}

Endpoints::Route& Endpoints::route_of(GroupId group) {
  for (Route& route : routes_) {
    if (route.group == group) return route;
  }
  return routes_.emplace_back(Route{group, 0});
}

size_t Endpoints::find(std::string_view text) const {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].text == text) return i;
  }
  return npos;
}

bool Endpoints::learn_leader(GroupId group, std::string_view text) {
  size_t endpoint = find(text);
  if (endpoint == npos) {
    const Result<net::Address> address = net::parse_address(text);
    if (!address || address->is_unix() || endpoints_.size() >= max_endpoints) return false;
    endpoint = endpoints_.size();
    Endpoint& learned = endpoints_.emplace_back();
    learned.address = *address;
    learned.text = text;
  }
  route_of(group).endpoint = endpoint;
  return true;
}

void Endpoints::turn_away(GroupId group, size_t from) {
  Route& route = route_of(group);
  if (route.endpoint == from) route.endpoint = (from + 1) % endpoints_.size();
}

size_t Endpoints::usable(size_t wanted, Instant now) const {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const size_t endpoint = (wanted + i) % endpoints_.size();
    if (endpoints_[endpoint].down_until <= now) return endpoint;
  }
  return npos;
}

Instant Endpoints::next_up(Instant now) const {
  Instant next = never;
  for (const Endpoint& endpoint : endpoints_) next = std::min(next, endpoint.down_until);
  return std::max(next, now);
}

void Endpoints::failed(size_t i, std::string cause, Instant now) {
  Endpoint& endpoint = endpoints_[i];
  endpoint.cause = std::move(cause);
  // Connections that fail together count as one failure.
  if (endpoint.down_until > now) return;
  const Duration pause = first_pause << std::min(endpoint.failures, 5u);
  endpoint.down_until = now + std::min(pause, longest_pause);
  ++endpoint.failures;
}

void Endpoints::refused(size_t endpoint, std::string cause) {
  endpoints_[endpoint].cause = std::move(cause);
}

void Endpoints::answered(size_t i) {
  Endpoint& endpoint = endpoints_[i];
  endpoint.reached = true;
  endpoint.failures = 0;
  endpoint.down_until = 0;
  endpoint.cause.clear();
}

std::string Endpoints::cause(size_t i) const {
  const Endpoint& endpoint = endpoints_[i];
  if (!endpoint.cause.empty()) return endpoint.text + ": " + endpoint.cause;
  return endpoint.text + (endpoint.reached ? ": ok" : ": not contacted yet");
}

std::string Endpoints::causes() const {
  std::string out;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const Endpoint& endpoint = endpoints_[i];
    // A learned endpoint is omitted until it was contacted.
    if (!endpoint.given && !endpoint.reached && endpoint.cause.empty()) continue;
    if (!out.empty()) out += "; ";
    out += cause(i);
  }
  return out;
}

}  // namespace bop::client

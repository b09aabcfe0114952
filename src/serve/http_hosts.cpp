#include "serve/http_hosts.h"

#include <utility>

#include "net/http_syntax.h"

namespace bop::serve {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

struct Host {
  std::string name;  // in normal form: lower case, no dot at the end, an IPv6 address shortened
  bool is_address = false;
};

// Without brackets.
Host normal_host(std::string_view text) {
  const std::string name = lower(text.ends_with('.') ? text.substr(0, text.size() - 1) : text);
  const auto address = net::normal_ip_address(name);
  return {address.value_or(name), address.has_value()};
}

// Of "[::1]:80" "::1", of "name:80" "name".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

HttpHosts::HttpHosts(std::string_view listener, const std::vector<std::string>& names) {
  if (listener.empty()) any_ = true;
  const Host listens = normal_host(listener);
  any_address_ = listens.name == "0.0.0.0" || listens.name == "::";
  if (!any_address_) add(listener);
  for (const std::string& name : names) add(name);
}

void HttpHosts::add(std::string_view name) {
  if (name == "*") any_ = true;
  if (!name.empty() && name != "*") names_.insert(normal_host(name).name);
}

bool HttpHosts::allows(std::string_view host) const {
  if (host.empty() || any_) return true;
  const std::string_view name = without_port(host);
  if (names_.contains(name)) return true;  // the usual case, without an allocation
  const Host called = normal_host(name);
  return (called.is_address && any_address_) || names_.contains(called.name);
}

std::string HttpHosts::known() const {
  std::string out;
  for (const std::string& name : names_) out += (out.empty() ? "" : ", ") + name;
  return any_address_ ? out + ", any numeric address" : out;
}

bool HttpHosts::is_same_origin(std::string_view origin, std::string_view host) {
  const std::string from = lower(origin);
  std::string to = lower(host);
  for (const auto& [scheme, default_port] :
       {std::pair<std::string_view, std::string_view>{"http://", ":80"}, {"https://", ":443"}}) {
    if (!from.starts_with(scheme)) continue;
    if (to.ends_with(default_port)) to.resize(to.size() - default_port.size());
    std::string_view authority = std::string_view(from).substr(scheme.size());
    if (authority.ends_with(default_port)) authority.remove_suffix(default_port.size());
    return !authority.empty() && authority == to;
  }
  return false;
}

}  // namespace bop::serve

#include "sim/availability.h"

#include <algorithm>
#include <string>

#include "group/replica.h"

namespace bop::sim {

namespace {

// The node took care of the request, even if it could not or would not execute it.
bool is_answer(bop_status status) {
  switch (status) {
    case BOP_E_TIMEOUT:
    case BOP_E_UNAVAILABLE:
    case BOP_E_OUTCOME_UNKNOWN:
    case BOP_E_LATCHED:
    case BOP_E_SUSPECT:
    case BOP_E_DAMAGED:
    case BOP_E_IO:
    case BOP_E_MACHINE: return false;
    default: return true;
  }
}

std::string at(Instant time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(time) / 1e9);
  return text;
}

}  // namespace

Availability::Availability(Scheduler& scheduler, Network& network, StateChecker& checker,
                           std::vector<std::unique_ptr<Node>>& nodes,
                           const AvailabilityOptions& options)
    : scheduler_(scheduler),
      network_(network),
      checker_(checker),
      nodes_(nodes),
      options_(options) {}

void Availability::excuse(Instant until) { excused_until_ = std::max(excused_until_, until); }

Instant Availability::excused_until() const {
  Instant until = excused_until_;
  for (const auto& node : nodes_) until = std::max(until, node->job_stalled_until());
  return until;
}

std::optional<Instant> Availability::serves_since(const Node& node, GroupId group) const {
  const auto since = node.undisturbed_since();
  if (!since || node.halted(group)) return {};
  return since;
}

// Of all majorities the one that has held longest.
std::optional<Instant> Availability::available_since(GroupId group, NodeId with) const {
  const Instant excused = excused_until();
  if (excused > scheduler_.now()) return {};
  std::vector<std::pair<NodeId, Instant>> serving;
  for (const auto& node : nodes_)
    if (const auto since = serves_since(*node, group)) serving.emplace_back(node->id(), *since);
  const size_t majority = nodes_.size() / 2 + 1;
  std::optional<Instant> best;
  for (uint32_t chosen = 1; chosen < 1u << serving.size(); ++chosen) {
    Instant since = excused;
    size_t count = 0;
    bool whole = true;
    bool has = with == 0;
    for (size_t i = 0; i < serving.size() && whole; ++i) {
      if ((chosen >> i & 1) == 0) continue;
      ++count;
      has |= serving[i].first == with;
      since = std::max(since, serving[i].second);
      for (size_t k = 0; k < i && whole; ++k) {
        if ((chosen >> k & 1) == 0) continue;
        const auto passes = network_.passes_since(serving[k].first, serving[i].first);
        whole = passes.has_value();
        if (whole) since = std::max(since, *passes);
      }
    }
    if (whole && has && count == majority && (!best || since < *best)) best = since;
  }
  return best;
}

bool Availability::counts(GroupId group, NodeId node, Duration deadline) const {
  if (deadline < options_.least_deadline) return false;
  const auto since = available_since(group, node);
  return since && *since <= scheduler_.now() - options_.steady_for;
}

void Availability::answered(GroupId group, NodeId node, Instant asked, bop_status status,
                            bool counted) {
  Group& of = groups_[group];
  const Instant now = scheduler_.now();
  if (is_answer(status)) {
    of.last_answer = now;
    of.first_failure.reset();
    of.failures = 0;
  }
  if (!counted) return;
  const auto since = available_since(group, node);
  if (!since || *since > asked - options_.steady_for) return;
  ++counters_.counted;
  if (is_answer(status)) {
    ++counters_.answered;
    return;
  }
  ++of.failures;
  if (!of.first_failure) of.first_failure = asked;
  const Instant from = std::max(of.last_answer, *since);
  counters_.longest_gap = std::max(counters_.longest_gap, now - from);
  // One alone may have been lost on its way to a leader that ended.
  if (now - from < options_.bound || of.failures < 3) return;
  std::string states;
  for (const auto& node : nodes_) states += "\n  " + node->describe();
  checker_.report(
      "availability: a majority of the nodes could serve group " + std::to_string(group) +
      " since " + at(*since) + ", with node " + std::to_string(node) + " among them; from " +
      at(from) + " on " + std::to_string(of.failures) +
      " requests failed and none was answered; the last with " + bop_error_name(status) + states);
}

void Availability::check_all() {
  if (counters_.counted < options_.least_requests) return;
  if (counters_.answered * 100 >= counters_.counted * options_.least_percent) return;
  checker_.report(
      "availability: " + std::to_string(counters_.answered) + " of " +
      std::to_string(counters_.counted) +
      " requests were answered that were asked while a majority could serve; at least " +
      std::to_string(options_.least_percent) + " % must be");
}

}  // namespace bop::sim

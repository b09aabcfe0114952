#include "group/raft_observer.h"

#include <initializer_list>

#include "base/logging.h"

namespace bop::group {

namespace {

using raft::Cause;
using raft::Record;
using raft::RecordKind;
using raft::Role;

void add(metrics::Counter* counter) {
  if (counter != nullptr) counter->add();
}

size_t index_of(Cause cause) { return static_cast<size_t>(cause); }

logging::Level level_of(const Record& record) {
  switch (record.kind) {
    case RecordKind::role:
    case RecordKind::needs_snapshot:
    case RecordKind::has_snapshot:
    case RecordKind::snapshot_offered:
    case RecordKind::installed: return logging::Level::info;
    default: return logging::Level::debug;
  }
}

}  // namespace

RaftObserver::RaftObserver(NodeId self, const std::string& group, metrics::Registry* registry)
    : name_("node " + std::to_string(self) + ", group " + group) {
  if (registry != nullptr) make_counters(*registry, group);
}

void RaftObserver::make_counters(metrics::Registry& registry, const std::string& group) {
  const auto counter = [&](const char* name, const char* help) {
    return &registry.counter(name, help, {{"group", group}});
  };
  const auto by_cause = [&](ByCause& counters, const char* name, const char* help,
                            std::initializer_list<Cause> causes) {
    for (const Cause cause : causes)
      counters[index_of(cause)] =
          &registry.counter(name, help, {{"group", group}, {"cause", name_of(cause)}});
  };
  by_cause(counters_.elections, "bop_raft_elections_total",
           "Campaigns that this replica began, each with a round of pre-votes",
           {Cause::election_timeout, Cause::transfer});
  counters_.elections_won =
      counter("bop_raft_elections_won_total", "Campaigns that made this replica leader");
  by_cause(counters_.leader_changes, "bop_raft_leader_changes_total",
           "Times that this replica stopped leading or lost the leader that it followed",
           {Cause::election_timeout, Cause::transfer,         Cause::higher_term,
            Cause::append_received,  Cause::vote_granted,     Cause::quorum_lost,
            Cause::no_progress,      Cause::unhealthy,        Cause::halted,
            Cause::machine_held_up,  Cause::machine_behind,   Cause::entry_unreadable,
            Cause::log_full,         Cause::disk_full,        Cause::resigned,
            Cause::node_lost,        Cause::step_down_notice, Cause::leadership_denied,
            Cause::transfer_asked,   Cause::membership});
  counters_.votes_granted =
      counter("bop_raft_votes_granted_total", "Votes and pre-votes that this replica granted");
  by_cause(counters_.votes_refused, "bop_raft_votes_refused_total",
           "Votes and pre-votes that this replica refused",
           {Cause::stale_term, Cause::already_voted, Cause::leader_alive, Cause::log_behind});
  by_cause(counters_.appends_rejected, "bop_raft_appends_rejected_total",
           "Appends of which this replica rejected all or some entries",
           {Cause::stale_term, Cause::missing_entry, Cause::conflicting_entry,
            Cause::conflicts_with_committed, Cause::second_leader, Cause::log_full,
            Cause::disk_full, Cause::machine_behind});
  counters_.quiesced = counter("bop_raft_quiesced_total", "Times that this replica quiesced");
  counters_.woke = counter("bop_raft_woke_total", "Times that this quiesced replica woke");
  counts_ = true;
}

void RaftObserver::observe(const raft::Core& core, std::span<const Record> records) {
  for (const Record& record : records) {
    if (counts_) count(record);
    if (logging::enabled(level_of(record))) log(core, record);
  }
}

void RaftObserver::count_role(const Record& record) {
  const NodeId before = record.before.leader;
  if (before != 0 && before != record.now.leader)
    add(counters_.leader_changes[index_of(record.cause)]);
  if (record.now.role == Role::pre_candidate) add(counters_.elections[index_of(record.cause)]);
  if (record.now.role == Role::leader) add(counters_.elections_won);
}

void RaftObserver::count(const Record& record) {
  switch (record.kind) {
    case RecordKind::role: return count_role(record);
    case RecordKind::vote:
      return add(record.granted ? counters_.votes_granted
                                : counters_.votes_refused[index_of(record.cause)]);
    case RecordKind::append_rejected:
      return add(counters_.appends_rejected[index_of(record.cause)]);
    case RecordKind::quiesced: return add(counters_.quiesced);
    case RecordKind::woke: return add(counters_.woke);
    case RecordKind::configuration:
    case RecordKind::vote_received:
    case RecordKind::append_refused:
    case RecordKind::first_commit:
    case RecordKind::needs_snapshot:
    case RecordKind::has_snapshot:
    case RecordKind::snapshot_offered:
    case RecordKind::installed:
    case RecordKind::install_ignored: return;
  }
}

void RaftObserver::log(const raft::Core& core, const Record& record) const {
  std::string text = describe(record);
  if (record.kind == RecordKind::configuration) text += ": " + describe(core.configuration());
  logging::line(level_of(record), "{}, term {}: {}", name_, record.now.term, text);
}

}  // namespace bop::group

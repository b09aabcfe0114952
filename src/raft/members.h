// What follows from the configuration in force: who the peers are, who votes in which half, and whether this replica may
// campaign. A configuration is in force from when its entry is appended.
#pragma once

#include "raft/state.h"

namespace bop::raft {

Votes votes_of(const Configuration& configuration, NodeId node);

// Whether this replica votes in the configuration in force, in the newest that is known to be committed, or in one
// between. One that is being removed is needed until its removal is committed (dissertation §4.2.2): its log may be the
// only one that can win. Its own vote counts only while it votes in the configuration in force.
bool may_stand(const State& s);

// At the start: peers and votes of the configuration in force.
void adopt_configuration(State& s);
// Appends an entry to the log. A configuration is decoded, which must succeed, and is in force from now on.
void append_entry(State& s, Entry entry);
// The log's entries from `index` on are gone: an earlier configuration may be in force again.
void drop_configurations(State& s, Index index);
// The log restarts after an entry at which this one is in force.
void restart_configurations(State& s, const ConfigurationAt& base);
// At the end of a step: what became committed may end a membership.
void commit_configurations(State& s);

// Why a leader may not append this configuration now; BOP_OK: it may. CONFIGURATION_PENDING, BAD_CONFIG.
bop_status refusal_of_change(const State& s, const Configuration& to);
// Of a leader: leaves a joint configuration that leaves by itself, and steps down once its removal is committed.
void advance_change(State& s);

}  // namespace bop::raft

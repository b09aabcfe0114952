// Incoming messages: one function and one file for each kind.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Drops messages that no replica of the configuration can have sent, enters higher terms, refuses requests
// of lower ones, and passes the rest to the function of their kind.
void receive(State& s, const Message& message);

// The message is of the current term, except for pre-votes, where any term may come.
void receive_pre_vote_request(State& s, const Message& message);
void receive_pre_vote_reply(State& s, Progress& from, const Message& message);
void receive_vote_request(State& s, const Message& message);
void receive_vote_reply(State& s, Progress& from, const Message& message);
void receive_append_request(State& s, const Message& message);
void receive_append_reply(State& s, Progress& from, const Message& message);
void receive_read_request(State& s, Progress& from, const Message& message);
void receive_read_reply(State& s, const Message& message);
void receive_step_down_notice(State& s, const Message& message);
void receive_snapshot_offer(State& s, const Message& message);

// The sender of an append or offer is the leader of this term, and alive.
void follow(State& s, const Message& message);
// The log agrees with the leader's up to `index`.
void learn_match(State& s, Index index);
// Records that an append, or some of its entries, was not taken.
void record_rejection(State& s, const Message& append, Cause cause);
// At the end of a follower's step: sends at most one acceptance and one refusal.
void reply_to_leader(State& s);

}  // namespace bop::raft

// Messages, one function and one file a kind.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Drops what no replica of the configuration can have meant, takes up higher terms, answers lower
// ones, and hands the rest to its function.
void receive(State& s, const Message& message);

// The message is of our term, but for requests and refusals of votes, where any may come.
void receive_pre_vote_request(State& s, const Message& message);
void receive_pre_vote_reply(State& s, Progress& from, const Message& message);
void receive_vote_request(State& s, const Message& message);
void receive_vote_reply(State& s, Progress& from, const Message& message);
void receive_append_request(State& s, const Message& message);
void receive_append_reply(State& s, Progress& from, const Message& message);
void receive_read_request(State& s, Progress& from, const Message& message);
void receive_read_reply(State& s, const Message& message);
void receive_stopped_leading(State& s, const Message& message);

// An append, or some of its entries, was not taken.
void record_rejection(State& s, const Message& append, Cause cause);
// Ends a follower's step: at most one acceptance and one refusal.
void reply_to_leader(State& s);

}  // namespace bop::raft

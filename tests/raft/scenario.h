// Replayable text scenarios: one command per line, `#` begins a comment. Nothing happens by itself, except
// that writes become durable at once unless they are held. Every node has its own clock.
//
//   nodes N | learners N...          the configuration: voters 1 to N
//   others N...                      nodes that are no members at first
//   set NAME VALUE                   of Config; times in milliseconds
//   log A TERM...                    entries on A's disk before the start, given by their terms
//   hard A TERM [VOTE]               (default: the last entry's term, no vote)
//   machine A INDEX                  the last entry that A's machine holds durably
//   start                            all nodes
//
//   timeout A                        A's clock advances to its next deadline
//   tick A MS | live MS              A's clock advances; all clocks do, and everything is delivered
//   latency MS                       during `live`, what is sent arrives so much later (default 0)
//   run                              delivers until nothing is in flight
//   deliver A B [KIND]               everything in flight from A to B now, one step for each message
//   deliver_one A B                  the oldest message
//   together A B                     everything in flight, in one step
//   last_first A B                   everything in flight, in reverse order
//   repeat A B                       everything in flight, which also stays in flight
//   drop A B [KIND] | drop all
//   cut A B | isolate A | mend       links lose all messages
//   cut_entries A B                  the link from A to B loses appends with entries
//   hold A | persist A [N] | release A   writes wait; N (default 1) complete; all complete from now on
//   capacity A available|log_full|disk_full   whether A's log takes the entries it is sent
//   hold_loads A | load A            the same for reads of old entries; hold and hold_loads also before start
//   snapshot A | compact A INDEX     A's machine takes a snapshot; A's log drops the entries up to INDEX
//   install A | install_again A      A's machine was restored from the snapshot offered last, or again
//   propose A TOKEN TEXT... | read A TOKEN
//   change A TOKEN CHANGE...         A is to append the configuration after changes to the one in force: add-voter N,
//                                    add-learner N, remove N, joint, leave, cancel
//   configure A TOKEN VOTER...       A is to append one with these voters
//   crash A [N] | restart A          N of the writes in progress survive
//   lost A B | alive A B             A's liveness loses B's node, or hears it again (at a start all are alive)
//   forward_failed A B | forward_denied A B TERM   a request that A forwarded to B
//   delivered A B BYTES              so many bytes of A's reach B's host
//   health A yes|no | resign A       events of A
//   transfer A B MS                  A is asked to hand over to B (0: to any) within so much time
//   hinder A CAUSE                   A could not serve as leader because of a cause of record.h; none: it can
//   forge KIND A B [FIELD VALUE]... [entries TERM:INDEX...]   B receives a message that A never sent
//   show                             prints all nodes and all messages in flight
//
//   expect A ROLE
//   expect A term|vote|leader|commit|first|last|durable|cached|compact N
//   expect A offered|snapshot_wanted INDEX   the snapshot offered since the last install; the one it wants taken; 0: none
//   expect A terms TERM...           of all its entries, from the first one that the log has
//   expect A members TEXT...         the configuration in force reads like TEXT
//   expect A quiesced yes|no | expect A deadline yes|no | expect A hands_over yes|no
//   expect A proposal|read TOKEN at INDEX | refused ERROR | open
//   expect A tells TEXT...           a record since A's start reads like TEXT or begins with it
//   expect A tells_times N TEXT...   that many of them do
//   expect sent A B KIND [FIELD VALUE]... | expect nothing A B [KIND]
#pragma once

#include <string>

namespace bop::raft::test {

// Throws Violation, with file and line.
void run_scenario(const std::string& path);

}  // namespace bop::raft::test

// Replayable text scenarios: one command a line, `#` begins a comment. Nothing happens on its own,
// but that writes become durable at once unless they are held. Every node has its own clock.
//
//   nodes N | learners N...          the configuration: voters 1 to N
//   set NAME VALUE                   of Config; times in milliseconds
//   log A TERM...                    what A's disk holds before the start: an entry a term
//   hard A TERM [VOTE]               (default: the last entry's term, no vote)
//   machine A INDEX                  and what its machine holds durably
//   start                            all nodes
//
//   timeout A                        A's clock advances to its next deadline
//   tick A MS | live MS              A's clock advances; all clocks do, and everything is delivered
//   latency MS                       during `live`, what is sent arrives so much later (default 0)
//   run                              delivers until nothing is in flight
//   deliver A B [KIND]               what is in flight from A to B now, a step for each
//   deliver_one A B                  the oldest of it
//   together A B                     the same in one step
//   last_first A B                   the same in reverse order
//   repeat A B                       the same, and it stays in flight
//   drop A B [KIND] | drop all
//   cut A B | isolate A | mend       links lose what is sent on them
//   cut_entries A B                  and these only appends with entries
//   hold A | persist A [N] | release A   writes wait, N (default 1) complete, all complete
//   room A some|log_full|disk_full   whether A's log takes the entries it is sent
//   hold_loads A | load A            the same for reads of old entries; both also before the start
//   propose A TOKEN TEXT... | configure A TOKEN   | read A TOKEN
//   crash A [N] | restart A          N of the writes under way survive
//   lost A B | alive A B             A's node hears B's no more, or again (all are alive at a start)
//   forward_failed A B | forward_denied A B TERM   what A forwarded to B
//   health A yes|no | resign A       events of A
//   forge KIND A B [FIELD VALUE]... [entries TERM:INDEX...]   B receives what A never sent
//   show                             prints all nodes and what is in flight
//
//   expect A ROLE
//   expect A term|vote|leader|commit|last|durable|cached|compact N
//   expect A terms TERM...           of all its entries
//   expect A quiesced yes|no | expect A deadline yes|no
//   expect A proposal|read TOKEN at INDEX | refused ERROR | open
//   expect A tells TEXT...           a record of this life, whose line begins with it
//   expect sent A B KIND [FIELD VALUE]... | expect nothing A B [KIND]
#pragma once

#include <string>

namespace bop::raft::test {

// Throws Violation, with file and line.
void run_scenario(const std::string& path);

}  // namespace bop::raft::test

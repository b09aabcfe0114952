#include "raft/replicate.h"

#include "raft/quorum.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

// A smaller window would send entries one by one.
size_t smallest_window(const State& s) {
  return std::min<size_t>(s.config.max_append_bytes, 64 << 10);
}

void narrow_window(State& s, Progress& peer) {
  peer.window_bytes = std::max(peer.window_bytes / 2, smallest_window(s));
}

// A window must be acknowledged within an election timeout, so that a slow link is not mistaken for one on
// which nothing passes (makes_progress).
void adapt_window(State& s, Progress& peer, Duration age, size_t acknowledged_bytes) {
  if (age > s.config.election_timeout) return narrow_window(s, peer);
  if (age > s.config.election_timeout / 2) return;
  peer.window_bytes = std::min(peer.window_bytes + acknowledged_bytes, s.config.max_inflight_bytes);
}

bool window_is_full(const State& s, const Progress& peer) {
  return peer.inflight.size() >= s.config.max_inflight_appends ||
         peer.inflight_bytes >= peer.window_bytes;
}

Message& send_append(State& s, Progress& peer, Index before, std::span<const Entry> entries) {
  Message& append = send(s, peer.id, MessageKind::append_request);
  append.index = before;
  append.log_term = s.log.term_at(before);
  append.commit = s.commit;
  append.compact = s.compact;
  append.round = s.round;
  append.quiesce = s.quiesce_round != 0;
  append.entries = entries;
  peer.told_commit = s.commit;
  return append;
}

void send_entries_in(State& s, Progress& peer, std::span<const Entry> entries) {
  BOP_ASSERT(!entries.empty());
  BOP_ASSERT_EQ(entries.front().index, peer.next);
  send_append(s, peer, peer.next - 1, entries);
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.cost();
  if (peer.inflight.empty()) peer.moved_at = s.now;
  peer.inflight.push({entries.back().index, bytes, s.now});
  peer.inflight_bytes += bytes;
  peer.next = entries.back().index + 1;
}

// The entries from `first` on that one append carries: at least one.
std::span<const Entry> one_append(const State& s, const Progress& peer, Index first) {
  std::span<const Entry> entries = s.log.span(first, s.last());
  const size_t limit = std::min(s.config.max_append_bytes, peer.window_bytes);
  size_t bytes = 0;
  size_t count = 0;
  while (count < entries.size() && count < s.config.max_append_entries) {
    bytes += entries[count].cost();
    if (count > 0 && bytes > limit) break;
    ++count;
  }
  return entries.first(count);
}

void ask_load(State& s, Progress& peer) {
  if (peer.loading || peer.load_failed || window_is_full(s, peer)) return;
  peer.loading = true;
  s.update->loads.push_back(
      {peer.id, peer.next, std::min(s.config.max_append_bytes, peer.window_bytes)});
}

// A probe carries entries, because most often the logs agree.
bool send_probe(State& s, Progress& peer) {
  if (peer.paused) return false;
  peer.paused = true;
  peer.probe = peer.next - 1;
  if (peer.next >= s.log.first_cached() && peer.next <= s.last())
    send_entries_in(s, peer, one_append(s, peer, peer.next));
  else
    send_append(s, peer, peer.probe, {});
  return true;
}

bool send_window(State& s, Progress& peer) {
  bool sent = false;
  while (peer.next <= s.last()) {
    if (peer.next < s.log.first_cached()) {
      ask_load(s, peer);
      break;
    }
    if (window_is_full(s, peer)) break;
    send_entries_in(s, peer, one_append(s, peer, peer.next));
    sent = true;
  }
  return sent;
}

// Appends without an acknowledgement for two heartbeats may be lost. Nothing is resent on suspicion: an
// empty append that follows them in order is refused if they were.
bool suspects_loss(const State& s, const Progress& peer) {
  return !peer.inflight.empty() && s.now - peer.moved_at >= 2 * s.config.heartbeat_interval;
}

void repeat_probe(State& s, Progress& peer) {
  peer.next = peer.probe + 1;
  peer.inflight.clear();
  peer.inflight_bytes = 0;
  send_append(s, peer, peer.probe, {});
}

// An entry that the peer is known to hold, so that an append after it which overtakes others does not make them look lost.
// 0, the begin of every log, if this log no longer has such an entry.
Index known_entry(const State& s, const Progress& peer) {
  return peer.match >= s.before_first() ? peer.match : 0;
}

void send_heartbeat(State& s, Progress& peer) {
  if (peer.stage == Progress::Stage::probing) return repeat_probe(s, peer);
  if (suspects_loss(s, peer)) {
    peer.moved_at = s.now;
    send_append(s, peer, peer.next - 1, {}).in_order = true;
    return;
  }
  send_append(s, peer, known_entry(s, peer), {});
}

void send_commit_update(State& s, Progress& peer) {
  const bool probing = peer.stage == Progress::Stage::probing;
  send_append(s, peer, probing ? peer.probe : known_entry(s, peer), {});
}

// ---- snapshots ----

void start_snapshot(State& s, Progress& peer) {
  peer.stage = Progress::Stage::snapshot;
  peer.paused = false;
  peer.moved_at = s.now;
  peer.next = peer.match + 1;
  peer.received = peer.match;
  peer.inflight.clear();
  peer.inflight_bytes = 0;
  record(s, RecordKind::needs_snapshot, Cause::none, peer.id).entry = s.log.terms().before_first();
}

// An offer may be lost, and a peer that restarted forgot it: it is repeated with each heartbeat.
void offer_snapshot(State& s, Progress& peer) {
  if (peer.paused && !s.heartbeat_due) return;
  peer.paused = true;
  Message& offer = send(s, peer.id, MessageKind::snapshot_offer);
  offer.log_term = s.snapshot.at.term;
  offer.index = s.snapshot.at.index;
  offer.snapshot = s.snapshot.id;
}

void serve_snapshot(State& s, Progress& peer) {
  if (seeded(Bug::leave_snapshot_by_timer) &&
      s.now - peer.moved_at > 2 * s.config.election_timeout) {
    start_probing(s, peer, s.snapshot.at.index + 1);
    return;
  }
  if (s.snapshot.at.index >= s.before_first())
    offer_snapshot(s, peer);
  else if (peer.alive)
    s.update->snapshot_wanted = s.before_first();
}

// What the peer knows to be committed is the same in this log (paper, figure 3: Leader Completeness).
Index known_to_agree(const State& s, const Message& reply) {
  return std::min(reply.commit, s.last());
}

// Whether the reply tells that the peer needs no snapshot any more, and may be sent entries after `peer.match`.
bool leave_snapshot(State& s, Progress& peer, const Message& reply) {
  const Index holds = std::max(peer.match, known_to_agree(s, reply));
  if (holds < s.before_first()) return false;
  record(s, RecordKind::has_snapshot, Cause::none, peer.id).entry.index = holds;
  start_probing(s, peer, holds + 1);
  return peer.match == holds;
}

// ---- what was received ----

Index lowest_match(const State& s) {
  Index lowest = s.votes.any() ? s.persists.durable : s.last();
  if (seeded(Bug::compact_ignores_voters)) return lowest;
  for (const Progress& peer : s.peers)
    if (peer.voter()) lowest = std::min(lowest, peer.match);
  return lowest;
}

// Where to probe next after the peer refused an append that follows entry `asked`. The hint is the peer's
// term at that entry and its first entry of that term (term 0: it has no such entry, but all before
// `index`).
Index next_after_refusal(const State& s, const Message& reply, Index asked) {
  if (reply.log_term == 0) return reply.index;
  const Index ours = s.log.terms().last_at_most(reply.log_term, asked);
  const bool same_term = s.log.term_at(ours) == reply.log_term;
  return same_term && ours >= reply.index ? ours + 1 : reply.index;
}

}  // namespace

void start_probing(State& s, Progress& peer, Index next) {
  peer.stage = Progress::Stage::probing;
  peer.paused = false;
  // If it lacks the entry before the first one, too, its reply tells.
  peer.next = std::max(next, s.before_first() + 1);
  peer.probe = peer.next - 1;
  // The peer does not have the entries from `next` on, or lost them.
  peer.received = std::max(peer.match, std::min(peer.received, peer.probe));
  peer.inflight.clear();
  peer.inflight_bytes = 0;
}

// Whether an append was sent.
bool send_entries(State& s, Progress& peer) {
  switch (peer.stage) {
    case Progress::Stage::probing: return send_probe(s, peer);
    case Progress::Stage::replicating: return send_window(s, peer);
    case Progress::Stage::snapshot: serve_snapshot(s, peer); return false;
  }
  return false;
}

void broadcast(State& s) {
  bool all_told = true;
  for (Progress& peer : s.peers) {
    if (!send_entries(s, peer)) {
      if (s.heartbeat_due)
        send_heartbeat(s, peer);
      else if (s.round_due || (s.commit_update_due && peer.told_commit < s.commit))
        send_commit_update(s, peer);
    }
    all_told = all_told && peer.told_commit >= s.commit;
  }
  if (all_told) s.commit_update_at = never;
}

void compacted(State& s, Index through) {
  if (through <= s.before_first()) return;
  s.log.compact(through);
  if (!s.leads()) return;
  for (Progress& peer : s.peers) {
    if (peer.stage == Progress::Stage::snapshot) continue;
    const bool probes_before =
        peer.stage == Progress::Stage::probing && peer.probe < s.before_first();
    if (peer.next <= s.before_first() || probes_before) start_probing(s, peer, peer.next);
  }
}

void loaded(State& s, const Loaded& event) {
  Progress* peer = s.find_peer(event.peer);
  if (peer == nullptr || !peer->loading) return;
  peer->loading = false;
  if (!s.leads() || peer->stage != Progress::Stage::replicating || event.first != peer->next)
    return;
  peer->loaded.clear();
  for (const Entry& entry : event.entries) {
    const bool ours = entry.index == peer->next + peer->loaded.size() && entry.index <= s.last() &&
                      entry.term == s.log.term_at(entry.index);
    if (!ours || peer->loaded.size() == s.config.max_append_entries) break;
    peer->loaded.push_back(entry);
  }
  if (peer->loaded.empty()) {
    peer->load_failed = true;
    return;
  }
  send_entries_in(s, *peer, peer->loaded);
}

void accepted(State& s, Progress& peer, const Message& reply) {
  if (seeded(Bug::discard_late_install) && peer.stage == Progress::Stage::snapshot &&
      s.now - peer.moved_at > 2 * s.config.election_timeout)
    return;
  peer.matched = true;
  if (const Index received = std::max(reply.match, reply.index); received > peer.received) {
    peer.received = received;
    peer.progress_at = s.now;
    peer.delivered_bytes = 0;
  }
  if (reply.match > peer.match) {
    peer.match = reply.match;
    peer.moved_at = s.now;
  }
  size_t acknowledged = 0;
  Duration age = 0;  // of the oldest
  while (!peer.inflight.empty() && peer.inflight.front().last <= peer.match) {
    acknowledged += peer.inflight.front().bytes;
    age = std::max(age, s.now - peer.inflight.front().sent_at);
    peer.inflight.pop();
  }
  peer.inflight_bytes -= acknowledged;
  if (acknowledged > 0) adapt_window(s, peer, age, acknowledged);
  peer.next = std::max(peer.next, peer.match + 1);
  if (peer.stage == Progress::Stage::snapshot && !leave_snapshot(s, peer, reply)) return;
  peer.stage = Progress::Stage::replicating;
  peer.paused = false;
}

void refused(State& s, Progress& peer, const Message& reply) {
  if (peer.stage == Progress::Stage::snapshot) {  // of an append that was sent before
    leave_snapshot(s, peer, reply);
    return;
  }
  const bool probing = peer.stage == Progress::Stage::probing;
  const Index asked = probing ? peer.probe : peer.next - 1;
  // Outdated: the peer has received the entries since, or the append was another one. (A hint is at most the entry that
  // the append followed.)
  if (reply.index > asked || (reply.log_term == 0 && reply.index <= peer.match)) return;
  const Index held = std::max(peer.match, known_to_agree(s, reply));
  if (asked <= held) {
    // Outdated, or it lacks entries that it acknowledged or committed. Probing again at once might never end; heartbeats
    // do it.
    start_probing(s, peer, held + 1);
    peer.paused = true;
    return;
  }
  const Index next = std::max(std::min(next_after_refusal(s, reply, asked), asked), held + 1);
  narrow_window(s, peer);
  if (next <= s.before_first()) return start_snapshot(s, peer);
  start_probing(s, peer, next);
  record(s, RecordKind::append_refused, Cause::none, peer.id).entry.index = peer.next;
}

// Entries have to arrive; how long the peer's disk takes is covered by Health. A peer that reports a full
// log takes none, for a known reason, and so does one that needs a snapshot, whoever leads.
bool makes_progress(const State& s, const Progress& peer) {
  if (peer.received >= s.last() || peer.log_capacity != LogCapacity::available) return true;
  if (peer.stage == Progress::Stage::snapshot) return true;
  return s.now - peer.progress_at < 2 * s.config.election_timeout;
}

void note_progress(State& s) {
  for (Progress& peer : s.peers)
    if (peer.received >= s.last()) {
      peer.progress_at = s.now;
      peer.delivered_bytes = 0;
    }
}

// Only so many bytes can lie before an entry, and after that many without one, the entries are lost on the
// way: a peer that never gets to the end of them makes no progress.
void delivered(State& s, Progress& peer, uint64_t bytes) {
  if (bytes == 0 || peer.received >= s.last()) return;
  peer.delivered_bytes += bytes;
  if (peer.delivered_bytes <= s.config.max_queued_bytes) peer.progress_at = s.now;
}

bool quorum_makes_progress(const State& s) {
  return quorum_is(s, true, [&s](const Progress& peer) { return makes_progress(s, peer); });
}

void advance_commit(State& s) {
  const Index own = seeded(Bug::commit_own_undurable) ? s.last() : s.persists.durable;
  const Index reached = reached_by_quorum(s, own, &Progress::match);
  // §5.4.2: "only log entries from the leader's current term are committed by counting replicas".
  if (reached > s.commit &&
      (s.log.term_at(reached) == s.hard.term || seeded(Bug::commit_old_term))) {
    s.commit = reached;
    // Usually the next append carries it; without one, followers wait at most this long.
    if (s.commit_update_at == never) s.commit_update_at = s.now + s.config.heartbeat_interval / 8;
  }
  s.compact = std::max(s.compact, std::min(lowest_match(s), s.commit));
}

}  // namespace bop::raft

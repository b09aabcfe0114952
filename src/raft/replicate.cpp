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

void send_heartbeat(State& s, Progress& peer) {
  if (peer.stage == Progress::Stage::probing) return repeat_probe(s, peer);
  if (suspects_loss(s, peer)) {
    peer.moved_at = s.now;
    send_append(s, peer, peer.next - 1, {}).in_order = true;
    return;
  }
  // It follows an entry that the peer is known to hold, so that an append which it overtakes does not
  // look lost.
  send_append(s, peer, std::max(peer.match, s.log.terms().before_first().index), {});
}

void send_commit_update(State& s, Progress& peer) {
  const Index known = std::max(peer.match, s.log.terms().before_first().index);
  send_append(s, peer, peer.stage == Progress::Stage::probing ? peer.probe : known, {});
}

Index lowest_match(const State& s) {
  Index lowest = s.voter ? s.persists.durable : s.last();
  if (seeded(Bug::compact_ignores_voters)) return lowest;
  for (const Progress& peer : s.peers)
    if (peer.voter) lowest = std::min(lowest, peer.match);
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
  // Every voter holds the compacted entries, and this log may not hold them any more.
  const Index compacted = std::max(s.log.terms().before_first().index, peer.voter ? s.compact : 0);
  peer.next = std::max(next, compacted + 1);
  peer.probe = peer.next - 1;
  // The peer does not have the entries from `next` on, or lost them.
  peer.received = std::max(peer.match, std::min(peer.received, peer.probe));
  peer.inflight.clear();
  peer.inflight_bytes = 0;
}

void broadcast(State& s) {
  bool all_told = true;
  for (Progress& peer : s.peers) {
    const bool sent =
        peer.stage == Progress::Stage::probing ? send_probe(s, peer) : send_window(s, peer);
    if (!sent) {
      if (s.heartbeat_due)
        send_heartbeat(s, peer);
      else if (s.round_due || (s.commit_update_due && peer.told_commit < s.commit))
        send_commit_update(s, peer);
    }
    all_told = all_told && peer.told_commit >= s.commit;
  }
  if (all_told) s.commit_update_at = never;
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
  peer.stage = Progress::Stage::replicating;
  peer.paused = false;
}

void refused(State& s, Progress& peer, const Message& reply) {
  const bool probing = peer.stage == Progress::Stage::probing;
  const Index asked = probing ? peer.probe : peer.next - 1;
  // Outdated: the peer has received the entries since.
  if (reply.log_term == 0 && (reply.index <= peer.match || reply.index > asked)) return;
  if (asked <= peer.match) {
    // It lacks entries that it acknowledged. Probing again at once might never end; heartbeats do it.
    start_probing(s, peer, peer.match + 1);
    peer.paused = true;
    return;
  }
  const Index next = std::min(next_after_refusal(s, reply, asked), asked);
  narrow_window(s, peer);
  start_probing(s, peer, std::max(next, peer.match + 1));
  record(s, RecordKind::append_refused, Cause::none, peer.id).entry.index = peer.next;
}

// Entries have to arrive; how long the peer's disk takes is covered by Health. A peer that reports a full
// log takes none, for a known reason.
bool makes_progress(const State& s, const Progress& peer) {
  if (peer.received >= s.last() || peer.log_capacity != LogCapacity::available) return true;
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
  size_t count = s.voter ? 1 : 0;
  for (const Progress& peer : s.peers)
    if (peer.voter && makes_progress(s, peer)) ++count;
  return count >= s.quorum();
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

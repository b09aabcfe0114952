// What text scenarios cannot observe: the contents of an Update and their lifetime.
#include "raft/core.h"

#include <gtest/gtest.h>

namespace bop::raft {
namespace {

Config config() {
  Config s;
  s.self = 1;
  s.seed = 42;
  return s;
}

Restored alone() {
  Restored r;
  r.configuration.configuration.voters = {1};
  return r;
}

Propose command(uint64_t token) {
  Propose p;
  p.token = token;
  p.session = 5;
  p.sequence = token;
  p.machine_version = 3;
  p.payload = mem::Buffer::copy(as_bytes("payload"));
  return p;
}

// A group of one replica, which leads; everything is durable.
struct Lone {
  Core core{config(), alone(), 0};
  Update update;
  Instant now = 0;

  Lone() {
    step({});
    persist();
    persist();
  }
  void step(const std::vector<Event>& events, int64_t wall_ns = 1000) {
    core.step(now, wall_ns, events, update);
  }
  void persist() {
    const PersistMark mark = update.mark;
    ASSERT_NE(mark.number, 0u);
    step({Persisted{mark}});
  }
};

TEST(Core, a_mark_names_the_hard_state_and_the_last_entry_of_its_record) {
  Core core(config(), alone(), 0);
  Update update;
  core.step(0, 0, {}, update);
  EXPECT_EQ(update.mark.number, 1u);
  EXPECT_EQ(update.mark.hard, (HardState{1, 1}));
  EXPECT_EQ(update.mark.index, 0u);
  EXPECT_TRUE(update.entries.empty());
  const Event persisted = Persisted{update.mark};
  core.step(0, 0, {&persisted, 1}, update);
  EXPECT_EQ(core.role(), Role::leader);
  EXPECT_TRUE(update.role_changed);
  EXPECT_EQ(update.mark.number, 2u);
  EXPECT_EQ(update.mark.leader_term, 1u);
  EXPECT_EQ(update.mark.index, 1u);
  ASSERT_EQ(update.entries.size(), 1u);
  EXPECT_EQ(update.entries[0][0].kind, EntryKind::noop);
}

TEST(Core, a_step_without_change_persists_and_sends_nothing) {
  Lone lone;
  lone.step({});
  EXPECT_EQ(lone.update.mark.number, 0u);
  EXPECT_TRUE(lone.update.messages.empty());
  EXPECT_FALSE(lone.update.role_changed);
}

TEST(Core, entries_alone_cause_no_records) {
  Lone lone;
  lone.step({command(1), command(2)});
  lone.persist();
  lone.core.applied(3);
  for (uint64_t i = 3; i < 10; ++i) {
    lone.step({command(i)});
    EXPECT_TRUE(lone.update.records.empty());
    lone.persist();
    EXPECT_EQ(lone.core.commit(), i + 1);
    EXPECT_TRUE(lone.update.records.empty());
  }
}

TEST(Core, an_entry_carries_what_was_proposed) {
  Lone lone;
  lone.step({command(7)}, 5000);
  ASSERT_EQ(lone.update.proposed.size(), 1u);
  EXPECT_EQ(lone.update.proposed[0].token, 7u);
  EXPECT_EQ(lone.update.proposed[0].id, (EntryId{1, 2}));
  const Entry* entry = lone.core.entry(2);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->kind, EntryKind::command);
  EXPECT_EQ(entry->session, 5u);
  EXPECT_EQ(entry->sequence, 7u);
  EXPECT_EQ(entry->machine_version, 3u);
  EXPECT_EQ(entry->time_ns, 5000);
  EXPECT_EQ(as_text(entry->payload.bytes()), "payload");
}

TEST(Core, the_time_of_entries_never_decreases) {
  Lone lone;
  lone.step({command(1)}, 5000);
  lone.step({command(2)}, 2000);
  EXPECT_EQ(lone.core.entry(3)->time_ns, 5000);
  lone.step({command(3)}, 6000);
  EXPECT_EQ(lone.core.entry(4)->time_ns, 6000);

  Restored later = alone();
  later.hard = {1, 1};
  later.runs = {{1, 1}};
  later.last = 1;
  later.last_time_ns = 9000;
  Core core(config(), later, 0);
  Update update;
  core.step(0, 100, {}, update);
  const Event persisted = Persisted{update.mark};
  core.step(0, 100, {&persisted, 1}, update);
  EXPECT_EQ(core.entry(2)->time_ns, 9000);
}

TEST(Core, the_proposals_of_a_step_are_persisted_as_one_record) {
  Lone lone;
  std::vector<Event> events;
  for (uint64_t i = 0; i < 100; ++i) events.push_back(command(i));
  lone.step(events);
  EXPECT_EQ(lone.update.mark.index, 101u);
  size_t entries = 0;
  for (auto piece : lone.update.entries) entries += piece.size();
  EXPECT_EQ(entries, 100u);
  EXPECT_LE(lone.update.entries.size(), 2u);  // the ring wraps at most once
}

TEST(Core, one_completion_covers_all_persists_before_it) {
  Lone lone;
  lone.step({command(1)});
  lone.step({command(2)});
  EXPECT_EQ(lone.core.durable(), 1u);
  lone.persist();
  EXPECT_EQ(lone.core.durable(), 3u);
  EXPECT_EQ(lone.update.commit, 3u);
}

TEST(Core, applied_entries_stay_until_the_next_step) {
  Config small = config();
  small.cache_bytes = 0;
  Core core(small, alone(), 0);
  Update update;
  core.step(0, 0, {}, update);
  for (int i = 0; i < 2; ++i) {
    const Event persisted = Persisted{update.mark};
    core.step(0, 0, {&persisted, 1}, update);
  }
  ASSERT_EQ(update.commit, 1u);
  const Entry* entry = core.entry(1);
  core.applied(1);
  EXPECT_EQ(core.entry(1), entry);
  core.step(0, 0, {}, update);
  EXPECT_EQ(core.entry(1), nullptr);
  EXPECT_EQ(core.first_cached(), 2u);
  EXPECT_EQ(core.term_at(1), 1u);
}

TEST(Core, unapplied_entries_are_limited_while_the_machine_is_behind) {
  Config small = config();
  small.max_uncommitted_bytes = 300;
  Core core(small, alone(), 0);
  Update update;
  core.step(0, 0, {}, update);
  for (int i = 0; i < 2; ++i) {
    const Event persisted = Persisted{update.mark};
    core.step(0, 0, {&persisted, 1}, update);
  }
  std::vector<Event> events;
  for (uint64_t i = 0; i < 10; ++i) events.push_back(command(i));
  core.step(0, 0, events, update);
  EXPECT_EQ(update.proposed.size(), 3u);  // 64 + 7 bytes each, and the noop
  ASSERT_EQ(update.refused.size(), 7u);
  EXPECT_EQ(update.refused[0].error, BOP_E_OVERLOADED);
  const Event persisted = Persisted{update.mark};
  core.step(0, 0, {&persisted, 1}, update);
  core.step(0, 0, events, update);
  EXPECT_TRUE(update.proposed.empty());  // committed, but not applied
  core.applied(4);
  core.step(0, 0, events, update);
  EXPECT_EQ(update.proposed.size(), 4u);
}

// One of three, which hears node 2 lead in term 3.
struct Follower {
  Core core;
  Update update;

  explicit Follower(const Config& config) : core(config, three(), 0) {}

  static Restored three() {
    Restored r;
    r.configuration.configuration.voters = {1, 2, 3};
    return r;
  }
  // Entries of term 2 up to `last`, and the leader's no-op behind them if `noop`.
  void hear(Index last, Index commit, bool noop = false) {
    std::vector<Entry> entries;
    for (Index i = core.last() + 1; i <= last; ++i) {
      Entry entry;
      entry.index = i;
      entry.term = 2;
      entry.kind = EntryKind::command;
      entry.payload = mem::Buffer::copy(as_bytes("payload"));
      entries.push_back(std::move(entry));
    }
    if (noop) {
      Entry& own = entries.emplace_back();
      own.index = last + 1;
      own.term = 3;
    }
    Message append;
    append.kind = MessageKind::append_request;
    append.from = 2;
    append.to = 1;
    append.term = 3;
    append.index = core.last();
    append.log_term = core.term_at(core.last());
    append.commit = commit;
    append.entries = entries;
    const Event received = Receive{append, LogCapacity::available};
    core.step(0, 0, {&received, 1}, update);
    if (update.mark.number == 0) return;
    const Event persisted = Persisted{update.mark};
    core.step(0, 0, {&persisted, 1}, update);
  }
};

// After all replicas restarted, the leader's log may hold more than these limits in front of its no-op.
TEST(Core, a_follower_takes_all_that_stands_before_the_no_op_of_its_leader) {
  Config small = config();
  small.max_uncommitted_bytes = 300;
  Follower follower(small);
  follower.hear(20, 0);
  EXPECT_EQ(follower.core.last(), 20u);
  follower.hear(40, 0, true);
  EXPECT_EQ(follower.core.last(), 41u);
}

TEST(Core, a_follower_takes_no_more_entries_while_its_machine_is_behind) {
  Config small = config();
  small.max_uncommitted_bytes = 300;
  Follower follower(small);
  follower.hear(5, 5);
  follower.hear(20, 5);
  const Index last = follower.core.last();
  EXPECT_LT(last, 20u);
  follower.hear(20, 5);
  EXPECT_EQ(follower.core.last(), last);
  follower.core.applied(5);
  follower.hear(20, 5);
  EXPECT_EQ(follower.core.last(), 20u);
}

TEST(Core, a_replica_outside_the_configuration_is_passive) {
  Restored foreign;
  foreign.configuration.configuration.voters = {2, 3, 4};
  Core core(config(), foreign, 0);
  Update update;
  core.step(0, 0, {}, update);
  EXPECT_EQ(core.role(), Role::learner);
  EXPECT_EQ(update.deadline, never);
  const std::vector<Event> events = {Read{1},      command(2), Health{false},
                                     Health{true}, Resign{},   NodeLost{2}};
  core.step(seconds, 0, events, update);
  EXPECT_EQ(update.refused.size(), 2u);
  EXPECT_TRUE(update.messages.empty());
  EXPECT_EQ(update.deadline, never);
}

TEST(Core, a_machine_ahead_of_its_log_acts_as_a_snapshot) {
  Restored ahead = alone();
  ahead.hard = {3, 0};
  ahead.before_first = {4, 17};
  ahead.last = 17;
  ahead.commit = 17;
  Core core(config(), ahead, 0);
  EXPECT_EQ(core.term(), 4u);
  EXPECT_EQ(core.commit(), 17u);
  EXPECT_EQ(core.term_at(17), 4u);
  EXPECT_EQ(core.term_at(16), 0u);
  Update update;
  core.step(0, 0, {}, update);
  EXPECT_EQ(update.mark.hard, (HardState{5, 1}));
}

TEST(CoreDeathTest, a_completion_of_a_persist_that_was_never_emitted_is_our_bug) {
  Lone lone;
  EXPECT_DEATH(lone.step({Persisted{PersistMark{99, {}, 0, 0}}}), "outstanding");
}

}  // namespace
}  // namespace bop::raft

// Random histories against a model: groups append, vote, truncate, compact and go cold; the process is killed
// or the power lost at any completion. Recovery must find a prefix of all appends, in the order in which they
// were made, that contains everything that was reported durable.
#include <map>

#include "base/random.h"
#include "rig.h"

namespace bop::log::testing {
namespace {

struct ModelGroup {
  raft::HardState hard;
  std::map<Index, raft::Entry> entries;  // from released + 1 on
  raft::EntryId released;
  Index last = 0;
  bool any = false;
};

using Model = std::map<GroupId, ModelGroup>;

struct Change {
  GroupId group = 0;
  raft::HardState hard;
  std::vector<raft::Entry> entries;
};

void change_model(Model& model, const Change& change) {
  ModelGroup& group = model[change.group];
  group.any = true;
  group.hard = change.hard;
  if (change.entries.empty()) return;
  group.entries.erase(group.entries.lower_bound(change.entries.front().index), group.entries.end());
  for (const raft::Entry& entry : change.entries) group.entries[entry.index] = entry;
  group.last = change.entries.back().index;
}

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), rig_(seed * 31) {
    rig_.options.max_bytes = 12 * rig_.options.segment_bytes;
    rig_.options.rewrite_above_bytes = 4 * rig_.options.segment_bytes;
    rig_.disk.set_faults({.sector_bytes = random_.chance(1, 2) ? 512u : 4096u, .shuffle = true});
    rig_.open(true);
    attach();
  }

  void live(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) {
      switch (random_.below(10)) {
        case 0:
        case 1:
        case 2:
        case 3: append(); break;
        case 4: vote(); break;
        case 5:
        case 6: rig_.log->flush(); break;
        case 7: release(); break;
        case 8: read_one(); break;
        default: rig_.clock.now_ += 1 * milliseconds;
      }
      for (uint64_t s = random_.below(4); s > 0; --s) rig_.step();
    }
  }

  void die() {
    random_.chance(1, 2) ? rig_.kill() : rig_.cut_power();
    rig_.open();
    attach();
    verify();
  }

 private:
  // Records how many of the appends, in their order, are durable.
  struct Ear : Appender {
    explicit Ear(History& history) : history(history) {}
    void durable(uint64_t number) override {
      history.durable_ = std::max(history.durable_, number);
    }
    void latched(const Error& error) override { FAIL() << error.to_string(); }
    History& history;
  };

  void attach() {
    for (GroupId group = 1; group <= groups; ++group) rig_.log->attach(group, &ear_);
  }

  GroupId pick() {
    // The first groups are hot, the last ones cold.
    return 1 + random_.below(random_.chance(9, 10) ? 2 : groups);
  }

  void submit(Change change, Term leader_term) {
    const std::span<const raft::Entry> all(change.entries);
    const size_t cut = random_.below(all.size() + 1);
    const std::span<const raft::Entry> pieces[] = {all.first(cut), all.subspan(cut)};
    Append append;
    append.group = change.group;
    append.hard = change.hard;
    append.leader_term = leader_term;
    if (!change.entries.empty()) append.entries = pieces;
    append.number = ++given_;
    const Status taken = rig_.log->append(append);
    if (!taken) {
      --given_;
      ASSERT_EQ(taken.error().code, BOP_E_LOG_FULL) << taken.error().to_string();
      return;
    }
    change_model(now_, change);
    changes_.push_back(std::move(change));
  }

  void append() {
    const GroupId id = pick();
    ModelGroup& group = now_[id];
    Change change;
    change.group = id;
    change.hard = group.hard;
    if (change.hard.term == 0 || random_.chance(1, 8)) change.hard = {group.hard.term + 1, 0};
    Index first = group.last + 1;
    const Index oldest = group.released.index + 1;
    if (random_.chance(1, 6) && group.last > oldest) {
      first = oldest + random_.below(group.last - oldest + 1);
      change.hard.term = group.hard.term + 1;  // another leader replaces entries
    }
    const size_t count = 1 + random_.below(8);
    const size_t most = id <= 2 ? 4000 : 300;
    for (size_t i = 0; i < count; ++i) {
      change.entries.push_back(make_entry(change.hard.term, first + i, random_.below(most)));
    }
    const Term term = change.hard.term;
    submit(std::move(change), term);
  }

  void vote() {
    Change change;
    change.group = pick();
    const raft::HardState before = now_[change.group].hard;
    change.hard = {before.term + 1, 1 + random_.below(3)};
    submit(std::move(change), before.term);
  }

  void release() {
    const GroupId id = pick();
    ModelGroup& group = now_[id];
    if (group.entries.empty() || (id > 2 && random_.chance(3, 4))) return;
    const Index first = group.entries.begin()->first;
    const Index through = first + random_.below(group.last - first + 1);
    // Only durable entries are ever compacted.
    if (durable_ < given_) return;
    // As a replica does it: a checkpoint that covers what is released comes before.
    const raft::EntryId at{group.entries.at(through).term, through};
    const std::vector<uint8_t> facts(1 + through % 300, static_cast<uint8_t>(through));
    if (!rig_.log->append_checkpoint(id, at, facts)) return;
    group.released = at;
    group.entries.erase(group.entries.begin(), group.entries.upper_bound(through));
    released_[id] = group.released;
    rig_.log->drop_checkpoints(id, through);
    rig_.log->compact(id, group.released);
  }

  void read_one() {
    const GroupId id = pick();
    const ModelGroup& group = now_[id];
    if (group.entries.empty()) return;
    const Index first = group.entries.begin()->first + random_.below(group.entries.size());
    const auto entries = rig_.read(id, first, 1 + random_.below(20000));
    ASSERT_TRUE(entries) << entries.error().to_string();
    ASSERT_FALSE(entries->empty());
    for (const raft::Entry& entry : *entries) {
      ASSERT_TRUE(same(entry, group.entries.at(entry.index)));
    }
  }

  bool matches(const Model& model) {
    for (const auto& [id, group] : model) {
      if (!group.any) continue;
      const RecoveredGroup* found = rig_.found(id);
      if (found == nullptr || found->hard != group.hard || found->last != group.last) return false;
      const bool kept = group.last > released_[id].index;
      if (kept &&
          (found->runs.empty() || found->runs.back().term != group.entries.rbegin()->second.term)) {
        return false;
      }
    }
    return true;
  }

  // Of an append that was split into frames, recovery may find a part.
  bool matches_in_part(Model& model, size_t next) {
    Change part = changes_[next];
    while (part.entries.size() > 1) {
      part.entries.pop_back();
      Model with_part = model;
      change_model(with_part, part);
      if (!matches(with_part)) continue;
      model = with_part;
      return true;
    }
    return false;
  }

  // The log must have found a prefix of the changes that includes the durable ones.
  void verify() {
    const Recovery& recovery = rig_.log->recovery();
    ASSERT_FALSE(recovery.damaged);
    ASSERT_FALSE(recovery.suspect);
    for (const RecoveredGroup& group : recovery.groups) {
      ASSERT_EQ(group.health, Health::ok) << group.group << ": " << group.reason;
    }
    Model model = base_;
    size_t prefix = 0;
    const size_t sure = durable_ - base_number_;
    for (; prefix < sure; ++prefix) change_model(model, changes_[prefix]);
    while (!matches(model) && prefix < changes_.size() && !matches_in_part(model, prefix)) {
      change_model(model, changes_[prefix++]);
    }
    ASSERT_TRUE(matches(model)) << "no prefix of the appends is what was found";
    ASSERT_LE(recovery.groups.size(), groups);
    // What is on the disk was released only behind a checkpoint that is there, too.
    for (const RecoveredGroup& group : recovery.groups) {
      if (group.before_first.index == 0) continue;
      ASSERT_FALSE(group.checkpoints.empty()) << group.group;
      const Checkpoint& newest = group.checkpoints.back();
      ASSERT_GE(newest.at.index, group.before_first.index) << group.group;
      ASSERT_EQ(newest.bytes.size(), 1 + newest.at.index % 300);
    }
    for (const auto& [id, through] : released_) {
      ModelGroup& group = model[id];
      group.released = through;
      group.entries.erase(group.entries.begin(), group.entries.upper_bound(through.index));
    }
    base_ = now_ = model;
    base_number_ = given_ = durable_ = base_number_ + prefix;
    changes_.clear();
    read_all();
  }

  void read_all() {
    for (const auto& [id, group] : now_) {
      if (group.entries.empty()) continue;
      Index next = group.entries.begin()->first;
      while (next <= group.last) {
        const auto entries = rig_.read(id, next, 1 << 20);
        ASSERT_TRUE(entries) << entries.error().to_string();
        for (const raft::Entry& entry : *entries) {
          ASSERT_TRUE(same(entry, group.entries.at(entry.index)));
        }
        next = entries->back().index + 1;
      }
    }
  }

  static constexpr GroupId groups = 6;
  Random random_;
  Rig rig_;
  Ear ear_{*this};
  Model base_;  // at the last recovery
  Model now_;   // with every append given since
  std::vector<Change> changes_;
  std::map<GroupId, raft::EntryId> released_;
  uint64_t base_number_ = 0;
  uint64_t given_ = 0;
  uint64_t durable_ = 0;
};

TEST(LogModel, every_recovery_finds_a_prefix_of_all_appends_that_holds_what_was_durable) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    for (int life = 0; life < 6; ++life) {
      history.live(150);
      history.die();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace bop::log::testing

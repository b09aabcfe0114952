// Damage under a machine's store is an error, and never an answer.
#include "sim/medium.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace bop::sim {
namespace {

namespace kv = machine::kv;

// Puts of these values, at `index` each.
class Puts final : public kv::Changes {
 public:
  Puts(std::map<std::string, std::string> values, uint64_t index, kv::Totals before,
       bool want_replaced = false)
      : values_(std::move(values)),
        next_(values_.begin()),
        index_(index),
        totals_(before),
        want_replaced_(want_replaced) {}
  bool next(kv::Change& change) override {
    if (next_ == values_.end()) return false;
    const auto& [key, value] = *next_++;
    change = {.key = as_bytes(key),
              .present = true,
              .revision = index_,
              .hash = kv::record_hash(as_bytes(key), index_, as_bytes(value)),
              .value = as_bytes(value),
              .want_replaced = want_replaced_};
    totals_ += kv::totals_of(true, change.hash);
    return true;
  }
  void replaced(const std::optional<kv::Stored>& record) override {
    if (record) totals_ -= kv::totals_of(true, record->hash);
  }
  void restart() override { FAIL(); }
  kv::Progress progress() override { return {{index_, 1}, totals_}; }

 private:
  std::map<std::string, std::string> values_;
  std::map<std::string, std::string>::iterator next_;
  uint64_t index_;
  kv::Totals totals_;
  bool want_replaced_;
};

class MediumTest : public testing::Test {
 protected:
  MediumTest() {
    medium_.image().on_step = [this](kv::StoreImage::Step step) -> Status {
      medium_.on_step(step);
      return {};
    };
    store_ = medium_.open();
    flush({{"a", "1"}, {"b", "2"}, {"c", ""}}, 3, true);
  }
  Status flush(std::map<std::string, std::string> values, uint64_t index, bool want_replaced) {
    Puts puts(std::move(values), index, medium_.image().committed().totals, want_replaced);
    BOP_TRY(store_->flush(puts));
    return store_->sync();
  }
  Result<std::string> get(const std::string& key) {
    std::string value;
    BOP_TRY(store_->read([&](kv::Snapshot& snapshot) -> Status {
      BOP_TRY_ASSIGN(const auto stored, snapshot.get(as_bytes(key)));
      value = stored ? std::string(as_text(stored->value)) : "none";
      return {};
    }));
    return value;
  }
  void end() {
    store_.reset();
    lost_ = medium_.end(false);
  }
  // What a machine finds before it serves from the store.
  bop_status verified() {
    const auto store = medium_.open();
    const auto check = store->begin_check();
    if (!check) return check.error().code;
    for (;;) {
      const auto complete = (*check)->step();
      if (!complete) return complete.error().code;
      if (*complete) return BOP_OK;
    }
  }

  Medium medium_;
  std::unique_ptr<kv::Store> store_;
  bool lost_ = false;
};

TEST_F(MediumTest, reads_what_was_written) {
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("c"), "");
  EXPECT_EQ(get("d"), "none");
  end();
  EXPECT_EQ(verified(), BOP_OK);
}

TEST_F(MediumTest, every_flipped_bit_is_an_error_and_the_other_records_are_read) {
  Random random(7);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(medium_.flip_bit(random));
    int damaged = 0;
    for (const char* key : {"a", "b", "c"}) {
      const auto value = get(key);
      if (value) continue;
      ++damaged;
      EXPECT_EQ(value.error().code, BOP_E_DAMAGED);
    }
    EXPECT_EQ(damaged, 1);
    // Written again, it is whole.
    ASSERT_TRUE(flush({{"a", "1"}, {"b", "2"}, {"c", ""}}, 3, false));
    EXPECT_EQ(get("a"), "1");
  }
  EXPECT_EQ(medium_.detected(), 200u);
}

TEST_F(MediumTest,
       a_damaged_record_prevents_the_flush_that_replaces_it_and_is_found_at_the_next_open) {
  Random random(1);
  ASSERT_TRUE(medium_.flip_bit(random));
  EXPECT_EQ(flush({{"a", "5"}, {"b", "5"}, {"c", "5"}}, 4, true).error().code, BOP_E_DAMAGED);
  EXPECT_EQ(medium_.image().committed().position.index, 3u) << "nothing of it is committed";
  end();
  EXPECT_EQ(verified(), BOP_E_DAMAGED);
}

TEST_F(MediumTest, a_lost_write_is_seen_when_the_store_is_opened) {
  medium_.lose_write();
  ASSERT_TRUE(flush({{"b", "9"}}, 4, true));
  EXPECT_EQ(get("b"), "9") << "the page cache has it";
  end();
  EXPECT_TRUE(lost_);
  EXPECT_EQ(verified(), BOP_E_DAMAGED);
}

TEST_F(MediumTest, a_lost_write_of_a_record_that_is_written_again_is_followed_by_another) {
  medium_.lose_write();
  ASSERT_TRUE(flush({{"b", "8"}}, 4, true));
  ASSERT_TRUE(flush({{"b", "9"}}, 5, true));
  end();
  EXPECT_TRUE(lost_);
  EXPECT_EQ(verified(), BOP_E_DAMAGED);
}

}  // namespace
}  // namespace bop::sim

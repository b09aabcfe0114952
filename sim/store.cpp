#include "sim/store.h"

#include <optional>

#include "machine/kv/table.h"
#include "sim/loop.h"
#include "sim/medium.h"

namespace bop::sim {

namespace kv = machine::kv;

namespace {

// Before a flush that found no space is tried again. The simulated worker takes it, in place of a real one that
// sleeps.
constexpr Duration pause_without_space = 200 * milliseconds;

kv::Settings without_sleep(kv::Settings settings) {
  settings.pause_without_space = 0;
  return settings;
}

}  // namespace

struct Stores::State {
  explicit State(const kv::Settings& settings)
      : table([this](const kv::StoreOptions& options) { return open(options); },
              without_sleep(settings)) {}

  Result<std::unique_ptr<kv::Store>> open(const kv::StoreOptions& options) {
    std::unique_ptr<Medium>& medium = media[options.directory];
    if (medium == nullptr) {
      medium = std::make_unique<Medium>();
      medium->image().on_step = [this, &medium = *medium](kv::StoreImage::Step kind) {
        medium.on_step(kind);
        return step(kind);
      };
    }
    return medium->open();
  }

  Status step(kv::StoreImage::Step kind) {
    if (kind == kv::StoreImage::Step::change && space && (*space == 0 || --*space == 0)) {
      ++counters.refused_full;
      Worker::prolong(pause_without_space);
      return bop::fail(BOP_E_DISK_FULL, "the simulated store has no space");
    }
    if (fails_in == 0 || --fails_in > 0) return {};
    failed = true;
    ++counters.failed_steps;
    return bop::fail(BOP_E_IO, "the simulated store failed");
  }

  Medium* any(Random& random) {
    if (media.empty()) return nullptr;
    auto medium = media.begin();
    std::advance(medium, static_cast<long>(random.below(media.size())));
    return medium->second.get();
  }

  std::map<std::string, std::unique_ptr<Medium>> media;
  kv::KvTable table;
  uint64_t fails_in = 0;
  bool failed = false;
  std::optional<uint64_t> space;  // changes that fit; nullopt: as many as there are
  Counters counters;
};

Stores::Stores(const kv::Settings& settings) : state_(std::make_unique<State>(settings)) {}

Stores::~Stores() = default;

const bop_machine_table& Stores::table() const { return *state_->table.table(); }

void Stores::fail(uint64_t nth) { state_->fails_in = nth; }

bool Stores::failed() const { return state_->failed; }

void Stores::fill_after(uint64_t changes) { state_->space = changes; }

void Stores::give_space() { state_->space.reset(); }

void Stores::rot(Random& random) {
  Medium* medium = state_->any(random);
  if (medium != nullptr && medium->flip_bit(random)) ++state_->counters.flipped_bits;
}

void Stores::lose_write(Random& random) {
  if (Medium* medium = state_->any(random)) medium->lose_write();
}

void Stores::end(bool power_lost) {
  state_->failed = false;
  for (const auto& [directory, medium] : state_->media)
    if (medium->end(power_lost)) ++state_->counters.lost_writes;
}

Stores::Counters Stores::counters() const {
  Counters counters = state_->counters;
  for (const auto& [directory, medium] : state_->media) counters.detected += medium->detected();
  return counters;
}

}  // namespace bop::sim

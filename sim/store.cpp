#include "sim/store.h"

#include "machine/kv/store_memory.h"
#include "machine/kv/table.h"

namespace bop::sim {

namespace kv = machine::kv;

struct Stores::State {
  explicit State(const kv::Settings& settings)
      : table([this](const kv::StoreOptions& options) { return open(options); }, settings) {}

  Result<std::unique_ptr<kv::Store>> open(const kv::StoreOptions& options) {
    std::shared_ptr<kv::StoreImage>& image = images[options.directory];
    if (image == nullptr) {
      image = std::make_shared<kv::StoreImage>();
      image->on_step = [this](kv::StoreImage::Step) { return step(); };
    }
    return kv::open_memory_store(image);
  }

  Status step() {
    if (fails_in == 0 || --fails_in > 0) return {};
    failed = true;
    return bop::fail(BOP_E_IO, "the simulated store failed");
  }

  std::map<std::string, std::shared_ptr<kv::StoreImage>> images;
  kv::KvTable table;
  uint64_t fails_in = 0;
  bool failed = false;
};

Stores::Stores(const kv::Settings& settings) : state_(std::make_unique<State>(settings)) {}

Stores::~Stores() = default;

const bop_machine_table& Stores::table() const { return *state_->table.table(); }

void Stores::fail(uint64_t nth) { state_->fails_in = nth; }

bool Stores::failed() const { return state_->failed; }

void Stores::end(bool power_lost) {
  state_->failed = false;
  if (!power_lost) return;
  for (const auto& [directory, image] : state_->images) image->lose_power();
}

}  // namespace bop::sim

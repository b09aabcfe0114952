#include "sim/store.h"

#include "machine/kv/store_memory.h"
#include "machine/kv/table.h"

namespace bop::sim {

namespace kv = machine::kv;

namespace {

// State hashes often enough to be compared.
kv::Settings settings() {
  kv::Settings settings;
  settings.boundary = 128;
  return settings;
}

}  // namespace

struct Stores::State {
  State() : table([this](const kv::StoreOptions& options) { return open(options); }, settings()) {}

  Result<std::unique_ptr<kv::Store>> open(const kv::StoreOptions& options) {
    std::shared_ptr<kv::StoreImage>& image = images[options.directory];
    if (image == nullptr) image = std::make_shared<kv::StoreImage>();
    return kv::open_memory_store(image);
  }

  std::map<std::string, std::shared_ptr<kv::StoreImage>> images;
  kv::KvTable table;
};

Stores::Stores() : state_(std::make_unique<State>()) {}

Stores::~Stores() = default;

const bop_machine_table& Stores::table() const { return *state_->table.table(); }

void Stores::end(bool power_lost) {
  if (!power_lost) return;
  for (const auto& [directory, image] : state_->images) image->lose_power();
}

}  // namespace bop::sim

#include "capi/node/space_watch.h"

#include <filesystem>

namespace bop::capi {

namespace {

constexpr Duration measure_every = 5 * seconds;

// Sum of the sizes of the files in the directory and its subdirectories.
uint64_t bytes_in(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(directory, error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    const uint64_t size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

}  // namespace

SpaceWatch::SpaceWatch(io::Loop& loop, port::Worker& worker, metrics::Registry& registry,
                       std::string data_directory, std::vector<Store> stores,
                       std::function<void(uint64_t free_bytes)> heard)
    : loop_(loop),
      worker_(worker),
      registry_(registry),
      data_directory_(std::move(data_directory)),
      stores_(std::move(stores)),
      heard_(std::move(heard)),
      timer_(loop.make_timer([this] { measure(); })) {}

void SpaceWatch::start() { measure(); }

void SpaceWatch::measure() {
  auto measured = std::make_shared<Measured>();
  worker_.submit(
      [this, measured] {
        std::error_code error;
        const std::filesystem::space_info space = std::filesystem::space(data_directory_, error);
        measured->known = !error;
        measured->free_bytes = space.available;
        measured->size_bytes = space.capacity;
        for (const Store& store : stores_) measured->stores.push_back(bytes_in(store.directory));
      },
      [this, measured] {
        take(*measured);
        timer_->arm(loop_.now() + measure_every);
      });
}

void SpaceWatch::take(const Measured& measured) {
  if (measured.known) {
    registry_.gauge("bop_disk_free_bytes", "Free bytes of the data directory's file system")
        .set(static_cast<int64_t>(measured.free_bytes));
    registry_.gauge("bop_disk_size_bytes", "Size of the data directory's file system")
        .set(static_cast<int64_t>(measured.size_bytes));
    heard_(measured.free_bytes);
  }
  for (size_t i = 0; i < stores_.size(); ++i) {
    registry_
        .gauge("bop_store_bytes", "Bytes of the files of a group's machine",
               {{"group", stores_[i].group}, {"shard", std::to_string(stores_[i].shard)}})
        .set(static_cast<int64_t>(measured.stores[i]));
  }
}

}  // namespace bop::capi

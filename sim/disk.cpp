#include "sim/disk.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/assert.h"

namespace bop::sim {

namespace {

constexpr size_t page_sectors = 8;
constexpr uint64_t page_bytes = 4096;
constexpr size_t writes_remembered = 4;
constexpr size_t largest_remembered = 64 << 10;  // larger ones fill new files

bool is_of_names(DiskOperation kind) {
  return kind == DiskOperation::open || kind == DiskOperation::remove ||
         kind == DiskOperation::rename || kind == DiskOperation::sync_directory;
}

// Of content, not of what was never written. Nothing happens if all is zero.
void flip_bit_of_content(std::span<uint8_t> bytes, Random& random) {
  if (bytes.empty()) return;
  size_t at = random.below(bytes.size());
  for (size_t i = 0; i < bytes.size() && bytes[at] == 0; ++i) at = (at + 1) % bytes.size();
  if (bytes[at] != 0) bytes[at] ^= 1u << random.below(8);
}

std::string directory_of(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

bool is_in(const std::string& name, const std::string& directory) {
  return directory_of(name) == (directory == "." ? std::string() : directory);
}

}  // namespace

// ---- what a file is ----

struct Disk::Unsynced {
  uint64_t offset;
  std::vector<uint8_t> bytes;
};

struct Disk::Inode {
  std::vector<uint8_t> device;
  std::vector<Unsynced> cache;    // completed and not synced, in order
  std::set<uint64_t> unreadable;  // offsets of sectors
  uint64_t size = 0;              // of what a process sees

  void put(uint64_t offset, Bytes bytes) {
    if (bytes.empty()) return;
    if (device.size() < offset + bytes.size()) device.resize(offset + bytes.size());
    std::memcpy(device.data() + offset, bytes.data(), bytes.size());
    size = std::max<uint64_t>(size, device.size());
  }
  void reserve(uint64_t end) {
    if (device.size() < end) device.resize(end);
    size = std::max<uint64_t>(size, end);
  }
};

struct Disk::DirectoryChange {
  std::string name;
  std::shared_ptr<Inode> inode;  // what the name stands for from now on; nullptr: removed
  std::string also_removed;      // of a rename: the old name, in the same change
};

struct Disk::Operation {
  DiskOperation kind{};
  port::FileCompletion* done = nullptr;
  std::shared_ptr<Inode> inode;
  uint64_t offset = 0;
  std::span<uint8_t> into;
  std::vector<uint8_t> bytes;
  bool synchronous = false;
  std::string name;
  std::string to;
  port::FileOptions options;
  std::unique_ptr<port::File>* file = nullptr;
};

const char* name_of(DiskOperation kind) {
  switch (kind) {
    case DiskOperation::read: return "read";
    case DiskOperation::write: return "write";
    case DiskOperation::sync: return "sync";
    case DiskOperation::open: return "open";
    case DiskOperation::remove: return "removal";
    case DiskOperation::rename: return "renaming";
    case DiskOperation::sync_directory: return "sync of directory";
  }
  return "?";
}

class DiskFile : public port::File {
 public:
  DiskFile(Disk& disk, std::string name, std::shared_ptr<Disk::Inode> inode,
           port::FileOptions options)
      : disk_(disk),
        name_(std::move(name)),
        inode_(std::move(inode)),
        options_(options),
        alive_(disk.incarnation_) {}

  void read(uint64_t offset, std::span<uint8_t> into, port::FileCompletion& done) override {
    check(offset, into.size(), into.data());
    auto operation = begin(DiskOperation::read, done);
    operation->offset = offset;
    operation->into = into;
    disk_.start(std::move(operation));
  }

  void write(uint64_t offset, std::span<const Bytes> parts, port::FileCompletion& done) override {
    auto operation = begin(DiskOperation::write, done);
    operation->offset = offset;
    operation->synchronous = options_.synchronous;
    for (const Bytes part : parts) {
      check(offset, part.size(), part.data());
      operation->bytes.insert(operation->bytes.end(), part.begin(), part.end());
    }
    disk_.start(std::move(operation));
  }

  void sync(port::FileCompletion& done) override { disk_.start(begin(DiskOperation::sync, done)); }

  Result<size_t> read_now(uint64_t offset, std::span<uint8_t> into) override {
    check(offset, into.size(), into.data());
    const auto call = disk_.begin_blocking(DiskOperation::read);
    if (call.error || call.dies) return disk_.failure(call.error, DiskOperation::read, name_);
    return disk_.read(*inode_, offset, into);
  }
  Status write_now(uint64_t offset, Bytes bytes) override {
    check(offset, bytes.size(), bytes.data());
    const auto call = disk_.begin_blocking(DiskOperation::write);
    const bool reached_device = call.error != BOP_OK && !disk_.dead_;
    if (reached_device || (call.dies && options_.synchronous)) {
      disk_.tear(*inode_, offset, bytes);
    } else if (call.dies) {
      return disk_.die_in(DiskOperation::write, name_,
                          [&] { return disk_.write(*inode_, offset, bytes, false); });
    }
    if (call.error || call.dies) return disk_.failure(call.error, DiskOperation::write, name_);
    return disk_.write(*inode_, offset, bytes, options_.synchronous);
  }
  Status sync_now() override {
    const auto call = disk_.begin_blocking(DiskOperation::sync);
    if (call.dies)
      return disk_.die_in(DiskOperation::sync, name_, [&] { return disk_.sync(*inode_); });
    if (call.error) return disk_.failure(call.error, DiskOperation::sync, name_);
    return disk_.sync(*inode_);
  }

  Result<uint64_t> size() const override { return inode_->size; }
  size_t alignment() const override { return options_.direct ? 4096 : 1; }
  bool direct() const override { return options_.direct; }
  void renamed(const std::string& name) override { name_ = name; }

 private:
  void check(uint64_t offset, size_t size, const void* memory) const {
    BOP_ASSERT_EQ(alive_, disk_.incarnation_);
    BOP_ASSERT_EQ(offset % alignment(), 0u);
    BOP_ASSERT_EQ(size % alignment(), 0u);
    BOP_ASSERT_EQ(reinterpret_cast<uintptr_t>(memory) % alignment(), 0u);
  }
  std::unique_ptr<Disk::Operation> begin(DiskOperation kind, port::FileCompletion& done) {
    BOP_ASSERT_EQ(alive_, disk_.incarnation_);
    BOP_ASSERT(!options_.read_only || kind == DiskOperation::read);
    auto operation = std::make_unique<Disk::Operation>();
    operation->kind = kind;
    operation->done = &done;
    operation->inode = inode_;
    operation->name = name_;
    return operation;
  }

  Disk& disk_;
  std::string name_;  // for messages
  const std::shared_ptr<Disk::Inode> inode_;
  const port::FileOptions options_;
  const uint64_t alive_;
};

Disk::Disk(uint64_t seed, Delay delay)
    : random_(seed), delay_(std::move(delay)), self_(std::make_shared<Disk*>(this)) {}

Disk::~Disk() { *self_ = nullptr; }

// ---- operations ----

void Disk::open(std::string name, port::FileOptions options, std::unique_ptr<port::File>& file,
                port::FileCompletion& done) {
  auto operation = std::make_unique<Operation>();
  operation->kind = DiskOperation::open;
  operation->name = std::move(name);
  operation->options = options;
  operation->file = &file;
  operation->done = &done;
  start(std::move(operation));
}

void Disk::remove(std::string name, port::FileCompletion& done) {
  auto operation = std::make_unique<Operation>();
  operation->kind = DiskOperation::remove;
  operation->name = std::move(name);
  operation->done = &done;
  start(std::move(operation));
}

void Disk::rename(std::string from, std::string to, port::FileCompletion& done) {
  auto operation = std::make_unique<Operation>();
  operation->kind = DiskOperation::rename;
  operation->name = std::move(from);
  operation->to = std::move(to);
  operation->done = &done;
  start(std::move(operation));
}

void Disk::sync_directory(std::string name, port::FileCompletion& done) {
  auto operation = std::make_unique<Operation>();
  operation->kind = DiskOperation::sync_directory;
  operation->name = std::move(name);
  operation->done = &done;
  start(std::move(operation));
}

void Disk::start(std::unique_ptr<Operation> operation) {
  const uint64_t size = operation->into.size() + operation->bytes.size();
  const uint64_t id = next_id_++;
  if (dead_) return;  // it never completes
  const DiskOperation kind = operation->kind;
  operations_.emplace(id, std::move(operation));
  if (reach(kind, false)) std::exchange(awaited_then_, {})(false);
  if (!delay_) return;
  Duration drawn = random_.between(latency_.least, latency_.most);
  if (is_of_names(kind)) drawn = drawn * latency_.names_percent / 100;
  if (const DelayOfOne more = std::exchange(delays_[static_cast<size_t>(kind)], {}); more.by > 0) {
    ++counters_.delayed;
    drawn += more.by;
    if (more.begun) more.begun();
  }
  const Duration transfer = static_cast<Duration>(size) * latency_.per_mebibyte / (1 << 20);
  delay_(drawn + transfer, [self = self_, id] {
    if (*self != nullptr) (*self)->complete(id);
  });
}

void Disk::complete(uint64_t id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;  // a crash took it
  if (dead_) return;                       // a crash will
  if (stalled_) {
    overdue_.push_back(id);
    return;
  }
  const std::unique_ptr<Operation> operation = std::move(found->second);
  operations_.erase(found);
  operation->done->complete(perform(*operation));
}

bool Disk::step() {
  if (stalled_ || operations_.empty()) return false;
  auto next = operations_.begin();
  if (faults_.shuffle) std::advance(next, static_cast<long>(random_.below(operations_.size())));
  if (faults_.reads_last) {
    const auto other = std::ranges::find_if(operations_, [](const auto& operation) {
      return operation.second->kind != DiskOperation::read;
    });
    if (other != operations_.end()) next = other;
  }
  complete(next->first);
  return true;
}

void Disk::run() {
  while (step()) {
  }
}

void Disk::stall(bool stalled) {
  stalled_ = stalled;
  if (stalled) return;
  for (const uint64_t id : std::exchange(overdue_, {})) {
    delay_(0, [self = self_, id] {
      if (*self != nullptr) (*self)->complete(id);
    });
  }
}

Result<size_t> Disk::perform(Operation& operation) {
  if (const bop_status error = injected(operation.kind, Calls::asynchronous)) {
    if (operation.kind == DiskOperation::write) {
      tear(*operation.inode, operation.offset, operation.bytes);
    }
    return failure(error, operation.kind, operation.name);
  }
  const Trick trick = trick_on(operation.kind);
  switch (operation.kind) {
    case DiskOperation::read: {
      if (trick != Trick::misread) break;
      // Another block, so that it is of another place.
      const uint64_t blocks = operation.inode->size / page_bytes;
      const uint64_t shift = blocks > 1 ? 1 + random_.below(blocks - 1) : 0;
      const uint64_t block = operation.offset / page_bytes;
      if (shift == 0 || block >= blocks) break;
      ++counters_.misreads;
      const Result<size_t> size = read(*operation.inode, operation.offset, operation.into);
      if (random_.chance(1, 2)) {
        if (size) flip_bit_of_content(operation.into.first(*size), random_);
        return size;
      }
      const Result<size_t> other =
          read(*operation.inode, (block + shift) % blocks * page_bytes, operation.into);
      return other ? size : other;
    }
    case DiskOperation::write:
      if (trick == Trick::lost_write || trick == Trick::misdirected_write) {
        const size_t size = operation.bytes.size();
        if (trick == Trick::misdirected_write) write_elsewhere(operation);
        ++(trick == Trick::lost_write ? counters_.lost_writes : counters_.misdirected_writes);
        operation.inode->reserve(operation.offset + size);
        unproven_.push_back(std::make_unique<Operation>(std::move(operation)));
        return size;
      }
      BOP_TRY(write(*operation.inode, operation.offset, operation.bytes, operation.synchronous));
      if (operation.bytes.size() <= largest_remembered)
        written_.push_back({operation.inode, operation.offset, operation.bytes.size()});
      if (written_.size() > writes_remembered) written_.pop_front();
      return operation.bytes.size();
    case DiskOperation::sync: BOP_TRY(sync(*operation.inode)); break;
    case DiskOperation::open: {
      BOP_TRY_ASSIGN(auto inode, find_or_create(operation.name, operation.options));
      *operation.file = std::make_unique<DiskFile>(*this, operation.name, inode, operation.options);
      break;
    }
    case DiskOperation::remove: BOP_TRY(remove_name(operation.name)); break;
    case DiskOperation::rename: BOP_TRY(rename_name(operation.name, operation.to)); break;
    case DiskOperation::sync_directory: BOP_TRY(sync_names(operation.name)); break;
  }
  if (operation.kind == DiskOperation::read)
    return read(*operation.inode, operation.offset, operation.into);
  return size_t{0};
}

bop_status Disk::injected(DiskOperation kind, Calls calls) {
  for (auto i = injected_.begin(); i != injected_.end(); ++i) {
    if (i->kind != kind || (i->calls == Calls::asynchronous && calls == Calls::all)) continue;
    if (i->skip > 0) {
      --i->skip;
      continue;
    }
    const bop_status error = i->error;
    if (--i->times == 0) injected_.erase(i);
    return error;
  }
  return BOP_OK;
}

std::unexpected<Error> Disk::failure(bop_status error, DiskOperation kind,
                                     const std::string& name) {
  const std::string what = std::string(name_of(kind)) + " of " + name;
  if (dead_) return bop::fail(BOP_E_IO, what + ": the process is dead");
  switch (kind) {
    case DiskOperation::read: ++counters_.failed_reads; break;
    case DiskOperation::write: ++counters_.failed_writes; break;
    default: ++counters_.failed_others;
  }
  return bop::fail(error, what + ": injected");
}

void Disk::fail(DiskOperation kind, bop_status error, uint64_t nth, uint64_t times, Calls calls) {
  BOP_ASSERT(nth >= 1 && times >= 1);
  injected_.push_back({kind, error, nth - 1, times, calls});
}

Disk::Trick Disk::trick_on(DiskOperation kind) {
  if (kind != DiskOperation::read && kind != DiskOperation::write) return Trick::none;
  Trick due = Trick::none;
  for (Armed& armed : tricks_) {
    const bool on_read = armed.trick == Trick::misread;
    if (on_read != (kind == DiskOperation::read)) continue;
    if (armed.nth > 0) --armed.nth;
    if (armed.nth > 0 || due != Trick::none) continue;
    due = std::exchange(armed.trick, Trick::none);
  }
  std::erase_if(tricks_, [](const Armed& armed) { return armed.trick == Trick::none; });
  return due;
}

// Of a file in the same directory, and never at the same offset: what an earlier use of a recycled file left there
// looks no different.
void Disk::write_elsewhere(const Operation& write) {
  std::vector<std::shared_ptr<Inode>> victims;
  for (const auto& [name, inode] : names_) {
    const bool fits = inode->device.size() >= write.bytes.size() + page_bytes;
    if (fits && inode->cache.empty() && directory_of(name) == directory_of(write.name))
      victims.push_back(inode);
  }
  if (victims.empty()) return;
  Inode& victim = *victims[random_.below(victims.size())];
  const uint64_t places = (victim.device.size() - write.bytes.size()) / page_bytes + 1;
  const uint64_t place = random_.below(places) * page_bytes;
  if (place != write.offset) victim.put(place, write.bytes);
}

void Disk::prove(const Inode& inode) {
  std::erase_if(unproven_, [&](const auto& write) { return write->inode.get() == &inode; });
}

void Disk::land_unproven() {
  for (const auto& write : std::exchange(unproven_, {})) {
    ++counters_.landed_after_all;
    write->inode->put(write->offset, write->bytes);
  }
}

void Disk::heal() {
  injected_.clear();
  tricks_.clear();
  delays_ = {};
}

void Disk::at_operation(DiskOperation kind, uint64_t nth, Then then) {
  BOP_ASSERT_GE(nth, 1u);
  awaited_kind_ = kind;
  awaited_ = nth;
  awaited_then_ = std::move(then);
}

bool Disk::reach(DiskOperation kind, bool blocking) {
  if (awaited_ == 0 || kind != awaited_kind_ || --awaited_ > 0) return false;
  ++counters_.crashes_at[static_cast<size_t>(kind)];
  if (blocking) ++counters_.crashes_within[static_cast<size_t>(kind)];
  return true;
}

// ---- blocking calls ----

Disk::Blocking Disk::begin_blocking(DiskOperation kind) {
  if (dead_) return {BOP_E_IO, false};
  if (reach(kind, true)) {
    dead_ = true;
    std::exchange(awaited_then_, {})(true);
    return {BOP_E_IO, true};
  }
  return {injected(kind, Calls::all), false};
}

template <class Effect>
Status Disk::die_in(DiskOperation kind, const std::string& name, Effect effect) {
  if (random_.chance(1, 2)) (void)effect();
  return failure(BOP_E_IO, kind, name);
}

Result<std::unique_ptr<port::File>> Disk::open_now(const std::string& name,
                                                   port::FileOptions options) {
  const Blocking call = begin_blocking(DiskOperation::open);
  if (call.dies && options.create && random_.chance(1, 2)) (void)find_or_create(name, options);
  if (call.error || call.dies) return failure(call.error, DiskOperation::open, name);
  BOP_TRY_ASSIGN(auto inode, find_or_create(name, options));
  return std::make_unique<DiskFile>(*this, name, inode, options);
}

Result<std::vector<std::string>> Disk::list_now(const std::string& directory) {
  if (dead_) return bop::fail(BOP_E_IO, "the process is dead");
  std::vector<std::string> names;
  const auto list = [&](const std::string& name) {
    if (is_in(name, directory)) names.push_back(name.substr(name.rfind('/') + 1));
  };
  for (const auto& [name, inode] : names_) list(name);
  for (const std::string& name : directories_) list(name);
  std::ranges::sort(names);
  const bool known = std::ranges::find(directories_, directory) != directories_.end();
  if (names.empty() && !known && !directory.empty() && directory != ".") {
    return bop::fail(BOP_E_NOT_FOUND, describe(directory));
  }
  return names;
}

Status Disk::make_directory_now(const std::string& name) {
  for (size_t end = name.find('/'); true; end = name.find('/', end + 1)) {
    const std::string each = name.substr(0, end);
    if (std::ranges::find(directories_, each) == directories_.end()) directories_.push_back(each);
    if (end == std::string::npos) return {};
  }
}

Status Disk::remove_now(const std::string& name) {
  const auto effect = [&] { return remove_name(name); };
  const Blocking call = begin_blocking(DiskOperation::remove);
  if (call.dies) return die_in(DiskOperation::remove, name, effect);
  if (call.error) return failure(call.error, DiskOperation::remove, name);
  return effect();
}

Status Disk::rename_now(const std::string& from, const std::string& to) {
  const auto effect = [&] { return rename_name(from, to); };
  const Blocking call = begin_blocking(DiskOperation::rename);
  if (call.dies) return die_in(DiskOperation::rename, from, effect);
  if (call.error) return failure(call.error, DiskOperation::rename, from);
  return effect();
}

Status Disk::sync_directory_now(const std::string& name) {
  const auto effect = [&] { return sync_names(name); };
  const Blocking call = begin_blocking(DiskOperation::sync_directory);
  if (call.dies) return die_in(DiskOperation::sync_directory, name, effect);
  if (call.error) return failure(call.error, DiskOperation::sync_directory, name);
  return effect();
}

Result<uint64_t> Disk::free_bytes() const {
  if (capacity_ == 0) return uint64_t{1} << 50;
  const uint64_t used = used_bytes();
  return used < capacity_ ? capacity_ - used : 0;
}

std::string Disk::describe(const std::string& name) const { return "disk/" + name; }

uint64_t Disk::used_bytes() const {
  uint64_t used = 0;
  for (const auto& [name, inode] : names_) used += inode->size;
  return used;
}

// ---- effects ----

Result<std::shared_ptr<Disk::Inode>> Disk::find_or_create(const std::string& name,
                                                          port::FileOptions options) {
  const auto found = names_.find(name);
  if (options.create) {
    if (found != names_.end()) return bop::fail(BOP_E_IO, describe(name) + ": exists");
    auto inode = std::make_shared<Inode>();
    change({name, inode, {}});
    return inode;
  }
  if (found == names_.end()) return bop::fail(BOP_E_NOT_FOUND, describe(name));
  if (!options.read_only) BOP_TRY(take_lock(name, found->second.get()));
  return found->second;
}

Status Disk::take_lock(const std::string& name, const Inode* inode) {
  if (faults_.ignore_locks) return {};
  const auto holds = [&](const auto& write) { return write->inode.get() == inode; };
  const auto held = std::ranges::count_if(late_writes_, holds);
  if (held == 0) return {};
  if (random_.chance(1, 8)) {
    return bop::fail(BOP_E_DIRECTORY_IN_USE, describe(name) + " is still locked");
  }
  for (const auto& write : late_writes_) {
    if (holds(write)) land(*write);
  }
  std::erase_if(late_writes_, holds);
  waited_for_ += static_cast<uint64_t>(held);
  return {};
}

void Disk::land(const Operation& late) {
  // Whether there was space for it nobody is told any more.
  [[maybe_unused]] const Status landed =
      write(*late.inode, late.offset, late.bytes, late.synchronous);
}

void Disk::land_late_writes() {
  for (const auto& write : std::exchange(late_writes_, {})) land(*write);
}

Result<size_t> Disk::read(Inode& inode, uint64_t offset, std::span<uint8_t> into) {
  if (offset >= inode.size) return size_t{0};
  const size_t size = std::min<uint64_t>(into.size(), inode.size - offset);
  const auto lost = inode.unreadable.lower_bound(offset / 512 * 512);
  if (lost != inode.unreadable.end() && *lost < offset + size) {
    ++counters_.unreadable;
    return bop::fail(BOP_E_IO, "sector cannot be read");
  }
  std::memset(into.data(), 0, size);
  if (offset < inode.device.size()) {
    std::memcpy(into.data(), inode.device.data() + offset,
                std::min<uint64_t>(size, inode.device.size() - offset));
  }
  for (const Unsynced& write : inode.cache) {
    const uint64_t from = std::max(offset, write.offset);
    const uint64_t to = std::min(offset + size, write.offset + write.bytes.size());
    if (from < to) {
      std::memcpy(into.data() + (from - offset), write.bytes.data() + (from - write.offset),
                  to - from);
    }
  }
  return size;
}

Status Disk::write(Inode& inode, uint64_t offset, Bytes bytes, bool synchronous) {
  const uint64_t end = offset + bytes.size();
  if (capacity_ > 0 && end > inode.size && used_bytes() + (end - inode.size) > capacity_) {
    ++counters_.refused_full;
    return bop::fail(BOP_E_DISK_FULL, "the simulated disk is full");
  }
  inode.unreadable.erase(inode.unreadable.lower_bound(offset), inode.unreadable.lower_bound(end));
  if (!unproven_.empty()) prove(inode);
  if (synchronous) {
    // A synchronous write also overtakes what is cached of the same bytes.
    BOP_TRY(sync(inode));
    inode.put(offset, bytes);
  } else {
    inode.cache.push_back({offset, {bytes.begin(), bytes.end()}});
    inode.size = std::max(inode.size, end);
  }
  return {};
}

Status Disk::sync(Inode& inode) {
  for (const Unsynced& write : inode.cache) inode.put(write.offset, write.bytes);
  inode.cache.clear();
  return {};
}

void Disk::change(DirectoryChange change) {
  if (!change.also_removed.empty()) names_.erase(change.also_removed);
  if (change.inode == nullptr) {
    names_.erase(change.name);
  } else {
    names_[change.name] = change.inode;
  }
  changes_.push_back(std::move(change));
}

Status Disk::remove_name(const std::string& name) {
  if (!names_.contains(name)) return bop::fail(BOP_E_NOT_FOUND, describe(name));
  change({name, nullptr, {}});
  return {};
}

Status Disk::rename_name(const std::string& from, const std::string& to) {
  const auto found = names_.find(from);
  if (found == names_.end()) return bop::fail(BOP_E_NOT_FOUND, describe(from));
  prove(*found->second);  // a segment that is used again
  change({to, found->second, from});
  return {};
}

namespace {

template <class Names, class Change>
void make_durable(Names& names, const Change& change) {
  if (!change.also_removed.empty()) names.erase(change.also_removed);
  if (change.inode == nullptr) {
    names.erase(change.name);
  } else {
    names[change.name] = change.inode;
  }
}

}  // namespace

Status Disk::sync_names(const std::string& directory) {
  std::vector<DirectoryChange> others;
  for (DirectoryChange& change : changes_) {
    if (is_in(change.name, directory)) {
      make_durable(durable_names_, change);
    } else {
      others.push_back(std::move(change));
    }
  }
  changes_ = std::move(others);
  return {};
}

// ---- crashes ----

void Disk::tear(Inode& inode, uint64_t offset, Bytes bytes) {
  const uint32_t sector = faults_.sector_bytes;
  const uint64_t used = capacity_ > 0 ? used_bytes() : 0;
  if (capacity_ > 0 && offset + bytes.size() > inode.size && used >= capacity_) return;
  const Torn torn = draw_tear(bytes.size() / sector + 1);
  size_t number = 0;
  size_t written = 0;
  for (size_t at = 0; at < bytes.size(); ++number) {
    const size_t size = std::min<size_t>(sector - (offset + at) % sector, bytes.size() - at);
    if (reaches_device(torn, number)) {
      ++written;
      inode.put(offset + at, bytes.subspan(at, size));
      inode.unreadable.erase(offset + at);
    }
    at += size;
  }
  if (written > 0 && written < number) ++counters_.torn_writes;
}

// Any subset of the sectors may have been written. Those that a drive leaves most often, and those at the
// edges, would hardly be met if each sector were drawn alone: a block of eight is whole once in 256 times.
Disk::Torn Disk::draw_tear(size_t sectors) {
  Torn torn;
  torn.pattern = static_cast<Torn::Pattern>(random_.below(Torn::patterns));
  torn.at = random_.below(sectors);
  torn.seed = random_.next();
  return torn;
}

bool Disk::reaches_device(const Torn& torn, size_t sector) {
  const auto drawn = [&](size_t number) { return Random(torn.seed + number).chance(1, 2); };
  switch (torn.pattern) {
    case Torn::none: return false;
    case Torn::all: return true;
    case Torn::prefix: return sector < torn.at;
    case Torn::suffix: return sector >= torn.at;
    case Torn::only_one: return sector == torn.at;
    case Torn::all_but_one: return sector != torn.at;
    case Torn::pages: return drawn(sector / page_sectors);
    case Torn::sectors: return drawn(sector);
  }
  return false;
}

void Disk::tear_operations() {
  land_unproven();
  for (auto& [id, operation] : operations_) {
    if (operation->kind == DiskOperation::write) {
      tear(*operation->inode, operation->offset, operation->bytes);
    }
  }
  operations_.clear();
  overdue_.clear();
  stalled_ = false;
  awaited_ = 0;
  awaited_then_ = nullptr;
  dead_ = false;
  ++incarnation_;
}

void Disk::process_crash() { tear_operations(); }

void Disk::process_crash_with_late_writes() {
  for (auto& [id, operation] : operations_) {
    if (operation->kind == DiskOperation::write) late_writes_.push_back(std::move(operation));
  }
  std::erase_if(operations_, [](const auto& operation) { return operation.second == nullptr; });
  tear_operations();
}

void Disk::lose_page_cache() {
  std::set<Inode*> seen;
  std::vector<Inode*> inodes;  // in the order of the names, not of their addresses
  for (const Names* names : {&names_, &durable_names_}) {
    for (const auto& [name, inode] : *names) {
      if (seen.insert(inode.get()).second) inodes.push_back(inode.get());
    }
  }
  for (Inode* inode : inodes) {
    for (const Unsynced& write : std::exchange(inode->cache, {})) {
      tear(*inode, write.offset, write.bytes);
    }
    inode->size = inode->device.size();
  }
}

void Disk::lose_directory_changes() {
  const uint64_t kept = random_.below(changes_.size() + 1);
  for (uint64_t i = 0; i < kept; ++i) make_durable(durable_names_, changes_[i]);
  changes_.clear();
  names_ = durable_names_;
}

void Disk::power_loss() {
  for (const auto& write : std::exchange(late_writes_, {})) {
    tear(*write->inode, write->offset, write->bytes);
  }
  tear_operations();
  lose_page_cache();
  lose_directory_changes();
}

// ---- looking and altering ----

std::vector<uint8_t>& Disk::bytes(const std::string& name) {
  const auto found = names_.find(name);
  BOP_ASSERT(found != names_.end());
  BOP_ASSERT(found->second->cache.empty());
  return found->second->device;
}

void Disk::flip_bit(const std::string& name, uint64_t offset, int bit) {
  bytes(name).at(offset) ^= static_cast<uint8_t>(1u << bit);
  ++counters_.flipped_bits;
}

std::optional<Disk::Place> Disk::recently_written(Random& random) const {
  std::vector<Place> places;
  for (const Written& write : written_) {
    const auto inode = write.inode.lock();
    const auto named =
        std::ranges::find_if(names_, [&](const auto& name) { return name.second == inode; });
    if (named != names_.end() && write.size > 0)
      places.push_back({named->first, write.offset + random.below(write.size)});
  }
  if (places.empty()) return {};
  return random.chance(1, 2) ? places.back() : places[random.below(places.size())];
}

void Disk::flip_bit(const std::string& name, Random& random) {
  const size_t size = names_.at(name)->device.size();
  if (size > 0) flip_bit(name, random.below(size), static_cast<int>(random.below(8)));
}

void Disk::lose_sector(const std::string& name, uint64_t offset) {
  const auto found = names_.find(name);
  BOP_ASSERT(found != names_.end());
  found->second->unreadable.insert(offset / 512 * 512);
}

Disk::Image Disk::image() const {
  BOP_ASSERT(operations_.empty());
  Image image;
  for (const auto& [name, inode] : names_) {
    BOP_ASSERT(inode->cache.empty());
    image[name] = inode->device;
  }
  return image;
}

void Disk::load(const Image& image) {
  BOP_ASSERT(operations_.empty());
  late_writes_.clear();
  ++incarnation_;
  names_.clear();
  for (const auto& [name, bytes] : image) {
    auto inode = std::make_shared<Inode>();
    inode->device = bytes;
    inode->size = bytes.size();
    names_[name] = std::move(inode);
  }
  durable_names_ = names_;
  changes_.clear();
}

}  // namespace bop::sim

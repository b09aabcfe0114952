#include "machine/kv/store_mdbx.h"

#include <mdbx.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <vector>

#include "base/assert.h"
#include "machine/kv/page_check.h"
#include "machine/kv/record.h"
#include "mem/address_space.h"
#include "mem/map_guard.h"
#include "mem/page_cache.h"

namespace bop::machine::kv {

namespace {

constexpr uint64_t default_largest_bytes = uint64_t{256} << 30;  // of the file
constexpr intptr_t growth_bytes = 16 << 20;                      // step by which the file grows
constexpr intptr_t shrink_bytes = 256 << 20;  // the file shrinks when its unused end is this large
// The least address space that is mapped beyond the file's end, for it to grow before it is mapped again.
constexpr uint64_t least_headroom_bytes = 64 << 20;
// Address space that this headroom must leave to the process. If it would not, the file gets space to grow once.
constexpr uint64_t spare_address_space = 256 << 20;
// Address space that a growth of the file must leave to the process.
constexpr uint64_t least_spare_address_space = 32 << 20;
// Blocks that are allocated beyond the space that a flush has used so far: more than the changes between two
// checks can use, and the free list that its commit writes.
constexpr uint64_t allocated_ahead_bytes = 8 << 20;
constexpr size_t look_after_changes = 256;
constexpr size_t look_after_bytes = 1 << 20;
// Dirty pages that a flush keeps in memory before it writes some early.
constexpr uint64_t dirty_pages = 16384;
constexpr uint64_t least_dirty_pages = 1024;
// What pinned states may keep from being reused, beside as much as the file has.
constexpr uint64_t least_pinned_bytes = 256 << 20;
constexpr unsigned meta_pages = 3;

constexpr uint32_t progress_version = 2;
constexpr size_t progress_bytes = 80;

// ---- errors ----

bop_status code_of(int rc) {
  switch (rc) {
    case MDBX_MAP_FULL:
    case ENOSPC: return BOP_E_DISK_FULL;
    case MDBX_CORRUPTED:
    case MDBX_PAGE_NOTFOUND:
    case MDBX_INVALID:
    case MDBX_EKEYMISMATCH: return BOP_E_DAMAGED;
    case MDBX_VERSION_MISMATCH: return BOP_E_NEWER_FORMAT;
    case MDBX_BUSY:
    case EAGAIN: return BOP_E_DIRECTORY_IN_USE;
    default: return BOP_E_IO;
  }
}

// Functions of libmdbx return 0, MDBX_RESULT_TRUE (-1, which is no error) or an error.
Status check(int rc, const std::string& path, const char* what) {
  if (rc == MDBX_SUCCESS || rc == MDBX_RESULT_TRUE) return {};
  return fail(code_of(rc), path + ": " + what + ": " + mdbx_strerror(rc));
}

// ---- messages of libmdbx ----

// libmdbx has one log function for the whole process, which logs for the store that is calling it.
thread_local const StoreOptions* logging_for = nullptr;

class LoggingScope {
 public:
  // `silent`: nothing is logged.
  explicit LoggingScope(const StoreOptions& options, bool silent = false) : before_(logging_for) {
    logging_for = silent ? nullptr : &options;
  }
  ~LoggingScope() { logging_for = before_; }
  LoggingScope(const LoggingScope&) = delete;
  LoggingScope& operator=(const LoggingScope&) = delete;

 private:
  const StoreOptions* before_;
};

int32_t level_of(MDBX_log_level_t level) {
  if (level <= MDBX_LOG_ERROR) return 3;
  return level == MDBX_LOG_WARN ? 2
                                : 0;  // notices are logged at every open, so they count as debug
}

void log(MDBX_log_level_t level, const char* function, int line, const char* format,
         va_list arguments) noexcept {
  if (logging_for == nullptr || !logging_for->log) return;
  std::array<char, 512> text;
  const int head = std::snprintf(text.data(), text.size(),
                                 "libmdbx: %s:%d: ", function == nullptr ? "" : function, line);
  if (head < 0 || static_cast<size_t>(head) >= text.size()) return;
  std::vsnprintf(text.data() + head, text.size() - static_cast<size_t>(head), format, arguments);
  std::string_view whole(text.data());
  while (!whole.empty() && whole.back() == '\n') whole.remove_suffix(1);
  logging_for->log(level_of(level), std::string(whole).c_str());
}

// ---- going back to the last sync ----

struct CloseEnvironment {
  // Without a sync: commits that are not durable are in doubt, and the next open drops them.
  void operator()(MDBX_env* env) const { mdbx_env_close_ex(env, true); }
};
using Environment = std::unique_ptr<MDBX_env, CloseEnvironment>;

Result<Environment> make_environment(const std::string& path) {
  MDBX_env* env = nullptr;
  BOP_TRY(check(mdbx_env_create(&env), path, "create"));
  return Environment(env);
}

// The signature of a meta page: 0: none; 1: of a commit that was not synced; else a checksum.
bool is_synced(uint64_t signature) { return signature > 1; }

// Which of the three meta pages is the newest, and which is the newest synced one.
struct Metas {
  unsigned newest = 0;
  std::optional<unsigned> synced;
};

Metas metas_of(const MDBX_envinfo& info) {
  Metas metas;
  for (unsigned i = 0; i < meta_pages; ++i) {
    const uint64_t number = info.mi_meta_txnid[i];
    if (number > info.mi_meta_txnid[metas.newest]) metas.newest = i;
    if (!is_synced(info.mi_meta_sign[i])) continue;
    if (!metas.synced || number > info.mi_meta_txnid[*metas.synced]) metas.synced = i;
  }
  return metas;
}

// Opens the file as if the given meta page were the newest, and inspects all three. If the given one is the
// newest synced page, but not the newest, makes it the newest.
Result<Metas> look_from(const std::string& path, unsigned meta) {
  BOP_TRY_ASSIGN(const Environment env, make_environment(path));
  BOP_TRY(check(mdbx_env_open_for_recovery(env.get(), path.c_str(), meta, true), path,
                "look at its states"));
  MDBX_envinfo info;
  BOP_TRY(check(mdbx_env_info_ex(env.get(), nullptr, &info, sizeof info), path, "info"));
  const Metas metas = metas_of(info);
  if (metas.synced == meta && metas.newest != meta)
    BOP_TRY(check(mdbx_env_turn_for_recovery(env.get(), meta), path, "return to the last sync"));
  return metas;
}

// libmdbx would continue with commits that a process left without a sync, unless the operating system was
// restarted since. store.h explains why they are dropped.
Status go_back_to_sync(const std::string& path, const StoreOptions& options) {
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) == 0 || ignored) return {};
  Error error;
  for (unsigned meta = 0; meta < meta_pages; ++meta) {
    Result<Metas> metas = look_from(path, meta);
    if (!metas) {
      error = metas.error();  // perhaps only this meta page is damaged
      continue;
    }
    if (!metas->synced) return fail(BOP_E_DAMAGED, path + ": there is no synced state");
    if (*metas->synced == metas->newest) return {};
    if (*metas->synced != meta) BOP_TRY(look_from(path, *metas->synced));
    if (options.log) options.log(1, "the store returned to its last synced state");
    return {};
  }
  return std::unexpected(error);
}

// ---- records ----

MDBX_val value_of(Bytes bytes) { return {const_cast<uint8_t*>(bytes.data()), bytes.size()}; }
Bytes bytes_of(const MDBX_val& value) {
  return {static_cast<const uint8_t*>(value.iov_base), value.iov_len};
}

// The file as it is mapped.
class MappedFile {
 public:
  MappedFile(const std::string& path, mdbx_filehandle_t file) : path_(path), guard_(file) {}

  // The offset of bytes in the file; nullopt: they are elsewhere, as in the pages of a flush.
  std::optional<uint64_t> offset_of(const void* bytes) const {
    const auto* at = static_cast<const uint8_t*>(bytes);
    const Bytes map = guard_.map();
    if (map.empty() || at < map.data() || at >= map.data() + map.size()) return {};
    return static_cast<uint64_t>(at - map.data());
  }

  Result<Stored> verified(Bytes key, const MDBX_val& value) const {
    const std::optional<uint64_t> offset = offset_of(value.iov_base);
    const uint64_t key_hash = hash64(key);
    // With a damaged size, the value may not even be within the map.
    if (!offset || value.iov_len <= guard_.map().size() - *offset)
      if (const auto stored = parse_stored(key_hash, bytes_of(value))) return *stored;
    return fail(BOP_E_DAMAGED, path_ + (offset ? " at " + std::to_string(*offset) : std::string()) +
                                   ": the record with key hash " + hex(key_hash) +
                                   " does not match its checksum");
  }

  // An error once a page could not be read: whatever was read since the map exists may be wrong.
  Status readable() const {
    const auto offset = guard_.unreadable();
    if (!offset) return {};
    return fail(BOP_E_DAMAGED,
                path_ + " at " + std::to_string(*offset) +
                    ": the device cannot read this page, or the file ends before it");
  }
  // The result of reading, unless a page could not be read.
  template <class T>
  Result<T> if_readable(Result<T> result) const {
    BOP_TRY(readable());
    return result;
  }

 private:
  const std::string& path_;
  const mem::MapGuard guard_;
};

constexpr std::string_view progress_key = "progress";

void encode(const Progress& progress, const StoreIdentity& identity,
            std::array<uint8_t, progress_bytes>& out) {
  store_le<uint32_t>(out.data(), progress_version);
  store_le<uint64_t>(out.data() + 8, progress.position.index);
  store_le<uint64_t>(out.data() + 16, progress.position.term);
  store_le<uint64_t>(out.data() + 24, progress.totals.low);
  store_le<uint64_t>(out.data() + 32, progress.totals.high);
  store_le<uint64_t>(out.data() + 40, progress.totals.records);
  std::copy(identity.cluster.begin(), identity.cluster.end(), out.begin() + 48);
  store_le<uint64_t>(out.data() + 64, identity.group);
  store_le<uint64_t>(out.data() + 72, identity.instance);
  store_le<uint32_t>(out.data() + 4, crc32c(Bytes(out).subspan(8)));
}

struct Head {
  Progress progress;
  StoreIdentity identity;
};

Result<Head> decode_progress(Bytes bytes, const std::string& path) {
  if (bytes.size() < 4) return fail(BOP_E_DAMAGED, path + ": the progress record is too short");
  const auto version = load_le<uint32_t>(bytes.data());
  if (version > progress_version)
    return fail(BOP_E_NEWER_FORMAT, path + ": format " + std::to_string(version) +
                                        "; this bop reads formats up to " +
                                        std::to_string(progress_version));
  if (version != 0 && version < progress_version)
    return fail(BOP_E_OLDER_FORMAT,
                path + ": format " + std::to_string(version) + "; this bop reads format " +
                    std::to_string(progress_version) +
                    ". Start the release that wrote it, or format a new directory");
  if (version != progress_version || bytes.size() != progress_bytes ||
      load_le<uint32_t>(bytes.data() + 4) != crc32c(bytes.subspan(8)))
    return fail(BOP_E_DAMAGED, path + ": the progress record does not match its checksum");
  Head head;
  head.progress.position = {load_le<uint64_t>(bytes.data() + 8),
                            load_le<uint64_t>(bytes.data() + 16)};
  head.progress.totals = {load_le<uint64_t>(bytes.data() + 24),
                          load_le<uint64_t>(bytes.data() + 32),
                          load_le<uint64_t>(bytes.data() + 40)};
  std::copy_n(bytes.begin() + 48, head.identity.cluster.size(), head.identity.cluster.begin());
  head.identity.group = load_le<uint64_t>(bytes.data() + 64);
  head.identity.instance = load_le<uint64_t>(bytes.data() + 72);
  return head;
}

std::string describe(const StoreIdentity& identity) {
  std::string cluster;
  for (const uint8_t byte : identity.cluster) cluster += fmt::format("{:02x}", byte);
  return fmt::format("instance {} of group {} of cluster {}", identity.instance, identity.group,
                     cluster);
}

// ---- transactions ----

class Cursor {
 public:
  Cursor() = default;
  ~Cursor() { close(); }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  Status open(MDBX_txn* txn, MDBX_dbi dbi, const std::string& path) {
    return check(mdbx_cursor_open(txn, dbi, &cursor_), path, "open of a cursor");
  }
  void close() {
    if (cursor_ != nullptr) mdbx_cursor_close(cursor_);
    cursor_ = nullptr;
  }
  MDBX_cursor* get() const { return cursor_; }

 private:
  MDBX_cursor* cursor_ = nullptr;
};

class MdbxSnapshot final : public Snapshot {
 public:
  MdbxSnapshot(MDBX_txn* txn, MDBX_dbi records, const std::string& path, const MappedFile& file)
      : txn_(txn), records_(records), path_(path), file_(file) {}

  Result<std::optional<Stored>> get(Bytes key) override {
    const MDBX_val wanted = value_of(key);
    MDBX_val found;
    const int rc = mdbx_get(txn_, records_, &wanted, &found);
    if (rc == MDBX_NOTFOUND) return std::nullopt;
    BOP_TRY(check(rc, path_, "read"));
    BOP_TRY_ASSIGN(const Stored stored, file_.verified(key, found));
    return stored;
  }

  Result<std::optional<StoredRecord>> seek(Bytes key) override {
    if (cursor_.get() == nullptr) BOP_TRY(cursor_.open(txn_, records_, path_));
    return move(key.empty() ? MDBX_FIRST : MDBX_SET_RANGE, value_of(key));
  }
  Result<std::optional<StoredRecord>> next() override { return move(MDBX_NEXT, {}); }

 private:
  Result<std::optional<StoredRecord>> move(MDBX_cursor_op op, MDBX_val key) {
    MDBX_val value;
    const int rc = mdbx_cursor_get(cursor_.get(), &key, &value, op);
    if (rc == MDBX_NOTFOUND) return std::nullopt;
    BOP_TRY(check(rc, path_, "scan"));
    BOP_TRY_ASSIGN(const Stored stored, file_.verified(bytes_of(key), value));
    return StoredRecord{bytes_of(key), stored};
  }

  MDBX_txn* const txn_;
  const MDBX_dbi records_;
  const std::string& path_;
  const MappedFile& file_;
  Cursor cursor_;
};

class MdbxStore final : public Store {
 public:
  explicit MdbxStore(const StoreOptions& options)
      : options_(options), path_(options.directory + "/kv.mdbx") {}
  ~MdbxStore() override {
    const LoggingScope logging(options_);
    BOP_ASSERT(pins_.empty());
    if (reader_ != nullptr) mdbx_txn_abort(reader_);
    file_.reset();  // first: another map may get the addresses
    env_.reset();
  }

  Status open() {
    mdbx_setup_debug(MDBX_LOG_NOTICE, MDBX_DBG_DONTCHANGE, log);
    const LoggingScope logging(options_);
    BOP_TRY(go_back_to_sync(path_, options_));
    return open_mapped(map_for(file_bytes(), 0));
  }

  const Progress& opened() const override { return opened_; }

  Status read(const std::function<Status(Snapshot&)>& work) override {
    const LoggingScope logging(options_);
    const std::lock_guard no_remapping(mapped_);
    BOP_TRY(begin_read());
    Status status;
    {
      MdbxSnapshot snapshot(reader_, records_, path_, *file_);
      status = file_->if_readable(work(snapshot));
    }
    BOP_TRY(check(mdbx_txn_reset(reader_), path_, "end of a read"));
    return status;
  }

  Result<std::unique_ptr<StoreCheck>> begin_check() override {
    const LoggingScope logging(options_);
    mdbx_filehandle_t file;
    BOP_TRY(check(mdbx_env_get_fd(env_.get(), &file), path_, "begin of its verification"));
    MDBX_envinfo info;
    BOP_TRY(check(mdbx_env_info_ex(env_.get(), nullptr, &info, sizeof info), path_, "info"));
    auto lookup = std::make_unique<Lookup>();
    BOP_TRY(file_->if_readable(lookup->open(env_.get(), records_, path_)));
    PagesToCheck pages;
    pages.path = path_;
    pages.file = file;
    pages.page_bytes = info.mi_dxb_pagesize;
    pages.transaction = lookup->transaction();
    pages.expected = opened_.totals;
    pages.look_up = [this, at = std::shared_ptr<Lookup>(std::move(lookup))](Bytes key,
                                                                            uint64_t offset) {
      const LoggingScope logs(options_);
      return look_up(*at, key, offset);
    };
    return check_pages(std::move(pages));
  }

  Result<Slice> scrub(Bytes from, uint64_t max_bytes) override {
    const LoggingScope logging(options_);
    Lookup lookup;
    BOP_TRY(file_->if_readable(lookup.open(env_.get(), records_, path_)));
    return file_->if_readable(scrub(lookup, from, max_bytes));
  }

  Status flush(Changes& changes) override {
    // If the last flush found no space, this one is a repetition: libmdbx's messages are logged already.
    const LoggingScope logging(options_, full_);
    std::error_code ignored;
    if (full_ &&
        std::filesystem::space(options_.directory, ignored).available < allocated_ahead_bytes)
      return fail(BOP_E_DISK_FULL, path_ + ": no space to grow");
    Status flushed = flush_in_map(changes);
    full_ = !flushed && flushed.error().code == BOP_E_DISK_FULL;
    return flushed;
  }

  Status sync() override {
    const LoggingScope logging(options_);
    BOP_TRY(write_back());
    BOP_TRY(check(mdbx_env_sync_ex(env_.get(), true, false), path_, "sync"));
    synced_ = true;
    return {};
  }

  Result<std::unique_ptr<PinnedState>> pin() override {
    const LoggingScope logging(options_);
    const uint64_t limit = options_.max_pinned_bytes != 0 ? options_.max_pinned_bytes
                                                          : file_bytes() + least_pinned_bytes;
    BOP_TRY(extend_map_for_pin(limit));
    auto pinned = std::make_unique<Pinned>(*this, limit);
    BOP_TRY(pinned->open());
    const std::lock_guard lock(pins_mutex_);
    pins_.push_back(pinned.get());
    return pinned;
  }

  Status check_space(uint64_t bytes) override {
    std::error_code unknown;
    const uint64_t available = std::filesystem::space(options_.directory, unknown).available;
    if (unknown || (bytes <= available && bytes <= largest_bytes())) return {};
    return fail(BOP_E_DISK_FULL,
                fmt::format("{}: {} MiB of records, and {} MiB are free", options_.directory,
                            bytes >> 20, std::min(available, largest_bytes()) >> 20));
  }

 private:
  // ---- pinned states ----
  //
  // Each is a read transaction. libmdbx reuses no page that was freed after it began, so the file grows with every flush,
  // and the map cannot be replaced while it is open. Before a flush fails because of that, and when the limit is
  // exceeded, the pinned states are closed.

  class Pinned final : public PinnedState {
   public:
    Pinned(MdbxStore& store, uint64_t limit) : store_(store), limit_(limit) {}
    ~Pinned() override {
      const std::lock_guard lock(store_.pins_mutex_);
      std::erase(store_.pins_, this);
      if (txn_ != nullptr) mdbx_txn_abort(txn_);
    }

    Status open() {
      BOP_TRY(store_.begin(txn_, "begin of a snapshot"));
      BOP_TRY_ASSIGN(const Head head, store_.file_->if_readable(store_.read_progress(txn_)));
      progress_ = head.progress;
      return {};
    }
    const Progress& progress() const override { return progress_; }

    Status read(const std::function<Status(Snapshot&)>& work) override {
      const LoggingScope logging(store_.options_);
      const std::lock_guard lock(store_.pins_mutex_);
      if (txn_ == nullptr) return fail(BOP_E_OVERLOADED, closed_because_);
      if (seeded(Bug::snapshot_reads_live_state)) {
        BOP_TRY(check(mdbx_txn_reset(txn_), store_.path_, "snapshot"));
        BOP_TRY(check(mdbx_txn_renew(txn_), store_.path_, "snapshot"));
        BOP_TRY_ASSIGN(const Head head, store_.read_progress(txn_));
        progress_ = head.progress;
      }
      MdbxSnapshot snapshot(txn_, store_.records_, store_.path_, *store_.file_);
      return store_.file_->if_readable(work(snapshot));
    }

    // Both with the store's pins_mutex_ locked.
    void close_beyond_limit() {
      if (txn_ == nullptr) return;
      MDBX_txn_info info;
      if (mdbx_txn_info(txn_, &info, false) != MDBX_SUCCESS) return;
      if (info.txn_space_retired > limit_)
        close(fmt::format("flushes could not reuse {} MiB meanwhile, the limit is {} MiB",
                          info.txn_space_retired >> 20, limit_ >> 20));
    }
    bool close(const std::string& reason) {
      if (txn_ == nullptr) return false;
      mdbx_txn_abort(txn_);
      txn_ = nullptr;
      closed_because_ = store_.path_ + ": " + reason;
      return true;
    }

   private:
    MdbxStore& store_;
    const uint64_t limit_;  // bytes of pages
    MDBX_txn* txn_ = nullptr;
    Progress progress_;
    std::string closed_because_;
  };

  // Without a wait for a part that is being read.
  void check_pins() {
    const std::unique_lock lock(pins_mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return;
    for (Pinned* pinned : pins_) pinned->close_beyond_limit();
  }
  // False: there were none.
  bool close_pins(const std::string& reason) {
    const std::lock_guard lock(pins_mutex_);
    bool closed = false;
    for (Pinned* pinned : pins_) closed |= pinned->close(reason);
    return closed;
  }

  // So that flushes need no other map before the limit is reached. Where it is not possible they close the state early.
  Status extend_map_for_pin(uint64_t limit) {
    const uint64_t before = map_bytes_;
    const uint64_t wanted = std::min(file_bytes() + limit, largest_bytes());
    {
      const std::lock_guard lock(pins_mutex_);
      if (wanted <= before || !pins_.empty()) return {};
    }
    if (!mem::address_space_has(wanted - before + spare_address_space)) return {};
    if (!synced_) BOP_TRY(sync());  // reopening returns to the last sync
    const std::lock_guard no_reads(mapped_);
    if (const Status grown = reopen(wanted); !grown) return reopen(before);
    return {};
  }

  // ---- the map ----
  //
  // libmdbx maps the file up to its configured maximal size, and cannot move the map while a reader may use
  // it. So the maximal size is the file's size and some headroom. When a flush fills the map, the file is
  // closed and opened again with a larger one. The headroom is at most half of the file's size, or
  // least_headroom_bytes.

  uint64_t file_bytes() const {
    std::error_code missing;
    const uint64_t bytes = std::filesystem::file_size(path_, missing);
    return missing ? 0 : bytes;
  }
  uint64_t largest_bytes() const {
    return options_.map_bytes != 0 ? options_.map_bytes : default_largest_bytes;
  }
  // The size of the map for a file of that size, in place of a map of `mapped` bytes; never smaller than the file.
  uint64_t map_for(uint64_t file, uint64_t mapped) const {
    uint64_t wanted = file + std::max(file / 2, least_headroom_bytes);
    if (!mem::address_space_has(wanted + spare_address_space - mapped))
      wanted = file + growth_bytes;
    return std::max(file, std::min(wanted, largest_bytes()));
  }

  Status open_mapped(uint64_t map_bytes) {
    BOP_TRY_ASSIGN(Environment env, make_environment(path_));
    env_ = std::move(env);
    BOP_TRY(configure(map_bytes));
    BOP_TRY(check(mdbx_env_open(env_.get(), path_.c_str(),
                                MDBX_NOSUBDIR | MDBX_SAFE_NOSYNC | MDBX_NOSTICKYTHREADS |
                                    MDBX_EXCLUSIVE | MDBX_NORDAHEAD,
                                0600),
                  path_, "open"));
    mdbx_filehandle_t file;
    BOP_TRY(check(mdbx_env_get_fd(env_.get(), &file), path_, "open"));
    file_.emplace(path_, file);
    BOP_TRY(set(MDBX_opt_sync_bytes, 0));
    BOP_TRY(set(MDBX_opt_sync_period, 0));
    BOP_TRY(file_->if_readable(open_tables()));
    map_bytes_ = map_bytes;
    // Makes the open durable: the first commit of a new file, or the sizes that libmdbx keeps in the file.
    return sync();
  }

  // DISK_FULL: the map keeps its size, and the store can still be used.
  Status grow_map() {
    const uint64_t before = map_bytes_;
    const uint64_t wanted = map_for(before, before);
    if (wanted <= before)
      return fail(BOP_E_DISK_FULL, path_ + ": the file has reached its maximal size");
    // Checked while the present map still exists.
    if (!mem::address_space_has(wanted - before + least_spare_address_space))
      return fail(BOP_E_DISK_FULL,
                  path_ + ": cannot map " + std::to_string(wanted >> 20) +
                      " MiB: the address space of the process is limited (ulimit -v)");
    if (!synced_) BOP_TRY(sync());  // reopening returns to the last sync
    const std::lock_guard no_reads(mapped_);
    const Status grown = reopen(wanted);
    if (grown) return {};
    BOP_TRY(reopen(before));
    return fail(BOP_E_DISK_FULL, path_ + ": cannot map " + std::to_string(wanted >> 20) +
                                     " MiB: " + grown.error().detail);
  }
  Status reopen(uint64_t map_bytes) {
    if (reader_ != nullptr) mdbx_txn_abort(reader_);
    reader_ = nullptr;
    file_.reset();
    env_.reset();
    return open_mapped(map_bytes);
  }

  // ---- verifying ----

  // A read transaction of the thread that verifies, and a cursor on the records for lookups from the root.
  class Lookup {
   public:
    Lookup() = default;
    ~Lookup() {
      cursor_.close();
      if (txn_ != nullptr) mdbx_txn_abort(txn_);
    }
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    Status open(MDBX_env* env, MDBX_dbi records, const std::string& path) {
      BOP_TRY(check(mdbx_txn_begin(env, nullptr, MDBX_TXN_RDONLY, &txn_), path,
                    "begin of a verification"));
      return cursor_.open(txn_, records, path);
    }
    uint64_t transaction() const { return mdbx_txn_id(txn_); }
    MDBX_txn* txn() const { return txn_; }
    MDBX_cursor* cursor() const { return cursor_.get(); }

   private:
    MDBX_txn* txn_ = nullptr;
    Cursor cursor_;
  };

  // The place at which a lookup of the key finds a key. The value is not touched.
  Result<const void*> find(const Lookup& at, Bytes key) const {
    // Otherwise libmdbx begins at the page where the cursor is.
    BOP_TRY(check(mdbx_cursor_reset(at.cursor()), path_, "verification"));
    MDBX_val found = value_of(key);
    const int rc = mdbx_cursor_get(at.cursor(), &found, nullptr, MDBX_SET_KEY);
    if (rc == MDBX_NOTFOUND)
      return fail(BOP_E_DAMAGED, path_ + ": a lookup does not find the record with key hash " +
                                     hex(hash64(key)) + ", which is there");
    BOP_TRY(check(rc, path_, "verification"));
    return found.iov_base;
  }
  Result<bool> look_up(const Lookup& at, Bytes key, uint64_t offset) const {
    BOP_TRY_ASSIGN(const void* const found, file_->if_readable(find(at, key)));
    const auto place = file_->offset_of(found);
    return !place || place == offset;  // where the system does not tell the map, only whether
  }

  // A slice of records in order of keys. Of each page the first and the last key that the slice has are looked up: what
  // holds for them holds for those between.
  Result<Slice> scrub(const Lookup& lookup, Bytes from, uint64_t max_bytes) const {
    Slice slice;
    Cursor cursor;
    BOP_TRY(cursor.open(lookup.txn(), records_, path_));
    MDBX_val key = value_of(from);
    MDBX_val value;
    Bytes previous;
    const auto same_page = [](Bytes a, Bytes b) {
      constexpr uintptr_t least_page_bytes = 4096;
      return reinterpret_cast<uintptr_t>(a.data()) / least_page_bytes ==
             reinterpret_cast<uintptr_t>(b.data()) / least_page_bytes;
    };
    const auto check_lookup = [&](Bytes of) -> Status {
      if (of.empty()) return {};
      BOP_TRY_ASSIGN(const void* const found, find(lookup, of));
      if (found == of.data()) return {};
      return fail(BOP_E_DAMAGED, path_ + ": a lookup of the record with key hash " +
                                     hex(hash64(of)) + " leads to another page");
    };
    for (auto op = from.empty() ? MDBX_FIRST : MDBX_SET_RANGE;; op = MDBX_NEXT) {
      const int rc = mdbx_cursor_get(cursor.get(), &key, &value, op);
      if (rc == MDBX_NOTFOUND) break;
      BOP_TRY(check(rc, path_, "verification"));
      const Bytes found = bytes_of(key);
      if (!previous.empty() && compare_keys(previous, found) >= 0)
        return fail(BOP_E_DAMAGED, path_ + ": the record with key hash " + hex(hash64(found)) +
                                       " is out of order");
      if (!same_page(previous, found)) {
        BOP_TRY(check_lookup(previous));
        BOP_TRY(check_lookup(found));
      }
      if (slice.bytes >= max_bytes) {
        slice.next.assign(found.begin(), found.end());
        break;
      }
      BOP_TRY_ASSIGN(const Stored stored, file_->verified(found, value));
      slice.totals += totals_of(true, stored.hash);
      slice.bytes += found.size() + value.iov_len;
      previous = found;
    }
    BOP_TRY(check_lookup(previous));
    return slice;
  }

  // ---- flushes ----

  Status flush_in_map(Changes& changes) {
    for (;;) {
      map_is_full_ = false;
      Status flushed = flush_now(changes);
      check_pins();
      if (flushed || flushed.error().code != BOP_E_DISK_FULL) return flushed;
      // What they keep may be enough.
      if (!close_pins("a flush found no space")) {
        if (!map_is_full_) return flushed;
        BOP_TRY(grow_map());
      }
      changes.restart();
    }
  }

  // As check(), and records whether the map is full. A lack of memory counts as a lack of space too: the
  // transaction is aborted, and the flush can be tried again.
  Status checked(int rc, const char* what) {
    map_is_full_ |= rc == MDBX_MAP_FULL;
    Status status = check(rc, path_, what);
    if (rc == ENOMEM)
      return fail(BOP_E_DISK_FULL,
                  status.error().detail + "; is the address space limited (ulimit -v)?");
    return status;
  }

  Status flush_now(Changes& changes) {
    MDBX_txn* txn = nullptr;
    BOP_TRY(check(mdbx_txn_begin(env_.get(), nullptr, MDBX_TXN_READWRITE, &txn), path_,
                  "begin of a flush"));
    if (Status status = file_->if_readable(write(txn, changes)); !status) {
      mdbx_txn_abort(txn);
      return status;
    }
    synced_ = false;
    BOP_TRY(file_->if_readable(checked(mdbx_txn_commit(txn), "commit of a flush")));
    allocated_bytes_ =
        std::min(allocated_bytes_, file_bytes());  // libmdbx may have cut its end off
    return {};
  }

  // libmdbx extends its file without allocating blocks. If the disk has none for what it then writes, it fails
  // in the middle of a commit, and its environment cannot be used any more. So the blocks are allocated before,
  // where a lack of space only postpones the flush.
  Status allocate_ahead(MDBX_txn* txn) {
    MDBX_txn_info info;
    BOP_TRY(check(mdbx_txn_info(txn, &info, false), path_, "look at a flush"));
    const uint64_t wanted = info.txn_space_used + allocated_ahead_bytes;
    if (info.txn_space_used + allocated_ahead_bytes / 2 <= allocated_bytes_) return {};
    mdbx_filehandle_t file;
    BOP_TRY(check(mdbx_env_get_fd(env_.get(), &file), path_, "allocate space"));
    BOP_TRY(check(mem::allocate_blocks(file, allocated_bytes_, wanted), path_, "allocate space"));
    allocated_bytes_ = wanted;
    return {};
  }

  Status write_back() {
    mdbx_filehandle_t file;
    BOP_TRY(check(mdbx_env_get_fd(env_.get(), &file), path_, "sync"));
    return check(mem::write_back(file), path_, "sync");
  }

  // The file keeps its present size, so that opening it needs no space.
  Status configure(uint64_t map_bytes) {
    BOP_TRY(check(mdbx_env_set_maxdbs(env_.get(), 2), path_, "set tables"));
    BOP_TRY(set(MDBX_opt_max_readers, 16));
    // Where the address space is limited, an eighth of what is left.
    BOP_TRY(set(MDBX_opt_txn_dp_limit,
                std::clamp(mem::address_space_left() / 8 / 4096, least_dirty_pages, dirty_pages)));
    // With shrinking disabled, libmdbx does not round the file's size up to a multiple of its step.
    const auto now = static_cast<intptr_t>(file_bytes());
    return check(mdbx_env_set_geometry(env_.get(), -1, now > 0 ? now : -1,
                                       static_cast<intptr_t>(map_bytes), growth_bytes, 0, -1),
                 path_, "set the size");
  }
  Status set(MDBX_option_t option, uint64_t value) {
    return check(mdbx_env_set_option(env_.get(), option, value), path_, "set an option");
  }

  Status open_tables() {
    MDBX_txn* txn = nullptr;
    BOP_TRY(check(mdbx_txn_begin(env_.get(), nullptr, MDBX_TXN_READWRITE, &txn), path_, "begin"));
    if (Status status = open_tables(txn); !status) {
      mdbx_txn_abort(txn);
      return status;
    }
    return check(mdbx_txn_commit(txn), path_, "commit");
  }
  Status open_tables(MDBX_txn* txn) {
    BOP_TRY(check(mdbx_dbi_open(txn, "records", MDBX_CREATE, &records_), path_, "open records"));
    BOP_TRY(check(mdbx_dbi_open(txn, "meta", MDBX_CREATE, &meta_), path_, "open meta"));
    // Shrinking is enabled within the transaction, because geometry changes apply to its sizes.
    BOP_TRY(check(mdbx_env_set_geometry(env_.get(), -1, -1, -1, -1, shrink_bytes, -1), path_,
                  "set the size"));
    Result<Head> found = read_progress(txn);
    if (!found && found.error().code == BOP_E_NOT_FOUND) return begin_empty(txn);
    BOP_TRY_ASSIGN(const Head head, std::move(found));
    const StoreIdentity& wanted = options_.identity;
    if (wanted.group != 0 && head.identity != wanted)
      return fail(BOP_E_FOREIGN_DIRECTORY, path_ + ": it is the store of " +
                                               describe(head.identity) +
                                               ", and was opened as that of " + describe(wanted) +
                                               "; put the store of this group back");
    identity_ = head.identity;
    opened_ = head.progress;
    return {};
  }
  // NOT_FOUND: it has none.
  Result<Head> read_progress(MDBX_txn* txn) const {
    const MDBX_val key = value_of(as_bytes(progress_key));
    MDBX_val value;
    const int rc = mdbx_get(txn, meta_, &key, &value);
    if (rc == MDBX_NOTFOUND) return fail(BOP_E_NOT_FOUND, path_ + ": it has no progress record");
    BOP_TRY(check(rc, path_, "read its progress"));
    return decode_progress(bytes_of(value), path_);
  }
  Status begin_empty(MDBX_txn* txn) {
    MDBX_stat about;
    BOP_TRY(check(mdbx_dbi_stat(txn, records_, &about, sizeof about), path_, "look at records"));
    if (about.ms_entries != 0)
      return fail(BOP_E_DAMAGED, path_ + ": it has records, but its progress record is missing");
    identity_ = options_.identity;
    return write_progress(txn, {});
  }

  Status begin(MDBX_txn*& txn, const char* what) const {
    return check(mdbx_txn_begin(env_.get(), nullptr, MDBX_TXN_RDONLY, &txn), path_, what);
  }
  Status begin_read() {
    if (reader_ != nullptr) return check(mdbx_txn_renew(reader_), path_, "begin of a read");
    return begin(reader_, "begin of a read");
  }

  Status write(MDBX_txn* txn, Changes& changes) {
    Cursor cursor;
    BOP_TRY(cursor.open(txn, records_, path_));
    Change change;
    BOP_TRY(allocate_ahead(txn));
    size_t since_look = 0;
    size_t bytes_since_look = 0;
    while (changes.next(change)) {
      BOP_TRY(write_change(cursor.get(), change, changes));
      bytes_since_look += change.value.size();
      if (++since_look < look_after_changes && bytes_since_look < look_after_bytes) continue;
      since_look = bytes_since_look = 0;
      BOP_TRY(allocate_ahead(txn));
    }
    BOP_TRY(write_progress(txn, changes.progress()));
    return allocate_ahead(txn);
  }

  Status write_change(MDBX_cursor* cursor, const Change& change, Changes& changes) {
    bool found = false;
    if (change.want_replaced || !change.present) BOP_TRY(look(cursor, change, changes, found));
    if (!change.present)
      return found ? checked(mdbx_cursor_del(cursor, MDBX_CURRENT), "delete") : Status{};
    const MDBX_val key = value_of(change.key);
    MDBX_val value{nullptr, stored_head_bytes + change.value.size()};
    // Reserves the value in the page, so that it is copied only once.
    BOP_TRY(checked(mdbx_cursor_put(cursor, &key, &value, MDBX_UPSERT | MDBX_RESERVE), "put"));
    auto* to = static_cast<uint8_t*>(value.iov_base);
    put_stored_head(to, change.revision, change.hash);
    std::copy(change.value.begin(), change.value.end(), to + stored_head_bytes);
    return {};
  }

  Status look(MDBX_cursor* cursor, const Change& change, Changes& changes, bool& found) {
    MDBX_val key = value_of(change.key);
    MDBX_val value;
    const int rc = mdbx_cursor_get(cursor, &key, &value, MDBX_SET_KEY);
    found = rc != MDBX_NOTFOUND;
    if (found) BOP_TRY(check(rc, path_, "read"));
    if (!change.want_replaced) return {};
    if (!found) {
      changes.replaced(std::nullopt);
      return {};
    }
    BOP_TRY_ASSIGN(const Stored stored, file_->verified(change.key, value));
    changes.replaced(stored);
    return {};
  }

  Status write_progress(MDBX_txn* txn, const Progress& progress) {
    std::array<uint8_t, progress_bytes> bytes;
    encode(progress, identity_, bytes);
    const MDBX_val key = value_of(as_bytes(progress_key));
    MDBX_val value = value_of(bytes);
    return checked(mdbx_put(txn, meta_, &key, &value, MDBX_UPSERT), "put its progress");
  }

  const StoreOptions options_;
  const std::string path_;
  Environment env_;
  std::optional<MappedFile> file_;  // of env_
  StoreIdentity identity_;
  std::mutex mapped_;      // locked during a read, and while the map is replaced
  std::mutex pins_mutex_;  // locked during a read of a pinned state
  std::vector<Pinned*> pins_;
  uint64_t map_bytes_ = 0;    // size of the map: the file can grow to it before it is mapped again
  bool map_is_full_ = false;  // the current flush found no space in the map
  bool synced_ = true;        // every commit is synced
  uint64_t allocated_bytes_ = 0;  // the file has blocks on the device up to this offset
  MDBX_dbi records_ = 0;
  MDBX_dbi meta_ = 0;
  MDBX_txn* reader_ = nullptr;
  Progress opened_;
  bool full_ = false;  // the last flush found no space
};

}  // namespace

Result<std::unique_ptr<Store>> open_mdbx_store(const StoreOptions& options) {
  auto store = std::make_unique<MdbxStore>(options);
  BOP_TRY(store->open());
  return store;
}

}  // namespace bop::machine::kv

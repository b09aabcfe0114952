// A simulated disk with a file system on it, behind port/file.h.
//
// Every operation is queued when it is started and takes effect when it completes. Completions are
// pumped by hand with step(), or, when the disk was given a Delay, by whoever runs its tasks.
//
// What a completed operation is worth:
//   direct and synchronous write     on the device
//   another write                    in the page cache: read back, on the device after a sync
//   create, rename, remove           in the directory: on the device after a sync of the directory
//
//                    process_crash()                power_loss()
//   completed        kept                           kept when on the device; else each sector of a
//                                                   write kept or lost, of the directory changes
//                                                   the first so many kept
//   under way        each sector written or not     each sector written or not
//
// A killed process's writes may also stay in flight (process_crash_with_late_writes): each lands whole,
// and keeps its file locked against writers until then, as port/file.h says. Blocking calls take no
// simulated time, so an open that waits for a lock has the write land at once.
//
// A sector (Faults::sector_bytes) is never torn; any subset of the sectors of a write may be what is left of it.
//
// A write may also be reported and never made, or be made elsewhere (lose_write, misdirect_write). A log can only
// notice that once it has proof that the write was made, and it has none before a later write. So such a write
// is lost for good when a later one to the same file is made, and lands after all when the process ends before.
//
// A crash may come within a blocking call (at_operation): from then on the process is dead, and whatever it still
// does fails with IO and changes nothing.
//
// Everything is a function of the seed and of the calls.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "port/file.h"

namespace bop::sim {

enum class DiskOperation : uint8_t { read, write, sync, open, remove, rename, sync_directory };
constexpr size_t disk_operation_count = 7;
const char* name_of(DiskOperation kind);

class Disk : public port::FileSystem {
 public:
  // Runs a task after a simulated time. The disk's tasks may run late, and after the disk is gone.
  using Delay = std::function<void(Duration, std::function<void()>)>;

  struct Latency {
    Duration least = 50 * microseconds;  // uniform between the two
    Duration most = 200 * microseconds;
    Duration per_mebibyte = 1 * milliseconds;
    uint32_t names_percent =
        100;  // of that time take operations on names: open, remove, rename, sync
  };
  struct Faults {
    uint32_t sector_bytes = 512;
    bool shuffle = false;     // step(): a random operation completes next, not the oldest
    bool reads_last = false;  // step(): no read completes while something else is under way
    // A seeded bug: a file is opened for writing while a dead process's write to it is in flight.
    bool ignore_locks = false;
  };

  explicit Disk(uint64_t seed, Delay delay = nullptr);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  ~Disk() override;

  // ---- port::FileSystem ----
  void open(std::string name, port::FileOptions options, std::unique_ptr<port::File>& file,
            port::FileCompletion& done) override;
  void remove(std::string name, port::FileCompletion& done) override;
  void rename(std::string from, std::string to, port::FileCompletion& done) override;
  void sync_directory(std::string name, port::FileCompletion& done) override;
  Result<std::unique_ptr<port::File>> open_now(const std::string& name,
                                               port::FileOptions options) override;
  Result<std::vector<std::string>> list_now(const std::string& directory) override;
  Status make_directory_now(const std::string& name) override;
  Status remove_now(const std::string& name) override;
  Status rename_now(const std::string& from, const std::string& to) override;
  Status sync_directory_now(const std::string& name) override;
  Result<uint64_t> free_bytes() const override;
  std::string describe(const std::string& name) const override;

  // ---- pumping ----
  // Completes one operation. False: none is under way, or the disk is stalled.
  bool step();
  void run();  // until step() is false
  size_t under_way() const { return operations_.size(); }
  // A stalled disk completes nothing until it is released.
  void stall(bool stalled);

  // ---- crashes: operations under way never complete; files that are open are dead ----
  // The owners of the files are destroyed after it, before the disk is used again.
  void process_crash();
  void power_loss();
  // As process_crash(), but the writes under way stay in flight.
  void process_crash_with_late_writes();
  // Those of all processes that have ended land, in the order in which they were started.
  void land_late_writes();
  size_t late_writes() const { return late_writes_.size(); }
  // Late writes that an open had to wait for.
  uint64_t waited_for() const { return waited_for_; }

  // ---- faults ----
  void set_latency(const Latency& latency) { latency_ = latency; }
  const Latency& latency() const { return latency_; }
  void set_faults(const Faults& faults) { faults_ = faults; }
  // Writes that would make the files larger than this fail with DISK_FULL. 0: no limit.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  // The `nth` operation of that kind from now on (1: the next one) fails with `error`, and the
  // `times - 1` after it. A failed write leaves each sector written or not.
  enum class Calls : uint8_t { all, asynchronous };  // which of them count, and may fail
  void fail(DiskOperation kind, bop_status error, uint64_t nth = 1, uint64_t times = 1,
            Calls calls = Calls::all);
  // The `nth` asynchronous operation of its kind from now on is reported done, and
  //   a write is not made; a write is made to another block of the directory;
  //   a read returns what another place of the file holds, or a flipped bit.
  void lose_write(uint64_t nth = 1) { tricks_.push_back({Trick::lost_write, nth}); }
  void misdirect_write(uint64_t nth = 1) { tricks_.push_back({Trick::misdirected_write, nth}); }
  void misread(uint64_t nth = 1) { tricks_.push_back({Trick::misread, nth}); }
  // The next asynchronous operation of that kind takes so much longer; others pass it. `begun` is called when it begins.
  void delay_one(DiskOperation kind, Duration by, std::function<void()> begun = {}) {
    delays_[static_cast<size_t>(kind)] = {by, std::move(begun)};
  }
  void heal();  // no injected failure is left
  // Calls `then` once, when the `nth` operation of that kind from now on is started. If that is a blocking call,
  // the process is dead from then on, and the call had its effect or not, or a part of it. A crash or another
  // call of at_operation takes its place.
  using Then = std::function<void(bool blocking)>;
  void at_operation(DiskOperation kind, uint64_t nth, Then then);
  // Reads of that sector fail with IO until it is written again.
  void lose_sector(const std::string& name, uint64_t offset);
  void flip_bit(const std::string& name, uint64_t offset, int bit);
  void flip_bit(const std::string& name, Random& random);  // any bit of the device's content
  // A byte of one of the last writes to files that still exist, most often of the last one; nullopt: there is none.
  struct Place {
    std::string name;
    uint64_t offset = 0;
  };
  std::optional<Place> recently_written(Random& random) const;

  // How often each fault really happened.
  struct Counters {
    uint64_t torn_writes = 0;  // some sectors are written, others are not
    uint64_t lost_writes = 0, misdirected_writes = 0;
    uint64_t landed_after_all = 0;  // of the two above
    uint64_t misreads = 0;
    uint64_t failed_reads = 0, failed_writes = 0, failed_others = 0;
    uint64_t unreadable = 0;  // reads of a lost sector
    uint64_t flipped_bits = 0;
    uint64_t refused_full = 0;
    uint64_t delayed = 0;  // single operations
    std::array<uint64_t, disk_operation_count>
        crashes_at{};  // when `then` of at_operation was called ...
    std::array<uint64_t, disk_operation_count>
        crashes_within{};  // ... of these, by a blocking call
  };
  const Counters& counters() const { return counters_; }

  // ---- looking and altering, for tests ----
  bool exists(const std::string& name) const { return names_.contains(name); }
  // What a reader sees and what the device has. Nothing of that file may be unsynced.
  std::vector<uint8_t>& bytes(const std::string& name);
  // All files as they are, to try many ends of one beginning. No operation may be under way.
  using Image = std::map<std::string, std::vector<uint8_t>>;
  Image image() const;
  void load(const Image& image);
  uint64_t used_bytes() const;

 private:
  friend class DiskFile;
  struct Unsynced;
  struct Inode;
  struct Operation;
  struct DirectoryChange;
  enum class Trick : uint8_t { none, lost_write, misdirected_write, misread };
  struct Injected {
    DiskOperation kind;
    bop_status error;
    uint64_t skip;
    uint64_t times;
    Calls calls;
  };
  struct Armed {
    Trick trick;
    uint64_t nth;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  void start(std::unique_ptr<Operation> operation);
  void complete(uint64_t id);
  Result<size_t> perform(Operation& operation);
  // What an injected failure says of this operation; OK when there is none.
  bop_status injected(DiskOperation kind, Calls calls);
  Trick trick_on(DiskOperation kind);
  void write_elsewhere(const Operation& write);
  // A later write to that file is made: what was lost of it stays lost.
  void prove(const Inode& inode);
  void land_unproven();
  // Begins a blocking call: false, it fails. `dies`: the process dies in it.
  struct Blocking {
    bop_status error = BOP_OK;
    bool dies = false;
  };
  Blocking begin_blocking(DiskOperation kind);
  bool reach(DiskOperation kind, bool blocking);
  std::unexpected<Error> failure(bop_status error, DiskOperation kind, const std::string& name);
  // Of a call in which the process dies: its effect, or nothing, and an error in any case.
  template <class Effect>
  Status die_in(DiskOperation kind, const std::string& name, Effect effect);

  Result<std::shared_ptr<Inode>> find_or_create(const std::string& name, port::FileOptions options);
  Result<size_t> read(Inode& inode, uint64_t offset, std::span<uint8_t> into);
  Status write(Inode& inode, uint64_t offset, Bytes bytes, bool synchronous);
  Status sync(Inode& inode);
  Status remove_name(const std::string& name);
  Status rename_name(const std::string& from, const std::string& to);
  Status sync_names(const std::string& directory);
  // What opening a file for writing waits for.
  Status take_lock(const std::string& name, const Inode* inode);
  void land(const Operation& write);
  void change(DirectoryChange change);

  // Which sectors of a write reached the device.
  struct Torn {
    enum Pattern : uint8_t { none, all, prefix, suffix, only_one, all_but_one, pages, sectors };
    static constexpr uint64_t patterns = 8;
    Pattern pattern = none;
    size_t at = 0;  // sector
    uint64_t seed = 0;
  };
  Torn draw_tear(size_t sectors);
  static bool reaches_device(const Torn& torn, size_t sector);
  void tear(Inode& inode, uint64_t offset, Bytes bytes);
  void tear_operations();
  void lose_page_cache();
  void lose_directory_changes();

  Random random_;
  Delay delay_;
  std::shared_ptr<Disk*> self_;  // nulled when the disk goes: its tasks outlive it
  Latency latency_;
  Faults faults_;
  uint64_t capacity_ = 0;
  bool stalled_ = false;
  uint64_t next_id_ = 1;
  uint64_t incarnation_ = 1;  // of the process: files of an earlier one are dead
  std::map<uint64_t, std::unique_ptr<Operation>> operations_;
  std::vector<uint64_t> overdue_;                        // due while the disk was stalled
  std::vector<std::unique_ptr<Operation>> late_writes_;  // of processes that have ended
  uint64_t waited_for_ = 0;
  std::vector<Injected> injected_;
  std::vector<Armed> tricks_;
  std::vector<std::unique_ptr<Operation>> unproven_;  // writes that were lost and may still land
  struct Written {
    std::weak_ptr<Inode> inode;
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  std::deque<Written> written_;  // the last asynchronous writes
  struct DelayOfOne {
    Duration by = 0;
    std::function<void()> begun;
  };
  std::array<DelayOfOne, disk_operation_count> delays_;
  DiskOperation awaited_kind_{};
  uint64_t awaited_ = 0;  // operations of that kind to go; 0: none is awaited
  Then awaited_then_;
  bool dead_ = false;  // the process, since a blocking call of it
  Counters counters_;
  Names names_;                           // as a process sees them
  Names durable_names_;                   // as the device has them
  std::vector<DirectoryChange> changes_;  // between the two, in order
  std::vector<std::string> directories_;
};

}  // namespace bop::sim

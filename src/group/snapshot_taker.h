// Takes snapshots of a group's machine into files, one at a time, while the machine serves.
//
//            open()          take()               the machine began      its parts ended        its entry is permanent
//   (new) ──────────► idle ─────────► beginning ────────────────► reading ────────────► waiting ─────────► committing
//                       ▲                  │      a part ▲  │ written     │                │                  │ renamed
//                       └──────────────────┴─────────────┴──┴─── error ───┴────────────────┴──────────────────┘ and synced
//
// A snapshot may capture the state after an entry that this node's log could still lose. It exists only once the log
// cannot: a machine ahead of its log would be one whose log lost entries.
// Each part is written before the next one is asked for, so that a snapshot keeps one piece of it in memory. Files are
// used on the machine's bulk work queue alone; everything else runs on the shard's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "group/snapshot_files.h"
#include "machine/driver.h"

namespace bop::group {

class SnapshotTaker final : private machine::SnapshotEvents {
 public:
  struct Options {
    std::array<uint8_t, 16> cluster{};
    GroupId group = 0;
    std::string name;       // of the group, for messages
    std::string directory;  // of the group's snapshots, in `files`
    uint64_t part_bytes = 1 << 20;
  };
  // What the log knows of the entry that the machine applied last.
  struct Facts {
    int64_t time_ns = 0;
    Index configuration_index = 0;  // of the entry with the configuration in force
    std::vector<uint8_t> configuration;
  };
  using Done = std::function<void(const Result<snapshot::Stored>&)>;

  // `facts` is asked at the moment that a snapshot captures, with the entry that the machine applied last. The ports must outlive the taker's jobs.
  SnapshotTaker(Options options, port::FileSystem& files, machine::Offload& offload,
                std::function<Facts(Index)> facts);
  // Ends what it does; `done` is not called.
  ~SnapshotTaker() override;

  // Lists the snapshots on disk. Errors are logged, and returned by the next take().
  void open();
  // The machine must outlive the taker, or cancel() must be called before it goes. `done` is called once, perhaps within
  // the call. OVERLOADED: one is being taken, or open() has not ended.
  void take(machine::Driver& driver, Done done);
  // Entries up to `index` are committed, and durable in this node's log.
  void stable(Index index);
  // The snapshots on disk, by index.
  void list(std::function<void(Result<std::vector<snapshot::Stored>>)> done);
  // Compares all parts of the newest snapshot, which it returns, with their digests; nullopt: there is none. DAMAGED or
  // NOT_FOUND, naming the part.
  void verify(std::function<void(Result<std::optional<snapshot::Stored>>)> done);
  // Ends the snapshot that is being taken with `reason`.
  void cancel(const Error& reason);

  bool idle() const { return stage_ == Stage::idle; }
  bool taking() const { return stage_ != Stage::closed && stage_ != Stage::idle; }
  uint64_t written_bytes() const { return written_; }  // of the snapshot that is being taken
  const std::optional<snapshot::Stored>& newest() const { return newest_; }
  // For others that use the same directory.
  const std::shared_ptr<SnapshotFiles>& files() const { return files_; }

 private:
  enum class Stage : uint8_t { closed, idle, beginning, reading, writing, waiting, committing };

  // machine::SnapshotEvents
  void begun() override;
  void at_point(bop_position applied) override;
  void part(const bop_part& part) override;
  void failed(const Error& error) override;

  void write(std::vector<uint8_t> bytes, std::string label, bool last_piece);
  void written(Result<std::optional<snapshot::Part>> part);
  void commit();
  void end(Result<snapshot::Stored> result);
  template <class Work, class Ended>
  void run(Work work, Ended ended);
  template <class Work, class Then>
  void go_on(Work work, Then then);

  const Options options_;
  machine::Offload& offload_;
  const std::function<Facts(Index)> facts_;
  const std::shared_ptr<SnapshotFiles> files_;
  // Whether the taker, and the snapshot that a job belongs to, are still there when the job is done.
  std::shared_ptr<uint64_t> here_ = std::make_shared<uint64_t>(0);
  std::shared_ptr<uint64_t> run_ = std::make_shared<uint64_t>(0);

  Stage stage_ = Stage::closed;
  machine::Driver* driver_ = nullptr;
  uint64_t handle_ = 0;
  Done done_;
  snapshot::Manifest manifest_;
  uint64_t written_ = 0;
  Index stable_ = 0;
  std::optional<snapshot::Stored> newest_;
};

}  // namespace bop::group

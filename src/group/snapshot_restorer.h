// Restores the newest snapshot of a group, from files, into a machine that has applied nothing.
//
//            restore()          one is whole            for each part: read, passed on          the machine has it
//   (new) ──────────► finding ──────────────► beginning ──────────────────────► parts ─► ending ─────────► done
//                        │ none is             │ an error                         │         │
//                        └─────────────────────┴──────────────────────────────────┴─────────┘──────────► done
//
// Every part is verified before the machine gets the first one, so a damaged snapshot leaves the machine as it was.
// Files are read on the machine's bulk work queue; everything else runs on the shard's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/driver.h"
#include "port/file.h"
#include "snapshot/snapshots.h"

namespace bop::group {

class SnapshotRestorer final : private machine::RestoreEvents {
 public:
  struct Options {
    std::array<uint8_t, 16> cluster{};
    GroupId group = 0;
    std::string name;       // of the group, for messages
    std::string directory;  // of the group's snapshots, in `files`
  };
  struct Outcome {
    std::optional<snapshot::Stored> restored;
    int64_t time_ns = 0;   // of its entry
    std::string unusable;  // why a newer one, or any, could not be used; empty: there is none
  };
  // An error: the machine refused the snapshot, and has to be discarded.
  using Done = std::function<void(const Result<Outcome>&)>;

  SnapshotRestorer(Options options, port::FileSystem& files, machine::Offload& offload);
  // Ends what it does; `done` is not called. The machine must be gone before: a restored one that fails tells it.
  ~SnapshotRestorer() override;

  // Once. `done` is called later, never from within.
  void restore(machine::Driver& driver, Done done);

 private:
  enum class Stage : uint8_t { finding, beginning, parts, ending, done };
  struct Files;  // used by jobs alone

  void found();
  void begin();
  void next();
  void pass_part();
  void restored(const Status& status) override;
  void end(Result<Outcome> result);
  template <class Work, class Then>
  void run(Work work, Then then);

  const Options options_;
  machine::Offload& offload_;
  std::shared_ptr<Files> disk_;
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);  // the restorer exists

  Stage stage_ = Stage::finding;
  machine::Driver* driver_ = nullptr;
  Done done_;
  Outcome outcome_;
  snapshot::Manifest manifest_;
  size_t next_part_ = 0;
  // What the machine was passed.
  bop_part part_{};
  std::vector<uint8_t> bytes_;
};

}  // namespace bop::group

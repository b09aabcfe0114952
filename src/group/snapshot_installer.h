// Restores a machine from a snapshot that is here, in a fresh instance beside the one that serves.
//
//            install()          directory emptied, machine opened      restored        each part          files durable
//   idle ─────────────► preparing ───────────────────────► beginning ─────────► loading ⇄ restoring ─► finishing ─► idle
//                           │                                  │                    │
//                           └──────────── an error ────────────┴────────────────────┘──► closing ─► idle
//
// Nothing names the new instance until the group's log does (log::Log::restart), so a crash at any point leaves the old
// one; what is in the directory of an instance that nothing names is removed before it is used.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "group/snapshot_files.h"
#include "machine/driver.h"

namespace bop::group {

// Passes the events of a machine on once somebody wants them. A machine that is being restored has no other event than
// its failure.
class MachineEvents final : public machine::DriverEvents {
 public:
  // Events go there from now on. If the machine has failed before, `to` is told now.
  void pass_to(machine::DriverEvents& to);
  const std::optional<Error>& failure() const { return failure_; }

  void applied(std::span<const bop_reply> replies) override;
  void answered(uint64_t token, const bop_reply& reply) override;
  void failed(const Error& error) override;
  void verified() override;

 private:
  machine::DriverEvents* to_ = nullptr;
  std::optional<Error> failure_;
};

class SnapshotInstaller final : private machine::RestoreEvents {
 public:
  struct Options {
    std::array<uint8_t, 16> cluster{};
    GroupId group = 0;
    std::string name;  // of the group, for messages
    const bop_machine_table* machine = nullptr;
    machine::Options machine_options;
  };
  // A machine whose state is the snapshot's, durably. Destroyed in the reverse order.
  struct Installed {
    std::unique_ptr<MachineEvents> events;
    std::unique_ptr<machine::Driver> driver;
    snapshot::Manifest manifest;  // without its parts
    uint64_t instance = 0;
    std::string directory;
  };
  using Done = std::function<void(Result<Installed>)>;

  // The references must outlive the installer's jobs.
  SnapshotInstaller(Options options, std::shared_ptr<SnapshotFiles> files,
                    machine::Offload& offload);
  // Ends what it does; `done` is not called.
  ~SnapshotInstaller() override;

  // Of the snapshot with that id, in `directory`, of that instance. `done` is called once, later. Not while installing().
  void install(const Hash128& id, uint64_t instance, const std::string& directory, Done done);
  bool installing() const { return stage_ != Stage::idle; }
  uint64_t restored_bytes() const { return restored_; }  // of the snapshot that is being installed

 private:
  enum class Stage : uint8_t {
    idle,
    preparing,
    beginning,
    loading,
    restoring,
    ending,
    finishing,
    closing
  };

  // machine::RestoreEvents
  void restored(const Status& status) override;

  template <class Work, class Then>
  void run(Work work, Then then);
  void open_machine(snapshot::Manifest manifest);
  void load_next();
  void restore(std::vector<uint8_t> bytes);
  void close(const Error& error);
  void end(Result<Installed> result);

  const Options options_;
  const std::shared_ptr<SnapshotFiles> files_;
  machine::Offload& offload_;
  std::shared_ptr<uint64_t> run_ = std::make_shared<uint64_t>(0);

  Stage stage_ = Stage::idle;
  Done done_;
  Installed installed_;
  size_t next_part_ = 0;
  std::vector<uint8_t> bytes_;  // of the part that is being restored
  uint64_t restored_ = 0;
};

}  // namespace bop::group

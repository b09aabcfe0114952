#include "group/snapshot_installer.h"

#include <fmt/format.h>

#include <utility>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::group {

// ---- events of the machine ----

void MachineEvents::pass_to(machine::DriverEvents& to) {
  to_ = &to;
  if (failure_) to_->failed(*failure_);
}

void MachineEvents::applied(std::span<const bop_reply> replies) {
  BOP_ASSERT(to_ != nullptr);  // nobody has passed it a batch
  to_->applied(replies);
}

void MachineEvents::answered(uint64_t token, const bop_reply& reply) {
  BOP_ASSERT(to_ != nullptr);
  to_->answered(token, reply);
}

void MachineEvents::verified() {
  if (to_ != nullptr) to_->verified();
}

void MachineEvents::failed(const Error& error) {
  failure_ = error;
  if (to_ != nullptr) to_->failed(error);
}

// ---- the install ----

namespace {

// Empties the directory, which an install that did not end may have used.
Status prepare(port::FileSystem& files, const std::string& directory) {
  BOP_TRY(files.make_directory_now(directory));
  BOP_TRY_ASSIGN(const auto names, files.list_now(directory));
  for (const std::string& name : names) BOP_TRY(files.remove_now(directory + "/" + name));
  return names.empty() ? Status() : files.sync_directory_now(directory);
}

Status check_manifest(const snapshot::Manifest& manifest, const std::array<uint8_t, 16>& cluster,
                      GroupId group, const std::string& kind) {
  if (manifest.cluster != cluster || manifest.group != group)
    return fail(BOP_E_INVALID_ARGUMENT, "the snapshot is of another cluster or group");
  if (manifest.kind != kind)
    return fail(BOP_E_BAD_CONFIG, fmt::format("the snapshot is of a machine {}, the group's is {}",
                                              manifest.kind, kind));
  return {};
}

}  // namespace

SnapshotInstaller::SnapshotInstaller(Options options, std::shared_ptr<SnapshotFiles> files,
                                     machine::Offload& offload)
    : options_(std::move(options)), files_(std::move(files)), offload_(offload) {}

SnapshotInstaller::~SnapshotInstaller() { ++*run_; }

template <class Work, class Then>
void SnapshotInstaller::run(Work work, Then then) {
  run_snapshot_job(offload_, files_, run_, std::move(work), std::move(then));
}

void SnapshotInstaller::install(const Hash128& id, uint64_t instance, const std::string& directory,
                                Done done) {
  BOP_ASSERT(!installing());
  stage_ = Stage::preparing;
  done_ = std::move(done);
  installed_ = {};
  installed_.instance = instance;
  installed_.directory = directory;
  next_part_ = 0;
  restored_ = 0;
  run(
      [id, directory, cluster = options_.cluster, group = options_.group,
       kind = std::string(options_.machine->kind)](
          SnapshotFiles& files) -> Result<snapshot::Manifest> {
        BOP_TRY(files.open());
        const snapshot::Stored* stored = files.find(id);
        if (stored == nullptr)
          return fail(BOP_E_NOT_FOUND,
                      fmt::format("snapshot {} is not here", snapshot::to_hex(id)));
        BOP_TRY_ASSIGN(auto manifest, files.snapshots->manifest(*stored));
        BOP_TRY(check_manifest(manifest, cluster, group, kind));
        BOP_TRY(prepare(files.files, directory));
        return manifest;
      },
      [this](Result<snapshot::Manifest> manifest) {
        if (!manifest) return end(std::unexpected(manifest.error()));
        open_machine(std::move(*manifest));
      });
}

void SnapshotInstaller::open_machine(snapshot::Manifest manifest) {
  installed_.manifest = std::move(manifest);
  installed_.events = std::make_unique<MachineEvents>();
  machine::DriverOptions options;
  options.group = options_.name;
  options.identity = {options_.cluster, options_.group, installed_.instance};
  options.directory = files_->files.describe(installed_.directory);
  options.machine = options_.machine_options;
  auto driver = machine::Driver::open(*options_.machine, options, offload_, *installed_.events);
  if (!driver) return end(std::unexpected(driver.error()));
  installed_.driver = std::move(*driver);
  stage_ = Stage::beginning;
  const Status begun = installed_.driver->begin_restore({.kind = installed_.manifest.kind,
                                                         .version = installed_.manifest.version,
                                                         .bytes = installed_.manifest.bytes()},
                                                        *this);
  if (!begun) close(begun.error());
}

void SnapshotInstaller::restored(const Status& status) {
  if (!status) return close(status.error());
  if (stage_ == Stage::restoring) restored_ += std::exchange(bytes_, {}).size();
  if (stage_ != Stage::ending) return load_next();
  stage_ = Stage::finishing;
  // The names of the files that the machine made; it syncs their contents itself.
  run([directory = installed_.directory](
          SnapshotFiles& files) { return files.files.sync_directory_now(directory); },
      [this](const Status& synced) {
        if (!synced) return close(synced.error());
        const Index index = installed_.manifest.index;
        if (installed_.driver->applied().index != index)
          return close({BOP_E_MACHINE,
                        fmt::format("after its restore the machine holds entry {} in place of {}",
                                    installed_.driver->applied().index, index)});
        installed_.manifest.parts.clear();
        end(std::move(installed_));
      });
}

// Each part is verified when it is read.
void SnapshotInstaller::load_next() {
  const std::vector<snapshot::Part>& parts = installed_.manifest.parts;
  if (next_part_ == parts.size()) {
    stage_ = Stage::ending;
    return installed_.driver->finish_restore({installed_.manifest.index, installed_.manifest.term});
  }
  stage_ = Stage::loading;
  run([part = parts[next_part_]](SnapshotFiles& files) { return files.snapshots->load(part); },
      [this](Result<std::vector<uint8_t>> bytes) {
        if (!bytes) return close(bytes.error());
        restore(std::move(*bytes));
      });
}

void SnapshotInstaller::restore(std::vector<uint8_t> bytes) {
  stage_ = Stage::restoring;
  bytes_ = std::move(bytes);
  const std::string& label = installed_.manifest.parts[next_part_++].label;
  bop_part part{};
  part.size = sizeof part;
  part.kind = BOP_PART_BYTES;
  part.label = {as_bytes(label).data(), label.size()};
  part.bytes = {bytes_.data(), bytes_.size()};
  installed_.driver->restore_part(part);
}

// A machine must not be destroyed within one of its calls.
void SnapshotInstaller::close(const Error& error) {
  stage_ = Stage::closing;
  run([](SnapshotFiles&) { return true; },
      [this, error](bool) {
        installed_.driver.reset();
        end(std::unexpected(error));
      });
}

void SnapshotInstaller::end(Result<Installed> result) {
  ++*run_;
  stage_ = Stage::idle;
  bytes_ = {};
  if (result)
    logging::info("group {}: restored the snapshot at entry {} into instance {}", options_.name,
                  result->manifest.index, result->instance);
  else
    logging::error("group {}: the snapshot was not restored into {}: {}", options_.name,
                   installed_.directory, result.error().to_string());
  installed_ = {};
  if (const Done done = std::exchange(done_, nullptr)) done(std::move(result));
}

}  // namespace bop::group

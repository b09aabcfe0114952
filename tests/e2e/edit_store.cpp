// Gives one record in the store of a stopped node another value, with its checksum and the store's totals: a difference
// that no node can find alone.
//
//   edit_store DIRECTORY KEY VALUE      DIRECTORY has kv.mdbx
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "machine/kv/store_mdbx.h"

using namespace bop;
using namespace bop::machine::kv;

namespace {

class OneChange final : public Changes {
 public:
  OneChange(const Change& change, const Progress& progress)
      : change_(change), progress_(progress) {}
  bool next(Change& change) override {
    change = change_;
    return !std::exchange(done_, true);
  }
  void replaced(const std::optional<Stored>&) override {}
  void restart() override { done_ = false; }
  Progress progress() override { return progress_; }

 private:
  const Change change_;
  const Progress progress_;
  bool done_ = false;
};

Status edit(const std::string& directory, Bytes key, Bytes value) {
  BOP_TRY_ASSIGN(const auto store,
                 open_mdbx_store({.directory = directory, .map_bytes = 0, .log = {}}));
  uint64_t revision = 0;
  Progress progress = store->opened();
  BOP_TRY(store->read([&](Snapshot& snapshot) -> Status {
    BOP_TRY_ASSIGN(const std::optional<Stored> found, snapshot.get(key));
    if (!found) return fail(BOP_E_NOT_FOUND, "no such record");
    revision = found->revision;
    progress.totals -= totals_of(true, found->hash);
    return {};
  }));
  const Hash128 hash = record_hash(key, revision, value);
  progress.totals += totals_of(true, hash);
  OneChange change(
      {.key = key, .present = true, .revision = revision, .hash = hash, .value = value}, progress);
  BOP_TRY(store->flush(change));
  return store->sync();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: edit_store DIRECTORY KEY VALUE\n");
    return 2;
  }
  const Status edited =
      edit(argv[1], as_bytes(std::string_view(argv[2])), as_bytes(std::string_view(argv[3])));
  if (!edited) std::fprintf(stderr, "edit_store: %s\n", edited.error().to_string().c_str());
  return edited ? 0 : 1;
}

// The snapshots that a machine makes, and the restore of one, by the functions of bop/machine.h.
//
//   snapshot   begin() ─► beginning ─► ready ◄────────────────► next                END, an error, end()
//                                        next(), a part arrives        ──────────────────────────────────► ended
//   restore    begin() ─► busy ◄─► ready   restore(), finish(), and their completions
//
// end() of a snapshot with an open call cancels the call and waits for its completion, without further events. Each
// part is checked: its kind, label, size and path, and that the state that the snapshot captures is known before the
// end of its parts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "machine/driver.h"
#include "machine/machine_calls.h"

namespace bop::machine {

class SnapshotCalls {
 public:
  // How many snapshots are open at most: one that is sent, one that is taken.
  static constexpr size_t max_open = 4;

  explicit SnapshotCalls(MachineCalls& calls) : calls_(calls) {}

  Result<uint64_t> begin(const SnapshotOptions& options, SnapshotEvents& events);
  void next(uint64_t handle);
  void end(uint64_t handle);

  Status begin_restore(const RestoreOptions& options, RestoreEvents& events);
  void restore(const bop_part& part);
  void finish_restore(bop_position position);
  bool restoring() const { return restore_.events != nullptr; }

  // What the machine reports. Each returns the rule that the machine broke; empty: none.
  std::string at_point(uint64_t handle, bop_position applied);
  std::string complete_snapshot(uint64_t token, int32_t status);
  std::string complete_part(uint64_t token, int32_t status, const bop_part* part);
  std::string complete_restore(uint64_t token, int32_t status);
  // The machine failed: everything that is open ends with this error.
  void fail_all(const Error& error);

 private:
  enum class Stage : uint8_t { beginning, ready, next, ending };
  struct Open {
    uint64_t handle = 0;
    SnapshotEvents* events = nullptr;
    Stage stage = Stage::beginning;
    uint64_t call = 0;  // number of its latest call
    bool has_base = false;
    bool has_scratch = false;
    bool at_point = false;
    std::string label;        // of the last part
    bool unfinished = false;  // that part has more pieces
    uint64_t part_bytes = 0;  // of that part so far
  };
  struct Restore {
    RestoreEvents* events = nullptr;
    uint64_t call = 0;
    bool busy = false;
  };

  Open* find(uint64_t handle);
  Open* find_call(uint64_t token);
  void begun(Open& open, int32_t status);
  std::string take(Open& open, int32_t status, const bop_part& part);
  std::string check(const Open& open, const bop_part& part) const;
  void fail(Open& open, int32_t status, const char* function);
  void close(uint64_t handle);
  void restored(int32_t status, const char* function);
  template <class Call>
  void call_restore(const char* function, Call call);

  MachineCalls& calls_;
  uint64_t next_handle_ = 1;
  std::vector<Open> open_;  // in order of handles
  Restore restore_;
};

}  // namespace bop::machine

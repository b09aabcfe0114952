// Which commands of one connection may run together.
//
// A read and a write of one key run one after the other, in the order of the commands. Everything else
// runs together: commands on different keys, reads of one key, and writes of one key, which the log
// orders. A command that has to wait is held until the earlier ones that touch its keys are answered;
// those behind it that touch other keys do not wait for it.
//
//   enter() ──► may start ─────────────────► leave()
//       └─────► held ──► ready (of a leave()) ──┘
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace bop::serve {

class KeyOrder {
 public:
  static constexpr uint64_t none = UINT64_MAX;

  // Adds command `number`, with the hashes of its keys, each once, behind those added before. True: it may start. False:
  // it is held until leave() names it.
  bool enter(uint64_t number, bool writes, std::span<const uint64_t> keys);

  // The command, which had started, was answered. Appends to `ready` the held commands that may start
  // now.
  void leave(uint64_t number, bool writes, std::span<const uint64_t> keys,
             std::vector<uint64_t>& ready);

  // The latest write of the key, if it is unanswered; none otherwise.
  uint64_t latest_write(uint64_t key) const;

  bool empty() const { return keys_.empty(); }

 private:
  struct Key {
    uint32_t reads = 0;   // started and unanswered
    uint32_t writes = 0;  // the same
    uint64_t latest_write = none;
    std::vector<uint64_t> held;  // in the order of the commands, from first_held on
    size_t first_held = 0;

    bool any_held() const { return first_held < held.size(); }
    void drop_first_held() {
      // The list must not grow while the line is never empty.
      if (++first_held < held.size() && first_held < 64) return;
      held.erase(held.begin(), held.begin() + static_cast<ptrdiff_t>(first_held));
      first_held = 0;
    }
    bool admits(bool write) const { return (write ? reads : writes) == 0; }
  };
  struct Held {
    bool writes = false;
    std::vector<uint64_t> keys;
    size_t passed = 0;  // the first keys, which let it start and will not hold it later
  };

  void start(bool writes, std::span<const uint64_t> keys);
  bool may_start(uint64_t number, Held& held);
  void start_held(uint64_t key, std::vector<uint64_t>& ready);

  std::unordered_map<uint64_t, Key> keys_;
  std::unordered_map<uint64_t, Held> held_;
  std::vector<uint64_t> changed_;  // keys whose first held command may start
};

}  // namespace bop::serve

// A second, deliberately simple implementation of include/bop/kv.h: the reference for the real
// machine's replies and contents. It has its own decoder.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "bop/kv.h"

namespace bop::sim {

class KvModel {
 public:
  struct Record {
    std::string value;
    uint64_t revision = 0;
    friend bool operator==(const Record&, const Record&) = default;
  };
  using Records = std::map<std::string, Record>;

  // The fields of an operation's item that kv.h defines.
  struct Item {
    std::optional<bool> present;
    std::optional<std::string> value;
    std::optional<uint64_t> revision;
  };
  struct Answer {
    bop_status status = BOP_OK;
    uint64_t revision = 0;
    std::vector<Item> items;
  };

  // Executes a well-formed command at `index`.
  Answer apply(Bytes command, Index index);

  // "" if the machine's answer equals this one, else the difference.
  static std::string difference(const Answer& expected, int32_t status, Bytes body);

  const Records& records() const { return records_; }

  // What a read of the state after the entry at `index` must show of a key.
  struct Version {
    Index revision = 0;  // 0: the key was absent
    uint64_t value_hash = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  Version version_at(const std::string& key, Index index) const;
  static Version version(uint64_t revision, Bytes value);

 private:
  struct Operation;
  Answer refuse(bop_status status, const std::vector<Operation>& operations) const;

  struct Change {
    Index index;
    Version version;
  };

  Records records_;
  std::map<std::string, std::vector<Change>> changes_;  // of each key, by index
};

}  // namespace bop::sim

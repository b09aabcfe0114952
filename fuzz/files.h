// Small files in memory, for what blocks: no operation of a loop.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "port/file.h"

namespace bop::fuzz {

using Contents = std::map<std::string, std::vector<uint8_t>>;

class MemoryFile final : public port::File {
 public:
  explicit MemoryFile(std::vector<uint8_t>& bytes) : bytes_(bytes) {}
  void read(uint64_t, std::span<uint8_t>, port::FileCompletion&) override { std::abort(); }
  void write(uint64_t, std::span<const Bytes>, port::FileCompletion&) override { std::abort(); }
  void sync(port::FileCompletion&) override { std::abort(); }
  Result<size_t> read_now(uint64_t offset, std::span<uint8_t> into) override {
    if (offset >= bytes_.size()) return 0;
    const size_t size = std::min<uint64_t>(into.size(), bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), size, into.begin());
    return size;
  }
  Status write_now(uint64_t offset, Bytes bytes) override {
    bytes_.resize(std::max(bytes_.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
    return {};
  }
  Status sync_now() override { return {}; }
  Result<uint64_t> size() const override { return bytes_.size(); }
  size_t alignment() const override { return 1; }
  bool direct() const override { return false; }
  void renamed(const std::string&) override {}

 private:
  std::vector<uint8_t>& bytes_;
};

class MemoryFiles final : public port::FileSystem {
 public:
  void open(std::string, port::FileOptions, std::unique_ptr<port::File>&,
            port::FileCompletion&) override {
    std::abort();
  }
  void remove(std::string, port::FileCompletion&) override { std::abort(); }
  void rename(std::string, std::string, port::FileCompletion&) override { std::abort(); }
  void sync_directory(std::string, port::FileCompletion&) override { std::abort(); }
  Result<std::unique_ptr<port::File>> open_now(const std::string& name,
                                               port::FileOptions options) override {
    if (!options.create && !files.contains(name)) return fail(BOP_E_NOT_FOUND);
    return std::make_unique<MemoryFile>(files[name]);
  }
  // Names are listed whatever the directory: there is one.
  Result<std::vector<std::string>> list_now(const std::string& directory) override {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files) names.push_back(name.substr(directory.size() + 1));
    return names;
  }
  Status make_directory_now(const std::string&) override { return {}; }
  Status remove_now(const std::string& name) override {
    return files.erase(name) != 0 ? Status() : fail(BOP_E_NOT_FOUND);
  }
  Status rename_now(const std::string& from, const std::string& to) override {
    files[to] = std::move(files.at(from));
    files.erase(from);
    return {};
  }
  Status sync_directory_now(const std::string&) override { return {}; }
  Result<uint64_t> free_bytes() const override { return uint64_t{1} << 30; }
  std::string describe(const std::string& name) const override { return name; }

  Contents files;
};

}  // namespace bop::fuzz

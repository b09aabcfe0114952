#include "capi/config.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/assert.h"

namespace bop::capi {
namespace {

size_t index_of(const Key& key) { return static_cast<size_t>(&key - config_keys().data()); }

Result<std::string> read_text(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return fail(BOP_E_NOT_FOUND, path + ": no such file");
  if (std::filesystem::is_directory(status)) {
    return fail(BOP_E_BAD_CONFIG, path + ": is a directory, not a configuration");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(max_config_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return fail(BOP_E_IO, path + ": cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace

Config::Config() {
  for (Layer& layer : layers_) layer.resize(config_keys().size());
  for (const Key& key : config_keys()) {
    const bool quoted = key.fallback[0] == '"';
    std::string_view text = key.fallback;
    if (quoted) text = text.substr(1, text.size() - 2);
    Result<Value> value = read_value(key, text, "default");
    BOP_ASSERT(value.has_value());
    layers_[0][index_of(key)] = Held{std::move(*value), "default"};
  }
}

Status Config::load_file(const std::string& path) {
  BOP_TRY_ASSIGN(const std::string text, read_text(path));
  return load_text(text, path, std::filesystem::path(path).parent_path().string());
}

Status Config::load_text(std::string_view text, const std::string& name,
                         const std::string& folder) {
  if (text.size() > max_config_bytes) {
    return fail(BOP_E_BAD_CONFIG, name + ": the file is larger than 1 MiB");
  }
  BOP_TRY_ASSIGN(std::vector<Assignment> assignments, read_toml(text, name, folder));
  Layer layer(config_keys().size());
  for (Assignment& assignment : assignments) {
    layer[assignment.key] = Held{std::move(assignment.value), std::move(assignment.source)};
  }
  layers_[static_cast<size_t>(Origin::file)] = std::move(layer);
  document_ = name;
  return {};
}

Status Config::load_environment() {
  Layer layer(config_keys().size());
  for (const Key& key : config_keys()) {
    const std::string name = environment_name(key);
    const char* text = std::getenv(name.c_str());
    if (text == nullptr) continue;
    BOP_TRY_ASSIGN(Value value, read_value(key, text, name));
    layer[index_of(key)] = Held{std::move(value), name};
  }
  layers_[static_cast<size_t>(Origin::environment)] = std::move(layer);
  return {};
}

Status Config::set(std::string_view name, std::string_view text) {
  const Key* key = find_key(name);
  if (key == nullptr) {
    return fail(BOP_E_BAD_CONFIG, "flag: " + std::string(name) + ": unknown key");
  }
  BOP_TRY_ASSIGN(Value value, read_value(*key, text, "flag"));
  layers_[static_cast<size_t>(Origin::flag)][index_of(*key)] = Held{std::move(value), "flag"};
  return {};
}

Origin Config::origin(size_t key) const {
  for (size_t layer = layers_.size() - 1; layer > 0; --layer) {
    if (layers_[layer][key]) return static_cast<Origin>(layer);
  }
  return Origin::fallback;
}

const Config::Held& Config::held(size_t key) const {
  BOP_ASSERT_LT(key, config_keys().size());
  return *layers_[static_cast<size_t>(origin(key))][key];
}

const Value& Config::value(size_t key) const { return held(key).value; }

const std::string& Config::source(size_t key) const { return held(key).source; }

std::string Config::write() const {
  std::string out, table;
  for (size_t i = 0; i < config_keys().size(); ++i) {
    if (origin(i) == Origin::fallback) continue;
    const std::string_view name = config_keys()[i].name;
    const size_t dot = name.find('.');
    const std::string_view head = dot == name.npos ? "" : name.substr(0, dot);
    if (head != table) {
      table = head;
      out += "\n[" + table + "]\n";
    }
    out += std::string(dot == name.npos ? name : name.substr(dot + 1)) + " = " + to_toml(value(i)) +
           "\n";
  }
  return out;
}

}  // namespace bop::capi

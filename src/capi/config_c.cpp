// bop/config.h.
#include "bop/config.h"

#include <string>

#include "capi/config.h"
#include "capi/handles.h"
#include "capi/shell.h"

using bop::fail;
using bop::capi::Config;
using bop::capi::config_keys;
using bop::capi::fill;
using bop::capi::give;
using bop::capi::guarded;

namespace {

int32_t describe(const bop_config* given, size_t index, bop_config_item* item) {
  // Only the cache of texts that items point to changes, not the configuration.
  auto* config = const_cast<bop_config*>(given);
  config->texts.resize(config_keys().size());
  std::string& shown = config->texts[index];
  const Config& keys = config->config;
  const bop::capi::Value& value = keys.value(index);
  const auto* text = std::get_if<std::string>(&value);
  bop_config_item out{};
  out.origin = static_cast<int32_t>(keys.origin(index));
  out.key = config_keys()[index].name;
  if (shown.empty()) shown = bop::capi::to_toml(value);
  out.value = shown.c_str();
  out.source = keys.source(index).c_str();
  out.help = config_keys()[index].help;
  out.text = text != nullptr ? text->c_str() : out.value;
  out.reloadable = bop::capi::is_reloadable(config_keys()[index]) ? 1 : 0;
  fill(item, out);
  return BOP_OK;
}

}  // namespace

int32_t bop_config_create(bop_config** config) {
  if (config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&] {
    *config = new bop_config();
    return BOP_OK;
  });
}

void bop_config_destroy(bop_config* config) { delete config; }

int32_t bop_config_load_file(bop_config* config, const char* path, char* error,
                             size_t error_capacity) {
  if (config == nullptr || path == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    config->texts.clear();
    return give(config->config.load_file(path), error, error_capacity);
  });
}

int32_t bop_config_load_text(bop_config* config, const char* text, size_t size_bytes,
                             const char* name, char* error, size_t error_capacity) {
  if (config == nullptr || (text == nullptr && size_bytes > 0)) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    config->texts.clear();
    return give(config->config.load_text({text, size_bytes}, name == nullptr ? "text" : name),
                error, error_capacity);
  });
}

int32_t bop_config_load_environment(bop_config* config, char* error, size_t error_capacity) {
  if (config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    config->texts.clear();
    return give(config->config.load_environment(), error, error_capacity);
  });
}

int32_t bop_config_set(bop_config* config, const char* key, const char* value, char* error,
                       size_t error_capacity) {
  if (config == nullptr || key == nullptr || value == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    config->texts.clear();
    return give(config->config.set(key, value), error, error_capacity);
  });
}

int32_t bop_config_check(const bop_config* config, char* error, size_t error_capacity) {
  if (config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&]() -> int32_t {
    const auto settings = config->config.settings();
    return settings ? static_cast<int32_t>(BOP_OK) : give(settings.error(), error, error_capacity);
  });
}

int32_t bop_config_at(const bop_config* config, size_t index, bop_config_item* item) {
  if (config == nullptr || item == nullptr) return BOP_E_INVALID_ARGUMENT;
  if (index >= config_keys().size()) return BOP_E_NOT_FOUND;
  return guarded([&] { return describe(config, index, item); });
}

int32_t bop_config_get(const bop_config* config, const char* key, bop_config_item* item) {
  if (config == nullptr || key == nullptr || item == nullptr) return BOP_E_INVALID_ARGUMENT;
  const bop::capi::Key* found = bop::capi::find_key(key);
  if (found == nullptr) return BOP_E_NOT_FOUND;
  const auto index = static_cast<size_t>(found - config_keys().data());
  return guarded([&] { return describe(config, index, item); });
}

int32_t bop_config_write(const bop_config* config, char* text, size_t capacity,
                         size_t* size_bytes) {
  if (config == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&]() -> int32_t {
    const std::string document = config->config.write();
    if (size_bytes != nullptr) *size_bytes = document.size();
    if (document.size() >= capacity) {
      return text == nullptr && capacity == 0 ? BOP_OK : BOP_E_TOO_LARGE;
    }
    bop::capi::write_text(document, text, capacity);
    return BOP_OK;
  });
}

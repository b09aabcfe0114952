#include "configuration.h"

#include <cctype>
#include <cstdlib>

namespace {

Loaded failure(int32_t status, std::string error) { return {status, std::move(error), nullptr}; }

}  // namespace

std::string text_of(const bop_config* config, const char* key) {
  bop_config_item item{};
  item.size = sizeof item;
  return bop_config_get(config, key, &item) == BOP_OK ? item.text : "";
}

std::string set(bop_config* config, const std::string& key, const std::string& value) {
  char error[1024] = "";
  const int32_t status = bop_config_set(config, key.c_str(), value.c_str(), error, sizeof error);
  if (status == BOP_OK) return {};
  return *error == '\0' ? bop_error_text(status) : error;
}

void forget_environment() {
  bop_config* config = nullptr;
  if (bop_config_create(&config) != BOP_OK) return;
  const Config owned(config);
  bop_config_item item{};
  item.size = sizeof item;
  for (size_t i = 0; bop_config_at(config, i, &item) == BOP_OK; ++i) {
    std::string name = std::string("BOP_") + item.key;
    for (char& c : name) c = c == '.' ? '_' : static_cast<char>(std::toupper(c));
    unsetenv(name.c_str());
  }
}

Loaded load(const Sources& sources) {
  char error[1024] = "";
  bop_config* made = nullptr;
  int32_t status = bop_config_create(&made);
  if (status != BOP_OK) return failure(status, bop_error_text(status));
  Config config(made);
  if (!sources.file.empty()) {
    status = bop_config_load_file(made, sources.file.c_str(), error, sizeof error);
    if (status != BOP_OK) return failure(status, error);
  }
  status = bop_config_load_environment(made, error, sizeof error);
  if (status != BOP_OK) return failure(status, error);
  for (const std::string& assignment : sources.sets) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos) {
      return failure(BOP_E_BAD_CONFIG, "--set " + assignment + ": must be KEY=VALUE");
    }
    std::string error_text = set(made, assignment.substr(0, equals), assignment.substr(equals + 1));
    if (!error_text.empty()) return failure(BOP_E_BAD_CONFIG, std::move(error_text));
  }
  if (sources.insecure) set(made, "insecure", "true");
  return {BOP_OK, {}, std::move(config)};
}

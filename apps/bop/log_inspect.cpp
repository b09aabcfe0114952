// bop log inspect: a write-ahead log as it lies on disk.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bop/log.h"
#include "commands.h"
#include "output.h"

namespace {

const char* kind_name(int32_t kind) {
  switch (kind) {
    case BOP_LOG_SEGMENT: return "segment";
    case BOP_LOG_FRAME: return "frame";
    case BOP_LOG_RECORD: return "record";
    case BOP_LOG_SEAL: return "seal";
    case BOP_LOG_SUMMARY: return "summary";
    case BOP_LOG_GAP: return "gap";
    case BOP_LOG_PROBLEM: return "problem";
    case BOP_LOG_GROUP: return "group";
    default: return "unknown";
  }
}

bool has_group(const bop_log_item& item) {
  return item.kind == BOP_LOG_RECORD || item.kind == BOP_LOG_GROUP;
}

// One object a line: a log may be larger than memory.
void print_object(const bop_log_item& item) {
  nlohmann::json object{{"kind", kind_name(item.kind)},
                        {"file", item.file},
                        {"offset", item.offset_bytes},
                        {"length", item.length_bytes},
                        {"epoch", item.epoch}};
  if (item.frame != 0) object["frame"] = item.frame;
  if (item.durable_through != 0) object["durable_through"] = item.durable_through;
  if (has_group(item)) {
    object["group"] = item.group;
    object["term"] = item.term;
    object["vote"] = item.vote;
    object["entries"] = item.entries;
    if (item.entries != 0) {
      object["first_index"] = item.first_index;
      object["last_index"] = item.last_index;
    }
  }
  if (*item.text != '\0') object["text"] = item.text;
  print_json(object);
}

void print_line(const bop_log_item& item) {
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%-8s", kind_name(item.kind));
  if (*item.file != '\0') std::printf(" %s:%llu", item.file, number(item.offset_bytes));
  if (item.kind != BOP_LOG_GROUP)
    std::printf(" +%llu epoch %llu", number(item.length_bytes), number(item.epoch));
  if (item.frame != 0) std::printf(" frame %llu", number(item.frame));
  if (item.durable_through != 0) std::printf(" durable %llu", number(item.durable_through));
  if (has_group(item)) {
    std::printf(" group %llu term %llu vote %llu", number(item.group), number(item.term),
                number(item.vote));
    if (item.entries != 0) {
      std::printf(" entries %llu..%llu", number(item.first_index), number(item.last_index));
    }
  }
  std::printf("%s%s\n", *item.text == '\0' ? "" : "  ", item.text);
}

}  // namespace

Exit inspect_log(const Globals& globals, const std::string& directory) {
  char error[1024] = "";
  bop_log_reader* reader = nullptr;
  const int32_t opened = bop_log_open(directory.c_str(), &reader, error, sizeof error);
  if (opened != BOP_OK) {
    report(opened, error);
    return opened == BOP_E_NOT_FOUND ? condition : unavailable;
  }
  bool problem = false;
  int32_t status;
  bop_log_item item{};
  item.size = sizeof item;
  while ((status = bop_log_next(reader, &item)) == BOP_OK) {
    problem |= item.kind == BOP_LOG_PROBLEM;
    globals.json ? print_object(item) : print_line(item);
  }
  bop_log_close(reader);
  if (status != BOP_E_NOT_FOUND) return report(status, directory);
  return problem ? condition : ok;
}

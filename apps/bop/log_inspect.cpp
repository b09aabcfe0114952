// bop log inspect: prints the contents of a write-ahead log.
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

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
  std::fputs(json_text(object).c_str(), stdout);
}

// Columns of fixed width: lines are printed before the following ones are known.
void print_row(const char* kind, const char* file, const std::array<std::string, 9>& columns,
               const char* text) {
  constexpr std::array<int, 9> widths{10, 10, 5, 8, 20, 5, 6, 4, 15};
  std::printf("%-8s %-27s", kind, file);
  for (size_t i = 0; i < columns.size(); ++i) std::printf(" %*s", widths[i], columns[i].c_str());
  std::printf("%s%s\n", *text == '\0' ? "" : "  ", text);
}

void print_header() {
  print_row("KIND", "FILE",
            {"OFFSET", "LENGTH", "EPOCH", "FRAME", "DURABLE", "GROUP", "TERM", "VOTE", "ENTRIES"},
            "TEXT");
}

void print_line(const bop_log_item& item) {
  const auto number = [](bool there, uint64_t value) {
    return there ? std::to_string(value) : "-";
  };
  const bool placed = *item.file != '\0';
  const bool stretch = item.kind != BOP_LOG_GROUP;
  const bool grouped = has_group(item);
  print_row(kind_name(item.kind), placed ? item.file : "-",
            {number(placed, item.offset_bytes), number(stretch, item.length_bytes),
             number(stretch, item.epoch), number(item.frame != 0, item.frame),
             number(item.durable_through != 0, item.durable_through), number(grouped, item.group),
             number(grouped, item.term), number(grouped, item.vote),
             item.entries == 0
                 ? "-"
                 : std::to_string(item.first_index) + ".." + std::to_string(item.last_index)},
            item.text);
}

}  // namespace

Exit inspect_log(const Globals& globals, const std::string& directory) {
  char error[1024] = "";
  bop_log_reader* reader = nullptr;
  const int32_t opened = bop_log_open(directory.c_str(), &reader, error, sizeof error);
  if (opened != BOP_OK) {
    report(globals, opened, error);
    return opened == BOP_E_NOT_FOUND ? condition : unavailable;
  }
  bool problem = false;
  int32_t status;
  bop_log_item item{};
  item.size = sizeof item;
  // One JSON list, one object per line, printed while the log is read: it may be larger than memory.
  const char* between = "[\n";
  if (!globals.json) print_header();
  while ((status = bop_log_next(reader, &item)) == BOP_OK) {
    problem |= item.kind == BOP_LOG_PROBLEM;
    if (globals.json) {
      std::fputs(std::exchange(between, ",\n"), stdout);
      print_object(item);
    } else {
      print_line(item);
    }
  }
  if (globals.json) std::fputs(*between == '[' ? "[]\n" : "\n]\n", stdout);
  bop_log_close(reader);
  if (status != BOP_E_NOT_FOUND) return report(globals, status, directory);
  return problem ? condition : ok;
}

// bop/log.h.
#include "bop/log.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "capi/shell.h"
#include "io/file/file_system.h"
#include "io/loop.h"
#include "log/inspect.h"

using bop::Result;
using bop::Status;
using bop::capi::fill;
using bop::capi::guarded;
namespace log = bop::log;

struct bop_log_reader {
  bop::io::Loop loop;  // required by the file system; unused, because all reads block
  std::unique_ptr<bop::io::FileSystem> files;
  std::vector<std::string> directories;         // logs still to be read, in reverse order
  std::string directory;                        // of the log being read
  std::unique_ptr<log::Inspection> inspection;  // of that log; nullptr: the next one must be opened
  struct Group {
    bop_log_item item;
    std::string file, text;
  };
  std::vector<Group> groups;  // state of each group, once the log was read to its end
  size_t next_group = 0;      // the next of these to be returned
  std::string file, text;     // storage for the pointers of the item returned last
};

namespace {

constexpr std::string_view shard_prefix = "shard";

bool is_shard(const std::string& name) {
  return name.size() > shard_prefix.size() && name.starts_with(shard_prefix) &&
         name.find_first_not_of("0123456789", shard_prefix.size()) == name.npos;
}

// Lists the logs in a node's data directory. A directory without shards is taken for a log itself.
Status find_logs(bop_log_reader& reader) {
  BOP_TRY_ASSIGN(const std::vector<std::string> names, reader.files->list_now("."));
  for (const std::string& name : names) {
    if (is_shard(name)) reader.directories.push_back(name);
  }
  if (reader.directories.empty()) reader.directories.push_back(".");
  std::reverse(reader.directories.begin(), reader.directories.end());
  return {};
}

Status open_next(bop_log_reader& reader) {
  reader.directory = reader.directories.back();
  reader.directories.pop_back();
  BOP_TRY_ASSIGN(reader.inspection, log::Inspection::open(*reader.files, reader.directory));
  return {};
}

Status open_reader(const std::string& directory, bop_log_reader** out) {
  auto reader = std::make_unique<bop_log_reader>();
  BOP_TRY_ASSIGN(reader->files, bop::io::open_file_system(
                                    reader->loop, directory,
                                    {.backend = bop::io::FileBackend::pool, .pool_threads = 1}));
  BOP_TRY(find_logs(*reader));
  // Without directories of shards this must be a log: report an error now if it is not.
  if (reader->directories.back() == ".") BOP_TRY(open_next(*reader));
  *out = reader.release();
  return {};
}

int32_t frame_kind(log::FrameKind kind) {
  switch (kind) {
    case log::FrameKind::seal: return BOP_LOG_SEAL;
    case log::FrameKind::summary: return BOP_LOG_SUMMARY;
    default: return BOP_LOG_FRAME;
  }
}

bool is_harmless(log::Verdict verdict) {
  return verdict != log::Verdict::suspect && verdict != log::Verdict::damage;
}

int32_t kind_of(const log::Item& item) {
  switch (item.kind) {
    case log::ItemKind::segment: return BOP_LOG_SEGMENT;
    case log::ItemKind::frame: return frame_kind(item.frame_kind);
    case log::ItemKind::record: return BOP_LOG_RECORD;
    case log::ItemKind::problem: break;
  }
  return is_harmless(item.verdict) ? BOP_LOG_GAP : BOP_LOG_PROBLEM;
}

bop_log_item describe(const log::Item& item) {
  bop_log_item out{};
  out.kind = kind_of(item);
  out.offset_bytes = item.location.offset;
  out.length_bytes = item.bytes;
  if (item.kind == log::ItemKind::frame || item.kind == log::ItemKind::record) {
    out.epoch = item.epoch;
    out.frame = item.number;
    out.durable_through = item.durable_through;
  }
  if (item.kind == log::ItemKind::record) {
    out.group = item.record.group;
    out.term = item.record.hard.term;
    out.vote = item.record.hard.vote;
    out.entries = item.record.count;
    if (item.record.count > 0 && item.record.kind == log::RecordKind::entries) {
      out.first_index = item.record.first;
      out.last_index = item.record.first + item.record.count - 1;
    }
  }
  return out;
}

void take_groups(bop_log_reader& reader) {
  reader.groups.clear();
  reader.next_group = 0;
  for (const log::RecoveredGroup& group : reader.inspection->recovery().groups) {
    bop_log_item out{};
    out.kind = BOP_LOG_GROUP;
    out.group = group.group;
    out.term = group.hard.term;
    out.vote = group.hard.vote;
    out.first_index = group.runs.empty() ? 0 : group.runs.front().first;
    out.last_index = group.last;
    out.entries = group.runs.empty() ? 0 : group.last + 1 - out.first_index;
    const bool ok = group.health == log::Health::ok;
    if (!ok) out.offset_bytes = group.location.offset;
    const char* health = group.health == log::Health::suspect ? "suspect: " : "newer: ";
    reader.groups.push_back({.item = out,
                             .file = ok ? "" : group.location.file,
                             .text = ok ? "ok" : health + group.reason});
  }
  reader.inspection.reset();
}

// Ends the log being read with an item that has the error. Other logs may follow.
bool give_up(bop_log_reader& reader, const bop::Error& error, bop_log_item& out) {
  reader.inspection.reset();
  out.kind = BOP_LOG_PROBLEM;
  reader.file = reader.directory;
  reader.text = error.to_string();
  return true;
}

// False: all logs were read.
bool read_next(bop_log_reader& reader, bop_log_item& out) {
  for (;;) {
    if (reader.next_group < reader.groups.size()) {
      const bop_log_reader::Group& group = reader.groups[reader.next_group++];
      out = group.item;
      reader.file = group.file;
      reader.text = group.text;
      return true;
    }
    if (reader.inspection == nullptr) {
      if (reader.directories.empty()) return false;
      if (const Status opened = open_next(reader); !opened)
        return give_up(reader, opened.error(), out);
    }
    log::Item item;
    const Result<bool> more = reader.inspection->next(item);
    if (!more) return give_up(reader, more.error(), out);
    if (*more) {
      out = describe(item);
      reader.file = std::move(item.location.file);
      reader.text = std::move(item.text);
      return true;
    }
    take_groups(reader);
  }
}

}  // namespace

int32_t bop_log_open(const char* directory, bop_log_reader** reader, char* error,
                     size_t error_capacity) {
  if (directory == nullptr || reader == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded(error, error_capacity, [&] {
    return bop::capi::give(open_reader(directory, reader), error, error_capacity);
  });
}

int32_t bop_log_next(bop_log_reader* reader, bop_log_item* item) {
  if (reader == nullptr || item == nullptr) return BOP_E_INVALID_ARGUMENT;
  return guarded([&]() -> int32_t {
    bop_log_item out{};
    if (!read_next(*reader, out)) return BOP_E_NOT_FOUND;
    out.file = reader->file.c_str();
    out.text = reader->text.c_str();
    fill(item, out);
    return BOP_OK;
  });
}

void bop_log_close(bop_log_reader* reader) { delete reader; }

#include "log/rebuild.h"

#include <algorithm>

namespace bop::log {

void Rebuild::on_frame(const FrameView& frame) {
  last_frame_segment_ = segment_of(frame.header.position);
  for (const RecordView& record : *frame.records) {
    if (record.header.kind == RecordKind::summary) {
      on_summary(frame.header.position + record.offset, record);
    } else {
      on_record(frame.header.position, record);
    }
  }
}

void Rebuild::on_finding(const Finding& finding) {
  if (finding.verdict == Verdict::tear) {
    torn_ = true;
    cut_ = scanner_.file_offset(finding.begin);
    return;
  }
  gaps_.push_back({finding.verdict, finding.begin, finding.end, scanner_.file_offset(finding.first),
                   finding.words});
}

// Whether no record of the group is missing before this one.
bool Rebuild::continues(const RebuiltGroup& group, bool known, const RecordHeader& header) const {
  if (header.flags & record_restarts) return true;
  if (known) return header.previous == group.history.last_record;
  return header.previous < log_start();
}

void Rebuild::on_record(Position frame, const RecordView& record) {
  const RecordHeader& header = record.header;
  const auto [found, is_new] = groups_.try_emplace(header.group);
  RebuiltGroup& group = found->second;
  const RecordLocation location{frame, record.offset, header.bytes, header.first, header.count};
  if (header.flags & record_restarts) group.suspect = false;
  if (continues(group, !is_new, header)) {
    group.proven = location.position();
  } else {
    doubt(group, header.previous, location.position());
  }
  const bool restarts = (header.flags & record_restarts) != 0;
  if (header.kind <= last_known_kind && !is_new && !restarts && !group.history.agrees(header)) {
    doubt(group, location.position(), location.position());
    // The entries of a suspect group are kept from here on, for inspection.
    group.history.restart({header.previous_term, header.first - 1});
  }
  group.history.apply(location, record);
  if (record.newer != nullptr) leave_to_newer(group, location.position(), record.newer);
}

void Rebuild::leave_to_newer(RebuiltGroup& group, Position at, std::string_view what) {
  if (group.newer) return;
  group.newer = true;
  if (group.suspect) return;  // which is worse
  group.location = scanner_.file_offset(at);
  group.reason = group.location.file + " at " + std::to_string(group.location.offset) +
                 ": a record of a newer version, with " + std::string(what);
}

void Rebuild::on_summary(Position at, const RecordView& record) {
  if (record.header.flags & record_complete) complete_summary_ = at;
  for (const SummaryItem& item : decode_summary(record)) {
    const auto [found, is_new] = groups_.try_emplace(item.group);
    RebuiltGroup& group = found->second;
    GroupHistory& history = group.history;
    if (is_new) {
      history.hard = item.hard;
      history.restart(item.last);
    }
    // A record before the log's first segment was not needed any more when that segment was released.
    const bool gone = is_new && item.last_record < log_start();
    if (gone) history.last_record = item.last_record;
    if (item.flags != 0 || item.generation != 0) leave_to_newer(group, at, "unknown flags");
    if (item.suspect && !group.suspect) {
      doubt(group, item.last_record, at);
    } else if (history.last_record != item.last_record) {
      doubt(group, item.last_record, at);
      history.hard = item.hard;
      history.last_record = item.last_record;
    } else if (item.checkpoint >= log_start() && history.checkpoints.newest() != item.checkpoint) {
      doubt(group, item.checkpoint, at);
    } else {
      group.proven = at;
    }
  }
}

Position Rebuild::log_start() const { return make_position(scanner_.end().first_segment, 0); }

const Rebuild::Gap* Rebuild::gap_behind(Position proven) const {
  const auto behind = std::ranges::find_if(
      gaps_, [&](const Gap& gap) { return gap.begin > proven || gap.end > proven; });
  return behind == gaps_.end() ? nullptr : &*behind;
}

void Rebuild::doubt(RebuiltGroup& group, Position previous, Position named_at) {
  if (group.suspect) return;
  group.suspect = true;
  const Gap* gap = gap_behind(std::min(previous, group.proven));
  if (gap == nullptr) gap = gap_behind(previous);
  if (gap != nullptr && gap->begin <= named_at) return blame(group, *gap);
  group.location = scanner_.file_offset(named_at);
  group.reason = group.location.file + " at " + std::to_string(group.location.offset) +
                 ": the record does not follow the group's last record";
}

void Rebuild::blame(RebuiltGroup& group, const Gap& gap) {
  group.suspect = true;
  group.reason = gap.words;
  group.location = gap.location;
}

void Rebuild::finish() {
  for (auto& [id, group] : groups_) {
    const Gap* gap = gap_behind(group.proven);
    if (!group.suspect && gap != nullptr) blame(group, *gap);
    group.index = group.history.index();
  }
}

uint32_t Rebuild::first_gap_segment() const {
  if (std::ranges::any_of(groups_, [](const auto& group) { return group.second.newer; }))
    return scanner_.end().first_segment;
  const bool any_suspect =
      std::ranges::any_of(groups_, [](const auto& group) { return group.second.suspect; });
  if (gaps_.empty() || (!any_suspect && gap_behind(complete_summary_) == nullptr)) return 0;
  return segment_of(gaps_.front().begin);
}

RecoveredGroup Rebuild::recovered(GroupId id, const RebuiltGroup& group) const {
  RecoveredGroup out;
  out.group = id;
  out.hard = group.index.hard;
  out.before_first = group.index.before_first();
  out.runs = group.index.runs();
  out.last = group.index.last();
  out.last_time_ns = group.index.last_time_ns;
  for (const StoredCheckpoint& stored : group.index.checkpoints.complete())
    out.checkpoints.push_back({stored.at, stored.bytes});
  out.configurations = group.history.configurations(group.index);
  out.health = group.suspect ? Health::suspect : group.newer ? Health::newer : Health::ok;
  out.reason = group.reason;
  out.location = group.location;
  return out;
}

Recovery Rebuild::recovery() const {
  Recovery out;
  out.epoch = scanner_.end().next_epoch;
  out.frames = scanner_.end().frames;
  out.bytes = scanner_.end().bytes;
  out.torn = torn_;
  out.cut = cut_;
  out.bad_behind_end = scanner_.end().bad_behind_end_words;
  for (const Gap& gap : gaps_) {
    out.damaged |= gap.verdict == Verdict::damage;
    out.suspect |= gap.verdict == Verdict::suspect;
  }
  if (!gaps_.empty()) out.location = gaps_.front().location;
  out.others_suspect = gap_behind(complete_summary_) != nullptr;
  for (const auto& [id, group] : groups_) out.groups.push_back(recovered(id, group));
  return out;
}

}  // namespace bop::log

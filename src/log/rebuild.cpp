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
    cut_ = scanner_.place(finding.begin);
    return;
  }
  holes_.push_back(
      {finding.verdict, finding.begin, finding.end, scanner_.place(finding.first), finding.words});
}

// Whether nothing of the group is missing in front of this record.
bool Rebuild::continues(const RebuiltGroup& group, bool known, const RecordHeader& header) const {
  if (header.flags & record_restarts) return true;
  if (known) return header.previous == group.index.last_record;
  return header.previous < log_start();
}

void Rebuild::on_record(Position frame, const RecordView& record) {
  const RecordHeader& header = record.header;
  const auto [found, is_new] = groups_.try_emplace(header.group);
  RebuiltGroup& group = found->second;
  const RecordPlace place{frame, record.offset, header.bytes, header.first, header.count};
  if (header.flags & record_restarts) group.suspect = false;
  if (continues(group, !is_new, header)) {
    group.proven = place.position();
  } else {
    doubt(group, header.previous, place.position());
  }
  if (is_new) group.index.restart({header.previous_term, header.first - 1});
  if (group.index.joins(header) && !group.index.agrees(header)) {
    doubt(group, place.position(), place.position());
    // What a suspect group holds is kept from here on, for whoever looks at it.
    group.index.restart({header.previous_term, header.first - 1});
  }
  group.index.apply(place, header, record.body);
}

void Rebuild::on_summary(Position at, const RecordView& record) {
  if (record.header.flags & record_complete) complete_summary_ = at;
  for (const SummaryItem& item : decode_summary(record)) {
    const auto [found, is_new] = groups_.try_emplace(item.group);
    RebuiltGroup& group = found->second;
    if (is_new) {
      group.index.hard = item.hard;
      group.index.restart({item.last.term, item.last.index});
    }
    // A record in front of the log's first segment was needed no more, once something later stands
    // for it.
    const bool gone = is_new && item.last_record < log_start();
    if (gone) group.index.last_record = item.last_record;
    if (item.suspect && !group.suspect) {
      doubt(group, item.last_record, at);
    } else if (group.index.last_record == item.last_record) {
      group.proven = at;
    } else {
      doubt(group, item.last_record, at);
      group.index.hard = item.hard;
      group.index.last_record = item.last_record;
    }
  }
}

Position Rebuild::log_start() const { return make_position(scanner_.end().first_segment, 0); }

const Rebuild::Hole* Rebuild::hole_behind(Position proven) const {
  const auto behind = std::ranges::find_if(
      holes_, [&](const Hole& hole) { return hole.begin > proven || hole.end > proven; });
  return behind == holes_.end() ? nullptr : &*behind;
}

void Rebuild::doubt(RebuiltGroup& group, Position previous, Position named_at) {
  if (group.suspect) return;
  group.suspect = true;
  const Hole* hole = hole_behind(std::min(previous, group.proven));
  if (hole == nullptr) hole = hole_behind(previous);
  if (hole != nullptr && hole->begin <= named_at) return blame(group, *hole);
  group.place = scanner_.place(named_at);
  group.reason = group.place.file + " at " + std::to_string(group.place.offset) +
                 ": the record does not follow the group's last one";
}

void Rebuild::blame(RebuiltGroup& group, const Hole& hole) {
  group.suspect = true;
  group.reason = hole.words;
  group.place = hole.place;
}

void Rebuild::finish() {
  for (auto& [id, group] : groups_) {
    const Hole* hole = hole_behind(group.proven);
    if (!group.suspect && hole != nullptr) blame(group, *hole);
  }
}

uint32_t Rebuild::first_hole_segment() const {
  const bool any_suspect =
      std::ranges::any_of(groups_, [](const auto& group) { return group.second.suspect; });
  if (holes_.empty() || (!any_suspect && hole_behind(complete_summary_) == nullptr)) return 0;
  return segment_of(holes_.front().begin);
}

RecoveredGroup Rebuild::recovered(GroupId id, const RebuiltGroup& group) const {
  RecoveredGroup out;
  out.group = id;
  out.hard = group.index.hard;
  out.before_first = group.index.before_first();
  out.runs = group.index.runs();
  out.last = group.index.last();
  out.last_time_ns = group.index.last_time_ns;
  out.health = group.suspect ? Health::suspect : Health::ok;
  out.reason = group.reason;
  out.place = group.place;
  return out;
}

Recovery Rebuild::recovery() const {
  Recovery out;
  out.epoch = scanner_.end().next_epoch;
  out.frames = scanner_.end().frames;
  out.bytes = scanner_.end().bytes;
  out.torn = torn_;
  out.cut = cut_;
  for (const Hole& hole : holes_) {
    out.damaged |= hole.verdict == Verdict::damage;
    out.suspect |= hole.verdict == Verdict::suspect;
  }
  if (!holes_.empty()) out.place = holes_.front().place;
  out.others_suspect = hole_behind(complete_summary_) != nullptr;
  for (const auto& [id, group] : groups_) out.groups.push_back(recovered(id, group));
  return out;
}

}  // namespace bop::log

// Recovery of the groups: consumes the findings of a scan, in order, and concludes what each group's log is
// and whether it may have lost anything.
//
// A group is proven complete at each of its records whose `previous` is its last known record, and at each
// summary that names that record. It becomes suspect by a gap (damage or suspect) behind the last proof,
// and by a record or summary that names a previous record which was not found.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "log/group_history.h"
#include "log/scan.h"

namespace bop::log {

struct RebuiltGroup {
  GroupHistory history;
  GroupIndex index;     // set by Rebuild::finish()
  Position proven = 0;  // position of the last proof
  bool suspect = false;
  bool newer = false;  // a record of it is of a newer version
  std::string reason;
  FileOffset location;
};

class Rebuild : public ScanVisitor {
 public:
  explicit Rebuild(const Scanner& scanner) : scanner_(scanner) {}

  void on_segment(const SegmentFile&) override {}
  void on_frame(const FrameView& frame) override;
  void on_finding(const Finding& finding) override;

  // Call it after the scan, before the functions below.
  void finish();
  Recovery recovery() const;
  std::map<GroupId, RebuiltGroup> take_groups() { return std::move(groups_); }
  // The segment of the first gap that may still matter, because of which a group is or could become
  // suspect; 0: none. While a group is of a newer version, the log's first segment: what that group still
  // needs is not known here.
  uint32_t first_gap_segment() const;
  // The segment of the last whole frame; 0: none.
  uint32_t last_frame_segment() const { return last_frame_segment_; }

 private:
  struct Gap {
    Verdict verdict;
    Position begin;
    Position end;
    FileOffset location;
    std::string words;
  };

  void on_record(Position frame, const RecordView& record);
  void on_summary(Position at, const RecordView& record);
  // Marks the group suspect, because the record `previous`, which is named at `named_at`, is missing. The
  // reason is the gap that it was in or, without one, the record that names it.
  void doubt(RebuiltGroup& group, Position previous, Position named_at);
  void blame(RebuiltGroup& group, const Gap& gap);
  void leave_to_newer(RebuiltGroup& group, Position at, std::string_view what);
  bool continues(const RebuiltGroup& group, bool known, const RecordHeader& header) const;
  Position log_start() const;
  // The first gap behind `proven`; nullptr: none.
  const Gap* gap_behind(Position proven) const;
  RecoveredGroup recovered(GroupId id, const RebuiltGroup& group) const;

  const Scanner& scanner_;
  std::map<GroupId, RebuiltGroup> groups_;
  std::vector<Gap> gaps_;
  Position complete_summary_ = 0;  // position of the last summary that names every group
  uint32_t last_frame_segment_ = 0;
  bool torn_ = false;
  FileOffset cut_;
};

}  // namespace bop::log

// Recovery of the groups: takes what a scan finds, in order, and ends with what each group's log is
// and whether it may have lost anything.
//
// A group is proven at every record of it whose `previous` is the record we know as its last, and at
// every summary that names that record: nothing of it was lost before. A gap (damage, suspect) behind
// the last proof puts the group in doubt, and so does a record that names a previous one we do not
// have.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "log/group_index.h"
#include "log/scan.h"

namespace bop::log {

struct RebuiltGroup {
  GroupIndex index;
  Position proven = 0;  // of the last proof
  bool suspect = false;
  std::string reason;
  FileOffset location;
};

class Rebuild : public ScanVisitor {
 public:
  explicit Rebuild(const Scanner& scanner) : scanner_(scanner) {}

  void on_segment(const SegmentFile&) override {}
  void on_frame(const FrameView& frame) override;
  void on_finding(const Finding& finding) override;

  // After the scan.
  void finish();
  Recovery recovery() const;
  std::map<GroupId, RebuiltGroup> take_groups() { return std::move(groups_); }
  // The segment of the first gap that may still matter, 0: none.
  uint32_t first_gap_segment() const;
  // The segment of the last whole frame, 0: none.
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
  // Why the record `previous` is missing: the gap that it fell into, or the record that names it.
  void doubt(RebuiltGroup& group, Position previous, Position named_at);
  void blame(RebuiltGroup& group, const Gap& gap);
  bool continues(const RebuiltGroup& group, bool known, const RecordHeader& header) const;
  Position log_start() const;
  // The first gap behind `proven`, nullptr: none.
  const Gap* gap_behind(Position proven) const;
  RecoveredGroup recovered(GroupId id, const RebuiltGroup& group) const;

  const Scanner& scanner_;
  std::map<GroupId, RebuiltGroup> groups_;
  std::vector<Gap> gaps_;
  Position complete_summary_ = 0;  // the last one that names every group
  uint32_t last_frame_segment_ = 0;
  bool torn_ = false;
  FileOffset cut_;
};

}  // namespace bop::log

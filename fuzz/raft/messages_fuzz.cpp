// Whatever peers say, a replica must not fail an assert: only our own bugs may. The input is a list
// of events, small numbers in most fields, so that many of them make sense.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.h"
#include "raft/change.h"
#include "raft/configuration.h"
#include "raft/core.h"

namespace {

using namespace bop;
using namespace bop::raft;

class Host {
 public:
  Host(Reader& in, uint8_t options)
      : in_(in), self_(self_of(options)), core_(config(options), restored(), 0) {
    step();
  }

  void run() {
    for (int i = 0; i < 400 && in_.remaining() > 0; ++i) {
      switch (in_.u8() % 20) {
        case 0: persist(); break;
        case 1: now_ += in_.u8() * (10 * milliseconds); break;
        case 2: propose(); break;
        case 3: events_.push_back(Read{1}); break;
        case 4: events_.push_back(NodeLost{node()}); break;
        case 5: events_.push_back(Health{in_.u8() % 2 == 0}); break;
        case 6: events_.push_back(Resign{}); break;
        case 7: load(); break;
        case 8: events_.push_back(NodeAlive{node()}); break;
        case 9: events_.push_back(ForwardFailed{node()}); break;
        case 10: events_.push_back(ForwardDenied{node(), small()}); break;
        case 11: events_.push_back(Hindered{static_cast<Cause>(in_.u8() % cause_count)}); break;
        case 16: compact(); break;
        case 17: events_.push_back(SnapshotReady{{{small(), small()}, {1, 2}}}); break;
        case 18: install(); break;
        case 19: events_.push_back(Transfer{node(), in_.u8() * (10 * milliseconds)}); break;
        default: receive(); continue;  // several messages make one step
      }
      step();
    }
    step();
    core_.check();
  }

 private:
  static NodeId self_of(uint8_t options) { return 1 + options % 5; }  // 4: learner, 5: outsider

  static Config config(uint8_t options) {
    Config s;
    s.self = self_of(options);
    s.quiesce = (options & 8) == 0;
    s.max_append_entries = 4;
    s.max_append_bytes = 400;
    s.max_inflight_bytes = 1000;
    s.max_uncommitted_bytes = 2000;
    s.max_pending_reads = 8;
    s.cache_bytes = options & 16 ? 0 : 500;
    return s;
  }
  static Restored restored() {
    Restored r;
    r.hard = {3, 0};
    r.before_first = {1, 2};
    r.runs = {{3, 1}, {5, 2}};
    r.last = 6;
    r.commit = 4;
    r.configuration.configuration = {{1, 2, 3}, {4}};
    return r;
  }

  uint64_t small() {
    const uint8_t value = in_.u8();
    return value == 255 ? in_.u64() : value % 24;
  }
  NodeId node() { return in_.u8() % 6; }

  // Often one that may follow the one in force.
  mem::Buffer configuration() {
    const uint8_t choice = in_.u8();
    if (choice % 4 == 0) return encode_configuration({{1, 3, 5}, {2}, {1, 4}, true});
    if (choice % 4 == 1) return encode_configuration(core_.configuration());
    std::vector<Change> changes(1 + choice / 4 % 3);
    for (Change& change : changes) {
      change.kind = static_cast<Change::Kind>(in_.u8() % 6);
      if (names_a_node(change.kind)) change.node = 1 + in_.u8() % 5;
    }
    const auto next = changed(core_.configuration(), changes);
    return next ? encode_configuration(*next) : mem::Buffer();
  }

  void propose() {
    Propose p;
    p.kind = static_cast<EntryKind>(in_.u8() % 3);
    if (p.kind == EntryKind::configuration)
      p.payload = configuration();
    else
      p.payload = mem::Buffer::copy(in_.bytes(std::min<size_t>(in_.u8(), in_.remaining())));
    events_.push_back(std::move(p));
  }

  std::vector<Entry> entries() {
    std::vector<Entry> list(in_.u8() % 6);
    Index index = small();
    for (Entry& entry : list) {
      entry.index = index++;
      entry.term = small();
      const uint8_t kind = in_.u8();
      entry.kind = static_cast<EntryKind>(kind % 4);
      if (entry.kind == EntryKind::configuration && (kind & 64)) entry.payload = configuration();
      entry.time_ns = static_cast<int64_t>(small());
      if (kind & 32) ++index;
    }
    return list;
  }

  void receive() {
    Message m;
    m.kind = static_cast<MessageKind>(in_.u8() % 11);
    m.from = node();
    m.to = in_.u8() % 16 == 0 ? node() : self_;
    m.term = small();
    m.log_term = small();
    m.index = small();
    m.commit = small();
    m.match = small();
    m.compact = small();
    m.round = small();
    m.snapshot = {m.index, m.log_term};
    const uint8_t flags = in_.u8();
    m.ok = flags & 1;
    m.quiesce = flags & 2;
    m.log_capacity = static_cast<LogCapacity>(flags / 8 % 3);
    m.hindered = flags & 128;
    if (flags & 4) {
      received_.push_back(entries());
      m.entries = received_.back();
    }
    events_.push_back(Receive{
        m, m.entries.empty() ? static_cast<LogCapacity>(flags / 32 % 3) : LogCapacity::available});
  }

  void load() {
    Loaded loaded;
    loaded.peer = node();
    loaded.first = small();
    loaded.entries = entries();
    events_.push_back(std::move(loaded));
  }

  void compact() {
    if (applied_ > 0) events_.push_back(Compacted{small() % (applied_ + 1)});
  }

  // What was offered last, perhaps long ago or more than once.
  void install() {
    if (!offer_) return;
    Installed event;
    event.term = offer_->term;
    event.at = offer_->snapshot.at;
    event.time_ns = static_cast<int64_t>(small());
    event.configuration.index = small() % (event.at.index + 1);
    event.configuration.configuration = core_.configuration();
    if (in_.u8() % 8 == 0) event.configuration.configuration = {{1, 3, 5}, {2}, {1, 4}, true};
    events_.push_back(std::move(event));
  }

  void persist() {
    if (marks_.empty()) return;
    events_.push_back(Persisted{marks_.front()});
    marks_.pop_front();
  }

  void step() {
    core_.step(now_, now_, events_, update_);
    events_.clear();
    received_.clear();
    if (update_.mark.number != 0) marks_.push_back(update_.mark);
    if (update_.offer) offer_ = update_.offer;
    applied_ = std::max(applied_, update_.restart.index);
    if (in_.remaining() % 3 == 0) applied_ = update_.commit;
    core_.applied(applied_);
  }

  Reader& in_;
  const NodeId self_;
  Core core_;
  Update update_;
  Instant now_ = 0;
  std::vector<Event> events_;
  std::deque<std::vector<Entry>> received_;
  std::deque<PersistMark> marks_;
  std::optional<Update::Offer> offer_;
  Index applied_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t options = in.u8();
  Host(in, options).run();
  return 0;
}

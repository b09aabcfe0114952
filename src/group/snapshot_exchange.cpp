#include "group/snapshot_exchange.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "raft/configuration.h"

namespace bop::group {

SnapshotExchange::SnapshotExchange(Options options, std::shared_ptr<SnapshotFiles> files,
                                   const Ports& ports, std::function<void()> schedule)
    : options_(std::move(options)),
      ports_(ports),
      schedule_(std::move(schedule)),
      fetcher_({.group = options_.installer.group,
                .name = options_.installer.name,
                .self = options_.self},
               files, ports.offload, *this, ports.budget),
      sender_({.group = options_.installer.group, .name = options_.installer.name}, files,
              ports.offload, *this, ports.budget),
      installer_(options_.installer, files, ports.offload),
      last_instance_(options_.instance) {
  fetcher_.wake = sender_.wake = schedule_;
  timer_ = ports_.timers.make_timer(schedule_);
  if (ports_.metrics == nullptr) return;
  const auto counter = [this](const char* name, const char* help) {
    return &ports_.metrics->counter(name, help, {{"group", options_.installer.name}});
  };
  sent_ = counter("bop_snapshot_sent_bytes_total",
                  "Bytes of snapshots that this node sent to other nodes");
  received_ = counter("bop_snapshot_received_bytes_total",
                      "Bytes of snapshots that this node received from other nodes");
  installs_ = counter("bop_snapshot_installed_total",
                      "Snapshots of other nodes that this replica installed");
}

// ---- what happens ----

void SnapshotExchange::offered(const raft::Update::Offer& offer,
                               const raft::Configuration& members) {
  if (installer_.installing() || ready_ || ports_.clock.now() < not_before_) return;
  if (!fetcher_.fetching()) offer_ = offer;
  std::vector<NodeId> others = members.voters;
  others.insert(others.end(), members.learners.begin(), members.learners.end());
  // The term in which the leader vouched for it rises with each offer of it.
  if (offer.snapshot == offer_.snapshot) offer_.term = std::max(offer_.term, offer.term);
  fetcher_.fetch(ports_.clock.now(), offer.snapshot, offer.from, others,
                 [this](const Result<snapshot::Stored>& stored) { fetched(stored); });
  schedule_();
}

void SnapshotExchange::receive_fetch(NodeId from, const proto::FetchItem& item) {
  sender_.receive(from, item);
  schedule_();
}

void SnapshotExchange::receive_chunk(NodeId from, const proto::ChunkItem& item) {
  fetcher_.receive(ports_.clock.now(), from, item);
  schedule_();
}

bool SnapshotExchange::fetch(NodeId from, const proto::FetchItem& item) {
  return ports_.host.fetch(from, item);
}

void SnapshotExchange::answer(NodeId to, const proto::ChunkItem& item) {
  ports_.host.answer_fetch(to, item);
}

// An error was logged, and the offer comes again.
void SnapshotExchange::fetched(const Result<snapshot::Stored>& stored) {
  if (!stored) return;
  const uint64_t instance = ++last_instance_;
  installing_bytes_ = stored->bytes;
  installer_.install(
      stored->id, instance, options_.directory_of(instance),
      [this](Result<SnapshotInstaller::Installed> result) { installed(std::move(result)); });
}

void SnapshotExchange::installed(Result<SnapshotInstaller::Installed> result) {
  if (!result) {
    not_before_ = ports_.clock.now() + pause;
    return schedule_();
  }
  const auto configuration = raft::decode_configuration(result->manifest.configuration);
  if (!configuration) {
    logging::error(
        "group {}: the snapshot at entry {} has a configuration that this node cannot use: {}",
        options_.installer.name, result->manifest.index, configuration.error().to_string());
    not_before_ = ports_.clock.now() + pause;
    return schedule_();
  }
  configuration_ = *configuration;
  ready_ = std::move(*result);
  schedule_();
}

// ---- once a turn ----

void SnapshotExchange::step() {
  const Instant now = ports_.clock.now();
  const Instant next = std::min(fetcher_.step(now), sender_.step(now));
  if (next != never) timer_->arm(next);
  count();
}

void SnapshotExchange::count() {
  if (sent_ == nullptr) return;
  sent_->add(sender_.sent_bytes() - std::exchange(counted_sent_, sender_.sent_bytes()));
  received_->add(fetcher_.received_bytes() -
                 std::exchange(counted_received_, fetcher_.received_bytes()));
}

std::optional<raft::Installed> SnapshotExchange::ready() const {
  if (!ready_) return {};
  raft::Installed out;
  out.term = offer_.term;
  out.at = {ready_->manifest.term, ready_->manifest.index};
  out.time_ns = ready_->manifest.time_ns;
  out.configuration = {ready_->manifest.configuration_index, *configuration_};
  return out;
}

SnapshotInstaller::Installed SnapshotExchange::take() {
  BOP_ASSERT(ready_.has_value());
  if (installs_ != nullptr) installs_->add();
  SnapshotInstaller::Installed out = std::move(*ready_);
  ready_.reset();
  return out;
}

void SnapshotExchange::discard() {
  ready_.reset();
  not_before_ = ports_.clock.now() + pause;
}

std::optional<SnapshotExchange::Progress> SnapshotExchange::progress() const {
  if (fetcher_.fetching()) return Progress{fetcher_.progress().bytes, fetcher_.progress().total};
  if (installer_.installing() || ready_)
    return Progress{installer_.restored_bytes(), installing_bytes_};
  return {};
}

}  // namespace bop::group

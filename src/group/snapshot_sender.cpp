#include "group/snapshot_sender.h"

#include <utility>

#include "base/logging.h"

namespace bop::group {

SnapshotSender::SnapshotSender(Options options, std::shared_ptr<SnapshotFiles> files,
                               machine::Offload& offload, Port& port, TokenBucket& budget)
    : options_(std::move(options)),
      files_(std::move(files)),
      offload_(offload),
      port_(port),
      budget_(budget) {}

SnapshotSender::~SnapshotSender() { ++*run_; }

void SnapshotSender::receive(NodeId from, const proto::FetchItem& item) {
  if (waiting_.size() < options_.max_waiting) {
    waiting_.push_back({from, item});
    return;
  }
  proto::ChunkItem busy;
  busy.group = options_.group;
  busy.request = item.request;
  busy.status = BOP_E_OVERLOADED;
  port_.answer(from, busy);
}

Instant SnapshotSender::step(Instant now) {
  if (reading_ || waiting_.empty()) return never;
  if (const uint32_t length = waiting_.front().item.length; !budget_.take(length, now))
    return budget_.available_at(length, now);
  Waiting next = waiting_.front();
  waiting_.pop_front();
  read(std::move(next));
  return never;
}

void SnapshotSender::read(Waiting next) {
  reading_ = true;
  const proto::FetchItem item = next.item;
  run_snapshot_job(
      offload_, files_, run_,
      [item](SnapshotFiles& files) {
        return files.read(item.snapshot, item.part, item.offset, item.length);
      },
      [this, item, from = next.from](const Result<SnapshotFiles::Piece>& piece) {
        reading_ = false;
        proto::ChunkItem chunk;
        chunk.group = options_.group;
        chunk.request = item.request;
        chunk.offset = item.offset;
        if (piece) {
          chunk.size = piece->size;
          chunk.bytes = mem::Buffer::copy(piece->bytes);
          sent_ += piece->bytes.size();
        } else {
          chunk.offset = 0;
          chunk.status = piece.error().code;
          const auto level =
              piece.error().code == BOP_E_NOT_FOUND ? logging::Level::debug : logging::Level::error;
          logging::line(level, "group {}: a piece of a snapshot cannot be sent to node {}: {}",
                        options_.name, from, piece.error().to_string());
        }
        port_.answer(from, chunk);
        if (wake) wake();
      });
}

}  // namespace bop::group

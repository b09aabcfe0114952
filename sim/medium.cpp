#include "sim/medium.h"

#include <utility>

namespace bop::sim {

namespace kv = machine::kv;

void Medium::on_step(kv::StoreImage::Step step) {
  if (!loses_write_ && !lost_) return;
  if (step == kv::StoreImage::Step::begin_flush) before_ = image_->committed_records();
  // Each flush is followed by a sync.
  if (step == kv::StoreImage::Step::begin_sync) choose_lost_write();
}

void Medium::choose_lost_write() {
  const kv::StoreImage::Records before = std::exchange(before_, {});
  const kv::StoreImage::Records after = image_->committed_records();
  if (lost_) {
    const auto now = after.find(lost_->key);
    if (now != after.end() && now->second == lost_->newer) return;
    lost_.reset();
    loses_write_ = true;
  }
  for (const auto& [key, older] : before) {
    const auto newer = after.find(key);
    if (newer == after.end() || newer->second == older) continue;
    lost_ = {key, older, newer->second, image_->committed().position.index};
    loses_write_ = false;
    return;
  }
}

bool Medium::flip_bit(Random& random) {
  const size_t records = image_->committed_records().size();
  return records > 0 && image_->rot(random.below(records), random.next());
}

bool Medium::end(bool power_lost) {
  if (power_lost) image_->lose_power();
  before_.clear();
  const auto lost = std::exchange(lost_, {});
  if (!lost) return false;
  if (image_->synced().position.index < lost->index) {
    loses_write_ = true;
    return false;
  }
  image_->replace(lost->key, lost->older);
  return true;
}

}  // namespace bop::sim

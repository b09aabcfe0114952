// What a worker does with a frozen layer.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "machine/kv/kv.h"

namespace bop::machine::kv {

// A layer as its fold hands it to the store, in order; finds the bases that nobody looked for yet.
class LayerChanges final : public Changes {
 public:
  // On the shard's thread, after which the layer does not change until the fold is done.
  LayerChanges(const Layer& layer, const bop_position& position);

  bool next(Change& change) override;
  void replaced(const std::optional<Stored>& record) override;
  Progress progress() override;

  // Of all touched keys, and of those that were touched before each of the layer's points that has
  // no bases yet.
  Totals bases() const;
  std::vector<Totals> bases_at_points() const;

 private:
  void count_base(const Record& record, const Totals& adds);

  const Layer& layer_;
  const bop_position position_;
  const Totals start_;
  const size_t resolved_;
  std::vector<size_t> marks_;    // touched keys at each point, ascending
  std::vector<Totals> buckets_;  // bases of keys between two marks, and after the last
  size_t next_ = 0;
  const Record* current_ = nullptr;
};

// A job on the queue of long writes.
struct Kv::LayerJob {
  Kv* kv = nullptr;
  std::shared_ptr<Layer> layer;
  std::unique_ptr<LayerChanges> changes;
  std::function<Status(LayerJob&)> work;
  std::function<void(LayerJob&)> done;
  Status status;
};

}  // namespace bop::machine::kv

#include "raft/configurations.h"

#include <utility>

#include "base/assert.h"

namespace bop::raft {

Configurations::Configurations(ConfigurationAt base, std::vector<ConfigurationAt> later) {
  stack_.push_back(std::move(base));
  for (ConfigurationAt& at : later) append(at.index, std::move(at.configuration));
}

const Configuration* Configurations::previous() const {
  return stack_.size() > 1 ? &stack_[stack_.size() - 2].configuration : nullptr;
}

void Configurations::append(Index index, Configuration configuration) {
  BOP_ASSERT_GT(index, this->index());
  stack_.push_back({index, std::move(configuration)});
}

bool Configurations::truncate(Index index) {
  const size_t before = stack_.size();
  while (stack_.back().index >= index) {
    BOP_ASSERT_GT(stack_.size(), 1u);  // the committed one stays
    stack_.pop_back();
  }
  return stack_.size() != before;
}

bool Configurations::commit(Index index) {
  size_t superseded = 0;
  while (superseded + 1 < stack_.size() && stack_[superseded + 1].index <= index) ++superseded;
  stack_.erase(stack_.begin(), stack_.begin() + static_cast<ptrdiff_t>(superseded));
  return superseded != 0;
}

void Configurations::restart(ConfigurationAt base) {
  stack_.clear();
  stack_.push_back(std::move(base));
}

}  // namespace bop::raft

// A first-in first-out queue on a ring that keeps its memory, so that steady use allocates nothing.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace bop::raft {

template <class T>
class Queue {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // Element 0 is the oldest.
  T& operator[](size_t i) { return slots_[(head_ + i) & (slots_.size() - 1)]; }
  const T& operator[](size_t i) const { return slots_[(head_ + i) & (slots_.size() - 1)]; }
  T& front() {
    BOP_ASSERT(size_ > 0);
    return (*this)[0];
  }
  T& back() {
    BOP_ASSERT(size_ > 0);
    return (*this)[size_ - 1];
  }
  const T& back() const {
    BOP_ASSERT(size_ > 0);
    return (*this)[size_ - 1];
  }

  void push(T value) {
    if (size_ == slots_.size()) grow();
    ++size_;
    back() = std::move(value);
  }
  void pop() {
    front() = T{};
    head_ = (head_ + 1) & (slots_.size() - 1);
    --size_;
  }
  void clear() {
    while (!empty()) pop();
  }

 private:
  void grow() {
    std::vector<T> larger(slots_.empty() ? 8 : 2 * slots_.size());
    for (size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_.swap(larger);
    head_ = 0;
  }

  std::vector<T> slots_;  // a power of two
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace bop::raft

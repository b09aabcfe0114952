// Memory for one asynchronous operation that is started repeatedly, so that reads and writes of a socket
// allocate nothing.
#pragma once

#include <cstddef>
#include <new>

namespace bop::net {

class OperationMemory {
 public:
  OperationMemory() = default;
  OperationMemory(const OperationMemory&) = delete;
  OperationMemory& operator=(const OperationMemory&) = delete;

  void* take(size_t size) {
    if (in_use_ || size > sizeof bytes_) return ::operator new(size);
    in_use_ = true;
    return bytes_;
  }
  void give_back(void* memory) {
    if (memory == bytes_) {
      in_use_ = false;
    } else {
      ::operator delete(memory);
    }
  }

 private:
  alignas(std::max_align_t) std::byte bytes_[256];
  bool in_use_ = false;
};

// The allocator that Asio takes from a handler.
template <class T>
struct OperationAllocator {
  using value_type = T;
  explicit OperationAllocator(OperationMemory& memory) : memory(&memory) {}
  template <class U>
  OperationAllocator(const OperationAllocator<U>& other) : memory(other.memory) {}

  T* allocate(size_t count) { return static_cast<T*>(memory->take(count * sizeof(T))); }
  void deallocate(T* pointer, size_t) { memory->give_back(pointer); }

  template <class U>
  bool operator==(const OperationAllocator<U>& other) const {
    return memory == other.memory;
  }

  OperationMemory* memory;
};

}  // namespace bop::net

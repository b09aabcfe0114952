// operator new of the executables, on the same allocator as mem::allocate(). libbop leaves its embedder's
// operator new alone. Under the sanitizers theirs stays, since it finds uses after free.
#if BOP_SNMALLOC

#include <new>

#include "mem/choice.h"

namespace {

namespace choice = bop::mem::choice;

// As the standard requires: the handler may free memory, or throw.
template <class Allocate>
void* allocate_or_throw(Allocate&& allocate) {
  for (;;) {
    if (void* memory = allocate()) [[likely]]
      return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

template <class Allocate>
void* allocate_or_null(Allocate&& allocate) noexcept {
  try {
    return allocate_or_throw(allocate);
  } catch (...) {
    return nullptr;
  }
}

void* make(size_t size) {
  return allocate_or_throw([=] { return choice::allocate(size); });
}
void* make(size_t size, std::align_val_t alignment) {
  return allocate_or_throw(
      [=] { return choice::allocate_aligned(size, static_cast<size_t>(alignment)); });
}
void* try_make(size_t size) noexcept {
  return allocate_or_null([=] { return choice::allocate(size); });
}
void* try_make(size_t size, std::align_val_t alignment) noexcept {
  return allocate_or_null(
      [=] { return choice::allocate_aligned(size, static_cast<size_t>(alignment)); });
}

}  // namespace

#define BOP_NEW __attribute__((visibility("default")))

BOP_NEW void* operator new(size_t size) { return make(size); }
BOP_NEW void* operator new[](size_t size) { return make(size); }
BOP_NEW void* operator new(size_t size, std::align_val_t alignment) {
  return make(size, alignment);
}
BOP_NEW void* operator new[](size_t size, std::align_val_t alignment) {
  return make(size, alignment);
}
BOP_NEW void* operator new(size_t size, const std::nothrow_t&) noexcept { return try_make(size); }
BOP_NEW void* operator new[](size_t size, const std::nothrow_t&) noexcept { return try_make(size); }
BOP_NEW void* operator new(size_t size, std::align_val_t alignment,
                           const std::nothrow_t&) noexcept {
  return try_make(size, alignment);
}
BOP_NEW void* operator new[](size_t size, std::align_val_t alignment,
                             const std::nothrow_t&) noexcept {
  return try_make(size, alignment);
}

BOP_NEW void operator delete(void* memory) noexcept { choice::release(memory); }
BOP_NEW void operator delete[](void* memory) noexcept { choice::release(memory); }
BOP_NEW void operator delete(void* memory, size_t) noexcept { choice::release(memory); }
BOP_NEW void operator delete[](void* memory, size_t) noexcept { choice::release(memory); }
BOP_NEW void operator delete(void* memory, const std::nothrow_t&) noexcept {
  choice::release(memory);
}
BOP_NEW void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  choice::release(memory);
}
BOP_NEW void operator delete(void* memory, std::align_val_t) noexcept { choice::release(memory); }
BOP_NEW void operator delete[](void* memory, std::align_val_t) noexcept { choice::release(memory); }
BOP_NEW void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  choice::release(memory);
}
BOP_NEW void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  choice::release(memory);
}
BOP_NEW void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  choice::release(memory);
}
BOP_NEW void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  choice::release(memory);
}

#endif

#include "io/file/pool_engine.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "io/file/posix_file.h"

namespace bop::io {

namespace {

int64_t call_system(Operation& operation) {
  const auto parts = operation.left();
  const int count = static_cast<int>(std::min<size_t>(parts.size(), IOV_MAX));
  const auto offset = static_cast<off_t>(operation.offset);
  ssize_t result = 0;
  switch (operation.kind) {
    case Operation::Kind::read:
      result = preadv(operation.descriptor, parts.data(), count, offset);
      break;
    case Operation::Kind::write:
      result = pwritev(operation.descriptor, parts.data(), count, offset);
      break;
    case Operation::Kind::sync: result = fdatasync(operation.descriptor); break;
  }
  return result < 0 ? -errno : result;
}

}  // namespace

Result<std::unique_ptr<PoolEngine>> PoolEngine::make(Loop& loop, unsigned threads) {
  BOP_ASSERT_GT(threads, 0u);
  std::unique_ptr<PoolEngine> engine(new PoolEngine(loop));
  for (unsigned i = 0; i < threads; ++i) {
    BOP_TRY_ASSIGN(Thread thread, start_thread("bop-file", [made = engine.get()] { made->run(); }));
    engine->threads_.push_back(std::move(thread));
  }
  return engine;
}

PoolEngine::~PoolEngine() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void PoolEngine::start(Operation& operation) {
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(&operation);
  }
  wake_.notify_one();
}

void PoolEngine::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    Operation& operation = *waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    while (!operation.note(call_system(operation))) {
    }
    lock.lock();
    finish(operation);
  }
}

// Called with the lock held. The first operation of a batch wakes the loop.
void PoolEngine::finish(Operation& operation) {
  finished_.push_back(&operation);
  if (finished_.size() == 1) post([this] { deliver(); });
}

void PoolEngine::deliver() {
  {
    std::lock_guard lock(mutex_);
    delivering_.swap(finished_);
  }
  for (Operation* operation : delivering_) PosixFile::finish(*operation);
  delivering_.clear();
}

}  // namespace bop::io

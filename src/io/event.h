// An event that other event loops can wait on: a descriptor which is readable while it is set.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "io/file/descriptor.h"

namespace bop::io {

class Event {
 public:
  static Result<Event> make();  // IO: no descriptors left

  int handle() const { return descriptor_.get(); }
  // Any thread. Setting a set event, and clearing a clear one, does nothing.
  void set() const;
  void clear() const;
  // Waits until it is set; limit < 0: for ever. False: the limit passed.
  bool wait(Duration limit) const;

 private:
  explicit Event(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  Descriptor descriptor_;
};

}  // namespace bop::io

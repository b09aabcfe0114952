// An event for other event loops: a descriptor that is readable while the event is set.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "io/file/descriptor.h"

namespace bop::io {

class Event {
 public:
  static Result<Event> make();  // IO: no descriptors left

  int handle() const { return descriptor_.get(); }
  // Any thread. Setting an event that is set and clearing one that is clear do nothing.
  void set() const;
  void clear() const;
  // Waits until the event is set. False: `limit` passed first; a negative limit never passes.
  bool wait(Duration limit) const;

 private:
  explicit Event(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  Descriptor descriptor_;
};

}  // namespace bop::io

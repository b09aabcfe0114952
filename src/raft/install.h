// A follower adopts a snapshot that its machine was restored from.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void installed(State& s, const Installed& event);

}  // namespace bop::raft

// Cuts a stream of RESP2 replies into replies, of which the loader needs only: did it work?
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bench {

enum class Reply { ok, error, incomplete, malformed };

struct Cut {
  Reply reply = Reply::incomplete;
  size_t bytes = 0;       // of the reply, when it is complete
  std::string_view text;  // of an error
};

// The reply at the beginning of `bytes`. Arrays are malformed: no command sent here has one.
Cut cut_reply(std::string_view bytes);

}  // namespace bench

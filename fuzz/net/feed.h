// Bytes into one end of a socket pair, in pieces that the bytes themselves choose, while a loop turns.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "io/loop.h"

namespace bop::fuzz {

// The first byte says how large the pieces are. What comes back is read and dropped.
inline void feed(io::Loop& loop, int socket, const uint8_t* data, size_t size) {
  const size_t piece = size == 0 ? 1 : size_t{1} + data[0] * data[0];
  char dropped[65536];
  for (size_t at = 1; at < size; at += piece) {
    const size_t length = std::min(piece, size - at);
    if (send(socket, data + at, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
    loop.run_turn(loop.now());
    while (recv(socket, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
    }
  }
  shutdown(socket, SHUT_WR);
  for (int turn = 0; turn < 4; ++turn) {
    loop.run_turn(loop.now());
    while (recv(socket, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
    }
  }
  close(socket);
  for (int turn = 0; turn < 3; ++turn) loop.run_turn(loop.now());
}

}  // namespace bop::fuzz

// bop bench kv: load over the native protocol; at the end it verifies that no acknowledged write was lost.
#pragma once

#include <cstdint>

#include "session.h"

struct BenchArguments {
  uint32_t clients = 16;      // connections
  uint32_t pipeline = 1;      // requests in flight on each
  uint32_t size_bytes = 256;  // of a value
  double seconds = 10;
  double read_ratio = 0;  // of the requests, 0 to 1
  uint32_t keys = 100000;
  bool preload = true;
  bool verify = true;  // read back at the end what was acknowledged
};

Exit bench_kv(const Globals& globals, const BenchArguments& arguments);

#include "proto/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/checksum.h"

namespace bop::proto {

namespace {

constexpr size_t checksum_start = 12;
constexpr size_t least_partial_bytes = 512;
constexpr size_t first_partial_bytes = 16 * 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(const ClusterId& cluster) {
  std::string digits;
  for (const uint8_t byte : cluster) digits += fmt::format("{:02x}", byte);
  return digits;
}

Result<ClusterId> cluster_from_hex(std::string_view digits) {
  ClusterId cluster{};
  if (digits.size() != 2 * cluster.size()) {
    return fail(BOP_E_PROTOCOL, "a cluster id is 32 hexadecimal digits");
  }
  for (size_t i = 0; i < cluster.size(); ++i) {
    const int high = hex_digit(digits[2 * i]);
    const int low = hex_digit(digits[2 * i + 1]);
    if (high < 0 || low < 0) return fail(BOP_E_PROTOCOL, "a cluster id is 32 hexadecimal digits");
    cluster[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return cluster;
}

void seal_frame(uint32_t magic, uint8_t* front, std::span<const mem::Buffer> parts) {
  BOP_ASSERT(!parts.empty() && parts.front().data() == front);
  BOP_ASSERT_GE(parts.front().size(), frame_prefix_bytes);
  size_t size = 0;
  uint32_t checksum = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    size += parts[i].size();
    checksum = crc32c(parts[i].bytes().subspan(i == 0 ? checksum_start : 0), checksum);
  }
  store_le<uint32_t>(front, magic);
  store_le<uint32_t>(front + 4, static_cast<uint32_t>(size));
  store_le<uint32_t>(front + 8, checksum);
}

void seal_frame(uint32_t magic, std::span<uint8_t> head, Bytes tail) {
  BOP_ASSERT_GE(head.size(), frame_prefix_bytes);
  const uint32_t checksum = crc32c(tail, crc32c(Bytes(head).subspan(checksum_start)));
  store_le<uint32_t>(head.data(), magic);
  store_le<uint32_t>(head.data() + 4, static_cast<uint32_t>(head.size() + tail.size()));
  store_le<uint32_t>(head.data() + 8, checksum);
}

Result<Bytes> open_frame(const FrameFormat& format, Bytes frame) {
  if (frame.size() < format.min_bytes) {
    return fail(BOP_E_PROTOCOL, fmt::format("a frame of {} bytes is too short", frame.size()));
  }
  if (frame.size() > format.max_bytes) {
    return fail(BOP_E_TOO_LARGE, fmt::format("a frame of {} bytes; the limit is {}", frame.size(),
                                             format.max_bytes));
  }
  if (load_le<uint32_t>(frame.data()) != format.magic) {
    return fail(BOP_E_PROTOCOL, "a frame does not begin with its magic number");
  }
  if (load_le<uint32_t>(frame.data() + 4) != frame.size()) {
    return fail(BOP_E_PROTOCOL, "a frame's size field does not match its size");
  }
  if (load_le<uint32_t>(frame.data() + 8) != crc32c(frame.subspan(checksum_start))) {
    return fail(BOP_E_PROTOCOL, "a frame's checksum does not match");
  }
  return frame.subspan(frame_prefix_bytes);
}

Status check_unused(uint64_t value, std::string_view what) {
  if (value == 0) return {};
  return fail(BOP_E_VERSION_MISMATCH, fmt::format("{}, which this version does not know", what));
}

FrameSplitter::~FrameSplitter() {
  if (partial_ != nullptr) mem::free_block(partial_);
}

Result<size_t> FrameSplitter::frame_size(Bytes start) const {
  // A wrong magic number is refused as soon as its bytes have arrived.
  uint8_t magic[4];
  store_le<uint32_t>(magic, format_.magic);
  if (!std::equal(start.begin(),
                  start.begin() + static_cast<ptrdiff_t>(std::min<size_t>(4, start.size())),
                  magic)) {
    return fail(BOP_E_PROTOCOL, "a frame does not begin with its magic number");
  }
  if (start.size() < 8) return 0;
  const uint32_t size = load_le<uint32_t>(start.data() + 4);
  if (size < format_.min_bytes) {
    return fail(BOP_E_PROTOCOL, fmt::format("a frame of {} bytes is too short", size));
  }
  if (size > format_.max_bytes) {
    return fail(BOP_E_TOO_LARGE,
                fmt::format("a frame of {} bytes; the limit is {}", size, format_.max_bytes));
  }
  return size;
}

void FrameSplitter::grow(size_t capacity) {
  if (partial_ != nullptr && partial_->capacity >= capacity) return;
  mem::Block* larger = mem::allocate_block(capacity);
  if (partial_ != nullptr) {
    std::memcpy(larger->data(), partial_->data(), have_);
    mem::free_block(partial_);
  }
  partial_ = larger;
}

// Copies bytes until `wanted` are there or `bytes` ends; returns how many it copied.
size_t FrameSplitter::fill(Bytes bytes, size_t wanted) {
  const size_t taken = std::min(bytes.size(), wanted - have_);
  const size_t needed = have_ + taken;
  if (partial_ == nullptr || partial_->capacity < needed) {
    const size_t useful = std::max(wanted, least_partial_bytes);
    grow(std::max(needed, std::min(useful, std::max(first_partial_bytes, 2 * needed))));
  }
  std::memcpy(partial_->data() + have_, bytes.data(), taken);
  have_ = needed;
  return taken;
}

mem::Buffer FrameSplitter::take() {
  mem::Buffer frame(partial_, partial_->data(), have_);
  partial_ = nullptr;
  have_ = 0;
  return frame;
}

Status FrameSplitter::push(const mem::Buffer& received, std::vector<mem::Buffer>& frames) {
  Bytes rest = received.bytes();
  while (!rest.empty()) {
    if (have_ == 0) {
      BOP_TRY_ASSIGN(const size_t size, frame_size(rest));
      if (size != 0 && size <= rest.size()) {
        frames.push_back(received.slice(rest.first(size)));
        rest = rest.subspan(size);
        continue;
      }
    }
    if (have_ < 8) {
      rest = rest.subspan(fill(rest, 8));
      BOP_TRY(frame_size({partial_->data(), have_}));
      continue;
    }
    BOP_TRY_ASSIGN(const size_t size, frame_size({partial_->data(), have_}));
    rest = rest.subspan(fill(rest, size));
    if (have_ == size) frames.push_back(take());
  }
  return {};
}

}  // namespace bop::proto

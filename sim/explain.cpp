#include "sim/explain.h"

#include <cinttypes>
#include <variant>

#include "bop/error.h"
#include "raft/record.h"
#include "sim/node.h"

namespace bop::sim {

namespace {

std::string number(const char* name, uint64_t value) {
  return std::string(" ") + name + " " + std::to_string(value);
}

std::string describe(const proto::RaftItem& item) {
  return "group " + std::to_string(item.group) + " " + raft::describe_content(item.message);
}
std::string describe(const proto::ForwardItem& item) {
  return "group " + std::to_string(item.group) + " forward" + number("sequence", item.sequence) +
         number("leader_term", item.leader_term) + number("bytes", item.payload.size());
}
std::string describe(const proto::ForwardReplyItem& item) {
  return "group " + std::to_string(item.group) + " forward_reply" +
         number("sequence", item.sequence) + " " +
         bop_error_name(static_cast<bop_status>(item.status)) + number("index", item.index) +
         (item.detail.empty() ? "" : " (" + std::string(item.detail) + ")");
}
std::string describe(const proto::HeartbeatItem&) { return "heartbeat"; }
std::string describe(const proto::HelloItem&) { return "hello"; }
std::string describe(const proto::HelloAckItem&) { return "hello_ack"; }
std::string describe(const proto::FetchItem& item) {
  return "fetch " + std::to_string(item.request) + ", " + std::to_string(item.length) +
         " bytes from " + std::to_string(item.offset);
}
std::string describe(const proto::ChunkItem& item) {
  const std::string text = "chunk " + std::to_string(item.request);
  if (item.status != BOP_OK)
    return text + ": " + bop_error_name(static_cast<bop_status>(item.status));
  return text + ", " + std::to_string(item.bytes.size()) + " of " + std::to_string(item.size) +
         " bytes from " + std::to_string(item.offset);
}

}  // namespace

std::string describe_frame(const mem::Buffer& frame) {
  proto::PeerDecoder decoder;
  const auto decoded = decoder.decode(frame);
  if (!decoded) return decoded.error().to_string();
  std::string text;
  for (const proto::PeerItem& item : decoded->items) {
    if (std::holds_alternative<proto::HeartbeatItem>(item)) continue;
    if (!text.empty()) text += "; ";
    text += std::visit([](const auto& one) { return describe(one); }, item);
  }
  return text;
}

bool Explainer::is_wanted() const {
  if (scheduler_ == nullptr) return false;
  const Instant now = scheduler_->now();
  return from_ <= now && now <= to_;
}

void Explainer::write_time() {
  const Instant now = scheduler_->now();
  std::fprintf(file_, "%" PRId64 ".%09" PRId64 " ", now / seconds, now % seconds);
}

void Explainer::log(logging::Level level, std::string_view text) {
  if (!is_wanted()) return;
  write_time();
  const Thread* running = scheduler_->running();
  const NodeId node = running != nullptr ? node_of_thread(running->number()) : 0;
  if (node != 0) {
    std::fprintf(file_, "node %" PRIu64 " ", node);
    // Most lines of a node name it themselves.
    const std::string named = "node " + std::to_string(node) + ", ";
    if (text.starts_with(named)) text.remove_prefix(named.size());
  }
  std::fprintf(file_, "%s %.*s\n", logging::name_of(level), static_cast<int>(text.size()),
               text.data());
}

void Explainer::remark(std::string_view text) {
  if (!is_wanted()) return;
  write_time();
  std::fprintf(file_, "%.*s\n", static_cast<int>(text.size()), text.data());
}

void Explainer::frame(NodeId from, NodeId to, port::Channel channel, Bytes frame,
                      std::string_view fate) {
  if (!is_wanted()) return;
  const std::string items = describe_frame(mem::Buffer::copy(frame));
  if (items.empty()) return;
  write_time();
  std::fprintf(file_, "%" PRIu64 " -> %" PRIu64 " %s %.*s: %s\n", from, to,
               channel == port::Channel::control ? "control" : "bulk",
               static_cast<int>(fate.size()), fate.data(), items.c_str());
}

}  // namespace bop::sim

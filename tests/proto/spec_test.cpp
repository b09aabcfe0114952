// The examples of clients/spec/, which every implementation of a format has to pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "bop/kv.h"
#include "bytes.h"
#include "proto/client.h"
#include "proto/peer.h"

namespace bop::proto {
namespace {

using nlohmann::json;
using Read = std::function<Result<json>(const json& vector, const std::string& bytes)>;
// Nothing: what it encodes with is not apart from what answers.
using Written = std::function<std::optional<std::string>(const json& vector)>;

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string hex(Bytes bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) out += {digits[byte >> 4], digits[byte & 15]};
  return out;
}

std::string bytes_at(const json& fields, const char* name) {
  return from_hex(fields.at(name).get<std::string>());
}
const std::string& text_at(const json& fields, const char* name) {
  return fields.at(name).get_ref<const std::string&>();
}
ClusterId cluster_at(const json& fields) {
  return cluster_from_hex(text_at(fields, "cluster")).value();
}

// The index of a name in a list.
template <size_t size>
size_t place(const char* const (&names)[size], const std::string& name) {
  const auto* found = std::find(std::begin(names), std::end(names), name);
  EXPECT_NE(found, std::end(names)) << name;
  return static_cast<size_t>(found - std::begin(names));
}
template <size_t size>
json names_of(unsigned bits, const char* const (&names)[size]) {
  json list = json::array();
  for (size_t i = 0; i < size; ++i) {
    if ((bits >> i & 1) != 0) list.push_back(names[i]);
  }
  return list;
}
template <size_t size>
unsigned bits_of(const json& list, const char* const (&names)[size]) {
  unsigned bits = 0;
  for (const json& name : list) bits |= 1u << place(names, name.get<std::string>());
  return bits;
}

// Every example of a file: decoded to its fields and encoded byte for byte, or refused by name.
void check_spec(const char* file, const Read& read, const Written& written) {
  std::ifstream stream(std::string(BOP_SPEC) + "/" + file);
  const json spec = json::parse(stream);
  size_t good = 0;
  size_t bad = 0;
  for (const json& vector : spec.at("vectors")) {
    SCOPED_TRACE(vector.at("name"));
    const std::string bytes = bytes_at(vector, "hex");
    const Result<json> fields = read(vector, bytes);
    if (vector.contains("error")) {
      ++bad;
      ASSERT_FALSE(fields.has_value()) << *fields;
      EXPECT_EQ(bop_error_name(fields.error().code), text_at(vector, "error"));
      continue;
    }
    ++good;
    ASSERT_TRUE(fields.has_value()) << fields.error().to_string();
    EXPECT_EQ(*fields, vector.at("fields"));
    if (!vector.value("written", true)) continue;
    if (const auto again = written(vector)) {
      EXPECT_EQ(hex(as_bytes(*again)), text_at(vector, "hex"));
    }
  }
  EXPECT_GE(good, 10u);
  EXPECT_GE(bad, 10u);
}

// As from a connection: first through the splitter.
Result<mem::Buffer> cut(const FrameFormat& format, const std::string& bytes) {
  FrameSplitter splitter(format);
  std::vector<mem::Buffer> frames;
  BOP_TRY(splitter.push(buffer(bytes), frames));
  if (frames.size() != 1 || splitter.pending_bytes() != 0) {
    return fail(BOP_E_INTERNAL, "the example is not one frame");
  }
  return frames.front();
}

// ---- client.json ----

constexpr const char* request_kinds[] = {"propose", "query", "status", "ping", "find_group"};

struct ClientFields {
  json operator()(const ClientHello& hello) const {
    return {{"kind", "hello"},
            {"version_low", hello.version_low},
            {"version_high", hello.version_high},
            {"cluster", to_hex(hello.cluster)},
            {"name", hello.name}};
  }
  json operator()(const ClientHelloAck& ack) const {
    return {{"kind", "hello_ack"},
            {"version", ack.version},
            {"cluster", to_hex(ack.cluster)},
            {"node", ack.node},
            {"max_frame_bytes", ack.max_frame_bytes},
            {"max_in_flight", ack.max_in_flight}};
  }
  json operator()(const ClientRequest& request) const {
    return {{"kind", "request"},
            {"correlation", request.correlation},
            {"request", request_kinds[static_cast<size_t>(request.kind) - 1]},
            {"group", request.group},
            {"deadline_us", request.deadline_us},
            {"payload", hex(request.payload.bytes())}};
  }
  json operator()(const ClientReply& reply) const {
    return {{"kind", "reply"},        {"correlation", reply.correlation},
            {"status", reply.status}, {"index", reply.index},
            {"leader", reply.leader}, {"leader_address", reply.leader_address},
            {"detail", reply.detail}, {"body", hex(reply.body.bytes())}};
  }
  json operator()(const ClientGoodbye& goodbye) const {
    return {{"kind", "goodbye"}, {"status", goodbye.status}, {"detail", goodbye.detail}};
  }
};

Result<json> read_client(const json&, const std::string& bytes) {
  BOP_TRY_ASSIGN(const mem::Buffer frame, cut(client_format, bytes));
  BOP_TRY_ASSIGN(const ClientFrame decoded, decode_client_frame(frame));
  return std::visit(ClientFields(), decoded);
}

// Views point into `fields`.
ClientFrame client_frame(const json& fields) {
  const std::string& kind = text_at(fields, "kind");
  if (kind == "hello") {
    return ClientHello{fields.at("version_low"), fields.at("version_high"), cluster_at(fields),
                       text_at(fields, "name")};
  }
  if (kind == "hello_ack") {
    return ClientHelloAck{fields.at("version"), cluster_at(fields), fields.at("node"),
                          fields.at("max_frame_bytes"), fields.at("max_in_flight")};
  }
  if (kind == "request") {
    const size_t request = place(request_kinds, text_at(fields, "request"));
    return ClientRequest{fields.at("correlation"), static_cast<RequestKind>(request + 1),
                         fields.at("group"), fields.at("deadline_us"),
                         buffer(bytes_at(fields, "payload"))};
  }
  if (kind == "reply") {
    return ClientReply{fields.at("correlation"),
                       fields.at("status"),
                       fields.at("index"),
                       fields.at("leader"),
                       text_at(fields, "leader_address"),
                       text_at(fields, "detail"),
                       buffer(bytes_at(fields, "body"))};
  }
  EXPECT_EQ(kind, "goodbye");
  return ClientGoodbye{fields.at("status"), text_at(fields, "detail")};
}

std::optional<std::string> write_client(const json& vector) {
  PartWriter out;
  out.begin();
  std::visit([&](const auto& frame) { encode(frame, out); }, client_frame(vector.at("fields")));
  return text(join(out.finish()));
}

TEST(ClientSpec, is_decoded_encoded_and_refused_as_in_its_examples) {
  check_spec("client.json", read_client, write_client);
}

// ---- peer.json ----

constexpr const char* message_kinds[] = {
    "pre_vote_request", "pre_vote_reply", "vote_request", "vote_reply",       "append_request",
    "append_reply",     "read_request",   "read_reply",   "step_down_notice", "snapshot_offer"};
constexpr const char* entry_kinds[] = {"noop", "configuration", "command"};

json entry_fields(const raft::Entry& entry) {
  return {{"term", entry.term},
          {"index", entry.index},
          {"time_ns", entry.time_ns},
          {"session", entry.session},
          {"sequence", entry.sequence},
          {"behind", entry.behind},
          {"machine_version", entry.machine_version},
          {"kind", entry_kinds[static_cast<size_t>(entry.kind)]},
          {"flags", entry.flags},
          {"payload", hex(entry.payload.bytes())}};
}

raft::Entry entry_of(const json& fields) {
  raft::Entry entry;
  entry.term = fields.at("term");
  entry.index = fields.at("index");
  entry.time_ns = fields.at("time_ns");
  entry.session = fields.at("session");
  entry.sequence = fields.at("sequence");
  entry.behind = fields.at("behind");
  entry.machine_version = fields.at("machine_version");
  entry.kind = static_cast<raft::EntryKind>(place(entry_kinds, text_at(fields, "kind")));
  entry.flags = fields.at("flags");
  entry.payload = buffer(bytes_at(fields, "payload"));
  return entry;
}

// The bytes of a digest in the order in which formats have them.
std::string hash_hex(const Hash128& hash) {
  std::vector<uint8_t> bytes;
  Writer writer(bytes);
  writer.u64(hash.low);
  writer.u64(hash.high);
  return hex(Bytes(bytes));
}
Hash128 hash_at(const json& fields, const char* name) {
  const std::string bytes = bytes_at(fields, name);
  Reader reader(as_bytes(bytes));
  Hash128 hash;
  hash.low = reader.u64();
  hash.high = reader.u64();
  EXPECT_TRUE(reader.complete()) << name;
  return hash;
}

struct ItemFields {
  json operator()(const RaftItem& item) const {
    const raft::Message& message = item.message;
    json entries = json::array();
    for (const raft::Entry& entry : message.entries) entries.push_back(entry_fields(entry));
    return {{"item", "raft"},
            {"message", message_kinds[static_cast<size_t>(message.kind) - 1]},
            {"group", item.group},
            {"generation", item.generation},
            {"term", message.term},
            {"log_term", message.log_term},
            {"index", message.index},
            {"commit", message.commit},
            {"compact", message.compact},
            {"match", message.match},
            {"round", message.round},
            {"ok", message.ok},
            {"quiesce", message.quiesce},
            {"log_capacity", static_cast<unsigned>(message.log_capacity)},
            {"hindered", message.hindered},
            {"snapshot", hash_hex(message.snapshot)},
            {"entries", entries}};
  }
  json operator()(const ForwardItem& item) const {
    return {{"item", "forward"},
            {"group", item.group},
            {"generation", item.generation},
            {"sequence", item.sequence},
            {"leader_term", item.leader_term},
            {"deadline_left_ns", item.deadline_left},
            {"session", item.session},
            {"session_sequence", item.session_sequence},
            {"behind", item.behind},
            {"payload", hex(item.payload.bytes())}};
  }
  json operator()(const ForwardReplyItem& item) const {
    return {{"item", "forward_reply"},       {"group", item.group},
            {"generation", item.generation}, {"origin_epoch", item.origin_epoch},
            {"sequence", item.sequence},     {"status", item.status},
            {"index", item.index},           {"leader", item.leader},
            {"detail", item.detail},         {"body", hex(item.body.bytes())}};
  }
  json operator()(const HeartbeatItem& item) const {
    return {{"item", "heartbeat"},
            {"sequence", item.sequence},
            {"sent_at_ns", item.sent_at},
            {"echo_sequence", item.echo_sequence},
            {"echo_sent_at_ns", item.echo_sent_at},
            {"echo_held_ns", item.echo_held},
            {"healthy_shards", item.healthy_shards},
            {"recovery_epoch", item.recovery_epoch}};
  }
  json operator()(const HelloItem& item) const {
    return {{"item", "hello"},
            {"channel", item.channel},
            {"version_low", item.version_low},
            {"version_high", item.version_high},
            {"bootstrap", item.bootstrap}};
  }
  json operator()(const HelloAckItem& item) const {
    return {{"item", "hello_ack"},   {"channel", item.channel},     {"version", item.version},
            {"status", item.status}, {"bootstrap", item.bootstrap}, {"detail", item.detail}};
  }
  json operator()(const FetchItem& item) const {
    return {{"item", "fetch"},
            {"group", item.group},
            {"generation", item.generation},
            {"request", item.request},
            {"snapshot", hash_hex(item.snapshot)},
            {"part", hash_hex(item.part)},
            {"offset", item.offset},
            {"length", item.length}};
  }
  json operator()(const ChunkItem& item) const {
    return {{"item", "chunk"},
            {"group", item.group},
            {"generation", item.generation},
            {"request", item.request},
            {"status", item.status},
            {"offset", item.offset},
            {"size", item.size},
            {"bytes", hex(item.bytes.bytes())}};
  }
};

json sections_of(const PeerSections& sections) {
  json out = json::object();
  if (sections.introduction)
    out["introduction"] = {{"instance", sections.introduction->instance},
                           {"address", sections.introduction->address},
                           {"native", sections.introduction->native}};
  if (sections.node)
    out["node"] = {{"uptime_ms", sections.node->uptime_ms},
                   {"conditions", sections.node->conditions},
                   {"second_process_of", sections.node->second_process_of},
                   {"version", sections.node->version}};
  for (const GroupReport& group : decode_group_reports(sections.groups))
    out["groups"].push_back({{"id", group.id},
                             {"term", group.term},
                             {"commit", group.commit},
                             {"applied", group.applied},
                             {"last", group.last},
                             {"hash_index", group.hash_index},
                             {"hash_low", group.hash_low},
                             {"hash_high", group.hash_high},
                             {"role", group.role},
                             {"flags", group.flags}});
  return out;
}

std::vector<uint8_t> encode_sections(const json& sections) {
  std::vector<uint8_t> out;
  if (sections.contains("introduction")) {
    const json& from = sections["introduction"];
    encode(
        IntroductionSection{from.at("instance"), text_at(from, "address"), text_at(from, "native")},
        out);
  }
  if (sections.contains("node")) {
    const json& from = sections["node"];
    encode(NodeReport{from.at("uptime_ms"), from.at("conditions"), from.at("second_process_of"),
                      text_at(from, "version")},
           out);
  }
  std::vector<GroupReport> groups;
  if (sections.contains("groups"))
    for (const json& from : sections["groups"])
      groups.push_back({from.at("id"), from.at("term"), from.at("commit"), from.at("applied"),
                        from.at("last"), from.at("hash_index"), from.at("hash_low"),
                        from.at("hash_high"), from.at("role"), from.at("flags")});
  encode(groups, out);
  return out;
}

Result<json> read_peer(const json&, const std::string& bytes) {
  BOP_TRY_ASSIGN(const mem::Buffer frame, cut(peer_format, bytes));
  PeerDecoder decoder;
  BOP_TRY_ASSIGN(const PeerFrame decoded, decoder.decode(frame));
  json items = json::array();
  for (const PeerItem& item : decoded.items) items.push_back(std::visit(ItemFields(), item));
  const PeerHeader& header = decoded.header;
  json fields{{"cluster", to_hex(header.cluster)},
              {"from", header.from},
              {"to", header.to},
              {"incarnation", header.incarnation},
              {"epoch", header.epoch},
              {"recovery_epoch", header.recovery_epoch},
              {"trace", hex(header.trace)},
              {"items", items}};
  if (json sections = sections_of(header.sections); !sections.empty())
    fields["sections"] = std::move(sections);
  return fields;
}

bool add_raft(PeerFrameWriter& writer, const json& fields) {
  RaftItem item{fields.at("group"), fields.at("generation"), {}};
  raft::Message& message = item.message;
  message.kind =
      static_cast<raft::MessageKind>(place(message_kinds, text_at(fields, "message")) + 1);
  message.term = fields.at("term");
  message.log_term = fields.at("log_term");
  message.index = fields.at("index");
  message.commit = fields.at("commit");
  message.compact = fields.at("compact");
  message.match = fields.at("match");
  message.round = fields.at("round");
  message.ok = fields.at("ok");
  message.quiesce = fields.at("quiesce");
  message.log_capacity = static_cast<raft::LogCapacity>(fields.at("log_capacity").get<unsigned>());
  message.hindered = fields.at("hindered");
  message.snapshot = hash_at(fields, "snapshot");
  std::vector<raft::Entry> entries;
  for (const json& entry : fields.at("entries")) entries.push_back(entry_of(entry));
  message.entries = entries;
  return writer.add(item);
}

bool add_item(PeerFrameWriter& writer, const json& fields) {
  const std::string& kind = text_at(fields, "item");
  if (kind == "raft") return add_raft(writer, fields);
  if (kind == "forward") {
    return writer.add(ForwardItem{
        fields.at("group"), fields.at("generation"), fields.at("sequence"),
        fields.at("leader_term"), fields.at("deadline_left_ns"), fields.at("session"),
        fields.at("session_sequence"), fields.at("behind"), buffer(bytes_at(fields, "payload"))});
  }
  if (kind == "forward_reply") {
    return writer.add(ForwardReplyItem{
        fields.at("group"), fields.at("generation"), fields.at("origin_epoch"),
        fields.at("sequence"), fields.at("status"), fields.at("index"), fields.at("leader"),
        buffer(bytes_at(fields, "body")), text_at(fields, "detail")});
  }
  if (kind == "heartbeat") {
    return writer.add(HeartbeatItem{fields.at("sequence"), fields.at("sent_at_ns"),
                                    fields.at("echo_sequence"), fields.at("echo_sent_at_ns"),
                                    fields.at("echo_held_ns"), fields.at("healthy_shards"),
                                    fields.at("recovery_epoch")});
  }
  if (kind == "hello") {
    return writer.add(HelloItem{fields.at("channel"), fields.at("version_low"),
                                fields.at("version_high"), fields.at("bootstrap")});
  }
  if (kind == "fetch") {
    return writer.add(FetchItem{fields.at("group"), fields.at("generation"), fields.at("request"),
                                hash_at(fields, "snapshot"), hash_at(fields, "part"),
                                fields.at("offset"), fields.at("length")});
  }
  if (kind == "chunk") {
    return writer.add(ChunkItem{fields.at("group"), fields.at("generation"), fields.at("request"),
                                fields.at("status"), fields.at("offset"), fields.at("size"),
                                buffer(bytes_at(fields, "bytes"))});
  }
  EXPECT_EQ(kind, "hello_ack");
  return writer.add(HelloAckItem{fields.at("channel"), fields.at("version"), fields.at("status"),
                                 fields.at("bootstrap"), text_at(fields, "detail")});
}

std::optional<std::string> write_peer(const json& vector) {
  const json& fields = vector.at("fields");
  const std::string trace = bytes_at(fields, "trace");
  PeerFrameWriter writer;
  writer.begin({cluster_at(fields),
                fields.at("from"),
                fields.at("to"),
                fields.at("incarnation"),
                fields.at("epoch"),
                fields.at("recovery_epoch"),
                as_bytes(trace),
                {}},
               encode_sections(fields.value("sections", json::object())));
  for (const json& item : fields.at("items")) EXPECT_TRUE(add_item(writer, item));
  return text(join(writer.finish()));
}

TEST(PeerSpec, is_decoded_encoded_and_refused_as_in_its_examples) {
  check_spec("peer.json", read_peer, write_peer);
}

// ---- kv.json ----

// Both ways through the C functions of bop/kv.h.

constexpr const char* operation_kinds[] = {"put", "delete", "add", "append"};
constexpr const char* operation_flags[] = {"if_absent", "if_present",      "if_revision",
                                           "if_value",  "return_previous", "want_existed"};
constexpr const char* query_kinds[] = {"get", "range", "count"};
constexpr const char* query_flags[] = {"keys_only", "prefix", "after"};

bop_bytes as_c(Bytes bytes) { return {bytes.data(), bytes.size()}; }
std::string hex(bop_bytes bytes) { return hex(Bytes(bytes.data, bytes.size)); }

// The bytes that C structs point into.
class Kept {
 public:
  bop_bytes keep(const json& fields, const char* name) {
    return as_c(as_bytes(kept_.emplace_back(bytes_at(fields, name))));
  }

 private:
  std::deque<std::string> kept_;
};

json operation_fields(const bop_kv_operation& operation) {
  json fields{{"op", operation_kinds[operation.op - 1]},
              {"flags", names_of(operation.flags, operation_flags)},
              {"key", hex(operation.key)}};
  if (operation.op == BOP_KV_ADD) {
    fields["delta"] = operation.delta;
  } else if (operation.op != BOP_KV_DELETE) {
    fields["value"] = hex(operation.value);
  }
  if ((operation.flags & BOP_KV_IF_REVISION) != 0) fields["revision"] = operation.revision;
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) fields["expected"] = hex(operation.expected);
  return fields;
}

json item_fields(const bop_kv_item& item) {
  return {{"present", item.present == 1}, {"revision", item.revision}, {"value", hex(item.value)}};
}

// The fields, if the message was read to its end.
Result<json> read_whole(const bop_kv_reader& reader, const json& fields) {
  if (reader.failed != BOP_OK) return fail(static_cast<bop_status>(reader.failed));
  EXPECT_EQ(reader.left, 0u);
  return fields;
}

Result<json> read_command(bop_bytes bytes) {
  json list = json::array();
  bop_kv_reader reader;
  bop_kv_open_command(bytes, &reader);
  for (bop_kv_operation each; bop_kv_next_operation(&reader, &each) == 1;) {
    list.push_back(operation_fields(each));
  }
  return read_whole(reader, json{{"operations", list}});
}

Result<json> read_query(const std::string& kind, bop_bytes bytes) {
  bop_kv_query query;
  bop_kv_reader keys;
  const int32_t status = bop_kv_open_query(bytes, &query, &keys);
  EXPECT_EQ(status, keys.failed);
  json fields = json::object();
  if (status == BOP_OK) {
    EXPECT_EQ(query_kinds[query.kind - 1], kind);
    if (query.kind != BOP_KV_COUNT) fields["flags"] = names_of(query.flags, query_flags);
    if (query.kind == BOP_KV_GET) fields["keys"] = json::array();
    if (query.kind == BOP_KV_RANGE) {
      fields["limit"] = query.limit;
      fields["first"] = hex(query.first);
      fields["end"] = hex(query.end);
    }
  }
  for (bop_bytes key; bop_kv_next_key(&keys, &key) == 1;) fields["keys"].push_back(hex(key));
  return read_whole(keys, fields);
}

Result<json> read_items(bop_bytes bytes) {
  json list = json::array();
  uint64_t index = 0;
  bop_kv_reader reader;
  bop_kv_open_items(bytes, &index, &reader);
  for (bop_kv_item item; bop_kv_next_item(&reader, &item) == 1;) list.push_back(item_fields(item));
  return read_whole(reader, json{{"position", index}, {"items", list}});
}

Result<json> read_records(bop_bytes bytes) {
  json list = json::array();
  uint64_t index = 0;
  int32_t more = 0;
  bop_kv_reader reader;
  bop_kv_open_records(bytes, &index, &more, &reader);
  for (bop_kv_record record; bop_kv_next_record(&reader, &record) == 1;) {
    list.push_back(item_fields(record.item));
    list.back()["key"] = hex(record.key);
  }
  return read_whole(reader, json{{"applied", index}, {"more", more == 1}, {"records", list}});
}

Result<json> read_count(bop_bytes bytes) {
  uint64_t index = 0;
  uint64_t records = 0;
  const int32_t status = bop_kv_decode_count(bytes, &index, &records);
  if (status != BOP_OK) return fail(static_cast<bop_status>(status));
  return json{{"applied", index}, {"records", records}};
}

Result<json> read_kv(const json& vector, const std::string& text) {
  const std::string& kind = text_at(vector, "kind");
  const bop_bytes bytes = as_c(as_bytes(text));
  if (kind == "command") return read_command(bytes);
  if (kind == "items") return read_items(bytes);
  if (kind == "records") return read_records(bytes);
  if (kind == "number") return read_count(bytes);
  return read_query(kind, bytes);
}

// `encode` takes the buffer, its capacity, and where to put the length.
template <class Encode>
std::string encoded(const Encode& encode) {
  size_t size = 0;
  EXPECT_EQ(encode(nullptr, 0, &size), BOP_OK);
  std::string bytes(size, '\xaa');
  EXPECT_EQ(encode(reinterpret_cast<uint8_t*>(bytes.data()), size, &size), BOP_OK);
  EXPECT_EQ(size, bytes.size());
  return bytes;
}

std::string write_command(const json& fields) {
  Kept kept;
  std::vector<bop_kv_operation> list;
  for (const json& each : fields.at("operations")) {
    bop_kv_operation operation{};
    operation.op = static_cast<uint8_t>(place(operation_kinds, text_at(each, "op")) + 1);
    operation.flags = static_cast<uint8_t>(bits_of(each.at("flags"), operation_flags));
    operation.key = kept.keep(each, "key");
    if (each.contains("value")) operation.value = kept.keep(each, "value");
    operation.delta = each.value("delta", int64_t{0});
    operation.revision = each.value("revision", uint64_t{0});
    if (each.contains("expected")) operation.expected = kept.keep(each, "expected");
    list.push_back(operation);
  }
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_command(list.data(), list.size(), out, capacity, size);
  });
}

std::string write_query(const std::string& kind, const json& fields) {
  Kept kept;
  std::vector<bop_bytes> keys;
  bop_kv_query query{};
  query.kind = static_cast<uint8_t>(place(query_kinds, kind) + 1);
  if (query.kind != BOP_KV_COUNT) {
    query.flags = static_cast<uint16_t>(bits_of(fields.at("flags"), query_flags));
  }
  if (query.kind == BOP_KV_GET) {
    for (const json& key : fields.at("keys")) keys.push_back(kept.keep({{"key", key}}, "key"));
    query.keys = keys.data();
    query.key_count = keys.size();
  }
  if (query.kind == BOP_KV_RANGE) {
    query.limit = fields.at("limit");
    query.first = kept.keep(fields, "first");
    query.end = kept.keep(fields, "end");
  }
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_query(&query, out, capacity, size);
  });
}

bop_kv_item item_of(Kept& kept, const json& fields) {
  bop_kv_item item{};
  item.present = fields.at("present").get<bool>() ? 1 : 0;
  item.revision = fields.at("revision");
  item.value = kept.keep(fields, "value");
  return item;
}

std::string write_items(const json& fields) {
  Kept kept;
  std::vector<bop_kv_item> items;
  for (const json& item : fields.at("items")) items.push_back(item_of(kept, item));
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_items(fields.at("position"), items.data(), items.size(), out, capacity,
                               size);
  });
}

std::string write_records(const json& fields) {
  Kept kept;
  std::vector<bop_kv_record> records;
  for (const json& record : fields.at("records")) {
    records.push_back({kept.keep(record, "key"), item_of(kept, record)});
  }
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_records(fields.at("applied"), fields.at("more").get<bool>() ? 1 : 0,
                                 records.data(), records.size(), out, capacity, size);
  });
}

std::string write_count(const json& fields) {
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_count(fields.at("applied"), fields.at("records"), out, capacity, size);
  });
}

std::optional<std::string> write_kv(const json& vector) {
  const std::string& kind = text_at(vector, "kind");
  const json& fields = vector.at("fields");
  if (kind == "command") return write_command(fields);
  if (kind == "items") return write_items(fields);
  if (kind == "records") return write_records(fields);
  if (kind == "number") return write_count(fields);
  return write_query(kind, fields);
}

TEST(KvSpec, is_decoded_encoded_and_refused_as_in_its_examples) {
  check_spec("kv.json", read_kv, write_kv);
}

}  // namespace
}  // namespace bop::proto

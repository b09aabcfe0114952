#include "machine/driver.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/logging.h"
#include "machine/machine_calls.h"
#include "machine/snapshot_calls.h"
#include "machine/token.h"
#include "machine/work_queues.h"

namespace bop::machine {

namespace {

bool is_reply(const bop_reply& reply) {
  return is_status(reply.status) && (reply.body.data != nullptr || reply.body.size == 0);
}

void clear(bop_reply& reply) { reply = {sizeof reply, BOP_OK, {nullptr, 0}}; }

// A copy of the table, with the fields beyond its size set to zero.
bop_machine_table copy_of(const bop_machine_table& table) {
  bop_machine_table copy{};
  std::memcpy(static_cast<void*>(&copy), &table, std::min<size_t>(table.size, sizeof copy));
  return copy;
}

Status check_table(const bop_machine_table& table) {
  if (table.abi != BOP_MACHINE_ABI)
    return fail(BOP_E_VERSION_MISMATCH, "machine table: interface version " +
                                            std::to_string(table.abi) + "; this bop supports " +
                                            std::to_string(BOP_MACHINE_ABI));
  if (table.kind == nullptr || *table.kind == '\0')
    return fail(BOP_E_INVALID_ARGUMENT, "machine table: kind is missing");
  if (table.version_min == 0 || table.version_min > table.version)
    return fail(BOP_E_INVALID_ARGUMENT,
                "machine " + std::string(table.kind) + ": version_min must be 1 to version");
  struct Function {
    bool present;
    const char* name;
    bool needed;
  };
  // Storage and snapshots are each complete or absent, and one of them is there.
  const bool storage = table.sync != nullptr;
  const bool snapshots = table.snapshot_begin != nullptr;
  const std::array<Function, 14> functions{{
      {table.open != nullptr, "open", true},
      {table.apply != nullptr, "apply", true},
      {table.query != nullptr, "query", true},
      {table.applied != nullptr, "applied", true},
      {table.state_hash != nullptr, "state_hash", true},
      {table.close != nullptr, "close", true},
      {table.durable != nullptr, "durable", storage},
      {table.stable != nullptr, "stable", storage},
      {table.snapshot_begin != nullptr, "snapshot_begin", !storage},
      {table.snapshot_next != nullptr, "snapshot_next", snapshots},
      {table.snapshot_end != nullptr, "snapshot_end", snapshots},
      {table.restore_begin != nullptr, "restore_begin", snapshots},
      {table.restore_part != nullptr, "restore_part", snapshots},
      {table.restore_end != nullptr, "restore_end", snapshots},
  }};
  for (const auto& [present, name, needed] : functions)
    if (needed && !present)
      return fail(BOP_E_INVALID_ARGUMENT,
                  "machine " + std::string(table.kind) + ": the table has no function " + name);
  return {};
}

logging::Level level_of(int32_t level) {
  switch (level) {
    case 0: return logging::Level::debug;
    case 1: return logging::Level::info;
    case 2: return logging::Level::warning;
    default: return logging::Level::error;
  }
}

}  // namespace

struct Driver::State : MachineCalls {
  State(const bop_machine_table& original, const DriverOptions& driver_options, Offload& offload,
        DriverEvents& receiver)
      : options(driver_options), queues(offload), events(receiver) {
    table = copy_of(original);
  }

  const DriverOptions options;
  WorkQueues queues;
  DriverEvents& events;
  bop_machine_host host{};
  bool failed = false;
  SnapshotCalls snapshots{*this};
  bop_status failed_with = BOP_E_MACHINE;

  bool applying = false;
  uint64_t apply_number = 0;
  std::span<const bop_entry> entries;
  bop_position last_given;
  std::vector<bop_reply> replies;

  struct Query {
    uint64_t token = 0;
    uint32_t generation = 0;
    bool open = false;
  };
  std::vector<Query> queries;
  std::vector<uint32_t> free_queries;

  bool syncing = false;
  bool sync_again = false;
  uint64_t sync_number = 0;

  uint64_t stable = 0;

  std::mutex logged_error_mutex;  // the machine may log from its workers
  std::string logged_error;       // the latest

  bool verified = true;
  bop_machine_integrity known{};  // as the machine told last
  bool scrubbing = false;
  uint64_t scrub_number = 0;

  // ---- calls into the machine ----

  std::string name() const { return "group " + options.group + ": machine " + table.kind; }

  void fail_with(bop_status code, const std::string& what) {
    if (failed) return;
    failed = true;
    applying = false;
    syncing = false;
    scrubbing = false;
    failed_with = code;
    const Error error{code, name() + ": " + what};
    logging::error("{}", error.to_string());
    bop_reply reply;
    clear(reply);
    reply.status = code;
    for (Query& query : queries) {
      if (!query.open) continue;
      close_query(query);
      events.answered(query.token, reply);
    }
    snapshots.fail_all(error);
    events.failed(error);
  }

  std::string latest_logged_error() {
    const std::lock_guard lock(logged_error_mutex);
    return logged_error;
  }

  // ---- integrity ----

  bop_machine_integrity integrity() {
    if (table.integrity == nullptr || failed) return known;
    bop_machine_integrity out{};
    out.size = sizeof out;
    BOP_ASSERT(!in_machine);
    in_machine = true;
    table.integrity(machine, &out);
    in_machine = false;
    known = out;
    known.reason = nullptr;  // not valid for longer
    return out;
  }

  // After anything that may have changed it.
  void check_integrity() {
    if (failed || machine == nullptr || table.integrity == nullptr) return;
    const bop_machine_integrity now = integrity();
    if (violated() || now.status == BOP_PENDING) return;
    if (now.status != BOP_OK) {
      const Error found{static_cast<bop_status>(now.status),
                        now.reason == nullptr ? "" : now.reason};
      if (found.code == BOP_E_DAMAGED && !found.detail.empty())
        return fail_with(BOP_E_DAMAGED, found.detail);
      const std::string logged = latest_logged_error();
      return fail_with(found.code == BOP_E_DAMAGED ? BOP_E_DAMAGED : BOP_E_MACHINE,
                       logged.empty() ? found.to_string() : logged);
    }
    if (std::exchange(verified, true)) return;
    events.verified();
  }

  void scrub(uint64_t bytes) {
    scrubbing = true;
    const int32_t status = call(table.scrub, bytes, token_of(Call::scrub, ++scrub_number, 0));
    if (violated() || status == BOP_PENDING) return;
    if (status != BOP_OK) return fail_with_status("scrub", status);
    scrubbing = false;
  }

  // A function of the table returned an error that is not a reply: the machine has failed.
  void fail_with_status(const char* function, int32_t status) {
    check_integrity();  // which may know more
    if (failed) return;
    // The machine's own words name the file; those of the status may be about the log.
    const std::string logged = latest_logged_error();
    if (is_status(status) && !logged.empty())
      fail_with(BOP_E_MACHINE, std::string(function) + ": " + logged);
    else if (is_status(status))
      fail_with(BOP_E_MACHINE, std::string(function) + ": " +
                                   Error{static_cast<bop_status>(status), {}}.to_string());
    else
      fail_with(BOP_E_MACHINE, std::string(function) + " returned " + std::to_string(status) +
                                   ", which is not a status of bop/error.h");
  }

  // A violation during a call fails the machine when the call has returned.
  bool violated() {
    if (violation.empty()) return false;
    const std::string what = std::move(violation);
    violation.clear();
    fail_with(BOP_E_MACHINE, what);
    return true;
  }

  // ---- apply ----

  void apply(std::span<const bop_entry> given) {
    BOP_ASSERT(!applying);
    if (failed) return;
    check_order(given);
    entries = given;
    applying = true;
    if (replies.size() < entries.size()) replies.resize(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) clear(replies[i]);
    const uint64_t token = token_of(Call::apply, ++apply_number, 0);
    const int32_t status = call(table.apply, entries.data(), entries.size(), replies.data(), token);
    if (violated() || status == BOP_PENDING) return;
    if (status != BOP_OK) return fail_with_status("apply", status);
    finish_apply({replies.data(), entries.size()});
  }

  void check_order(std::span<const bop_entry> given) {
    for (const bop_entry& entry : given) {
      BOP_ASSERT_EQ(entry.size, sizeof(bop_entry));
      BOP_ASSERT_GT(entry.index, last_given.index);
      BOP_ASSERT_GE(entry.term, last_given.term);
      last_given = {entry.index, entry.term};
    }
  }

  void finish_apply(std::span<const bop_reply> given) {
    for (const bop_reply& reply : given)
      if (!is_reply(reply))
        return fail_with(BOP_E_MACHINE, "apply: a reply has an invalid status (" +
                                            std::to_string(reply.status) + ") or body");
    applying = false;
    events.applied(given);
  }

  // ---- query ----

  uint32_t open_query(uint64_t token) {
    if (free_queries.empty()) {
      free_queries.push_back(static_cast<uint32_t>(queries.size()));
      queries.emplace_back();
    }
    const uint32_t slot = free_queries.back();
    free_queries.pop_back();
    queries[slot].token = token;
    queries[slot].open = true;
    ++queries[slot].generation;
    return slot;
  }

  void close_query(Query& query) {
    query.open = false;
    free_queries.push_back(static_cast<uint32_t>(&query - queries.data()));
  }

  void refuse_query(uint64_t token, bop_status status) {
    bop_reply reply;
    clear(reply);
    reply.status = status;
    events.answered(token, reply);
  }

  void query(Bytes question, uint64_t token) {
    if (failed) return refuse_query(token, failed_with);
    if (!verified) return refuse_query(token, BOP_E_UNAVAILABLE);
    if (queries.size() - free_queries.size() >= options.machine.max_queries)
      return refuse_query(token, BOP_E_OVERLOADED);
    const uint32_t slot = open_query(token);
    bop_reply reply;
    clear(reply);
    const int32_t status = call(table.query, bop_bytes{question.data(), question.size()}, &reply,
                                token_of(Call::query, queries[slot].generation, slot));
    if (violated() || status == BOP_PENDING) return;
    if (status != BOP_OK) return fail_with_status("query", status);
    finish_query(slot, reply);
  }

  void finish_query(uint32_t slot, const bop_reply& reply) {
    if (!is_reply(reply))
      return fail_with(BOP_E_MACHINE, "query: the reply has an invalid status (" +
                                          std::to_string(reply.status) + ") or body");
    close_query(queries[slot]);
    events.answered(queries[slot].token, reply);
  }

  // ---- sync ----

  void sync() {
    if (failed || table.sync == nullptr) return;
    if (syncing) {
      sync_again = true;
      return;
    }
    syncing = true;
    const int32_t status = call(table.sync, token_of(Call::sync, ++sync_number, 0));
    if (violated() || status == BOP_PENDING) return;
    if (status != BOP_OK) return fail_with_status("sync", status);
    syncing = false;
  }

  void finish_sync() {
    syncing = false;
    if (!sync_again) return;
    sync_again = false;
    sync();
  }

  // ---- completions ----

  void complete(uint64_t token, int32_t status, std::span<const bop_reply> given) {
    if (failed) return;
    if (in_machine) {
      violation = "host->complete was called from within a call of the table";
      return;
    }
    const uint32_t slot = slot_of(token);
    switch (call_of(token)) {
      case Call::apply:
        if (!applying || token != token_of(Call::apply, apply_number, 0)) break;
        if (status != BOP_OK) return fail_with_status("apply", status);
        if (given.size() != entries.size()) break;
        return finish_apply(given);
      case Call::query:
        if (slot >= queries.size() || !queries[slot].open ||
            token != token_of(Call::query, queries[slot].generation, slot))
          break;
        if (status != BOP_OK) return fail_with_status("query", status);
        if (given.size() != 1) break;
        return finish_query(slot, given[0]);
      case Call::sync:
        if (!syncing || token != token_of(Call::sync, sync_number, 0)) break;
        if (status != BOP_OK) return fail_with_status("sync", status);
        return finish_sync();
      case Call::snapshot: return note(snapshots.complete_snapshot(token, status));
      case Call::restore: return note(snapshots.complete_restore(token, status));
      case Call::part: break;
      case Call::scrub:
        if (!scrubbing || token != token_of(Call::scrub, scrub_number, 0)) break;
        if (status != BOP_OK) return fail_with_status("scrub", status);
        scrubbing = false;
        return;
    }
    fail_with(BOP_E_MACHINE,
              "host->complete was called for a call that is not open, or with the wrong number of "
              "replies (" +
                  std::to_string(given.size()) + ")");
  }

  // The rule that the machine broke, if any.
  void note(std::string broken) {
    if (!broken.empty()) fail_with(BOP_E_MACHINE, broken);
  }

  // ---- snapshots ----

  void snapshot_point(uint64_t handle) {
    if (failed) return;
    const bool within = std::exchange(in_machine, false);
    std::string broken = snapshots.at_point(handle, call(table.applied));
    in_machine = within;
    if (within && violation.empty())
      violation = std::move(broken);
    else
      note(std::move(broken));
  }

  void complete_part(uint64_t token, int32_t status, const bop_part* part) {
    if (failed) return;
    if (in_machine) {
      violation = "host->complete_part was called from within a call of the table";
      return;
    }
    note(snapshots.complete_part(token, status, part));
  }

  // ---- bop_machine_host ----

  static State& of(void* context) { return *static_cast<State*>(context); }

  static void host_offload(void* context, bop_work_queue queue, void (*work)(void*),
                           void (*done)(void*), void* argument) {
    State& state = of(context);
    state.queues.submit(queue, work, done, argument, [&state] { state.check_integrity(); });
  }
  static void host_complete(void* context, uint64_t token, int32_t status, const bop_reply* replies,
                            size_t count) {
    of(context).complete(token, status, {replies, count});
  }
  static void host_snapshot_point(void* context, uint64_t handle) {
    of(context).snapshot_point(handle);
  }
  static void host_complete_part(void* context, uint64_t token, int32_t status,
                                 const bop_part* part) {
    of(context).complete_part(token, status, part);
  }
  // Any thread: it only reads members that never change.
  static void host_log(void* context, int32_t level, const char* text) {
    if (level_of(level) == logging::Level::error) {
      const std::lock_guard lock(of(context).logged_error_mutex);
      of(context).logged_error = text;
    }
    logging::line(level_of(level), "{}: {}", of(context).name(), text);
  }

  Status open(const bop_machine_table& original) {
    host.size = sizeof host;
    host.context = this;
    host.offload = host_offload;
    host.complete = host_complete;
    host.log = host_log;
    host.snapshot_point = host_snapshot_point;
    host.complete_part = host_complete_part;
    host.directory = options.directory.empty() ? nullptr : options.directory.c_str();
    bop_machine_options given{};
    given.size = sizeof given;
    given.group = options.group.c_str();
    given.version = table.version;
    given.memory_bytes = options.machine.memory_bytes;
    const std::string& configuration = options.machine.configuration;
    given.configuration = configuration.empty() ? nullptr : configuration.c_str();
    std::copy(options.identity.cluster.begin(), options.identity.cluster.end(), given.cluster);
    given.group_id = options.identity.group;
    given.instance = options.identity.instance;

    std::array<char, 512> text{};
    in_machine = true;
    const int32_t status = table.open(&original, &host, &given, &machine, text.data(), text.size());
    in_machine = false;
    text.back() = '\0';
    if (status != BOP_OK) {
      machine = nullptr;
      const bool known = is_status(status);
      return fail(known ? static_cast<bop_status>(status) : BOP_E_MACHINE,
                  name() + ": " + text.data());
    }
    if (machine == nullptr || !violation.empty())
      return fail(BOP_E_MACHINE,
                  name() + ": open returned BOP_OK without a machine, or completed a call");
    last_given = call(table.applied);
    const bop_machine_integrity state = integrity();
    if (state.status != BOP_OK && state.status != BOP_PENDING)
      return fail(state.status == BOP_E_DAMAGED ? BOP_E_DAMAGED : BOP_E_MACHINE,
                  name() + ": " + (state.reason == nullptr ? "" : state.reason));
    verified = state.status == BOP_OK;
    return {};
  }

  ~State() {
    queues.close();
    if (machine != nullptr) table.close(machine);
  }
};

Result<std::unique_ptr<Driver>> Driver::open(const bop_machine_table& table,
                                             const DriverOptions& options, Offload& offload,
                                             DriverEvents& events) {
  BOP_TRY(check_table(copy_of(table)));
  auto state = std::make_unique<State>(table, options, offload, events);
  BOP_TRY(state->open(table));
  return std::unique_ptr<Driver>(new Driver(std::move(state)));
}

Driver::Driver(std::unique_ptr<State> state) : state_(std::move(state)) {}
const char* Driver::obstacle() const {
  State& state = *state_;
  if (state.failed) return nullptr;
  const char* text = state.table.obstacle == nullptr ? nullptr : state.call(state.table.obstacle);
  return text == nullptr && !state.verified ? "it verifies its stored state" : text;
}

Driver::~Driver() = default;

void Driver::apply(std::span<const bop_entry> entries) { state_->apply(entries); }
bool Driver::applying() const { return state_->applying; }
bop_status Driver::check(Bytes command) {
  State& state = *state_;
  if (state.failed || state.table.check == nullptr) return BOP_OK;
  const int32_t status = state.call(state.table.check, bop_bytes{command.data(), command.size()});
  if (!state.violated() && !is_status(status)) state.fail_with_status("check", status);
  return state.failed ? state.failed_with : static_cast<bop_status>(status);
}

void Driver::query(Bytes question, uint64_t token) { state_->query(question, token); }
void Driver::expect_query(Bytes question) {
  State& state = *state_;
  if (state.failed || state.table.expect_query == nullptr) return;
  state.in_machine = true;
  state.table.expect_query(state.machine, {question.data(), question.size()});
  state.in_machine = false;
  state.violated();
}
void Driver::sync() { state_->sync(); }
bool Driver::syncing() const { return state_->syncing; }

Result<uint64_t> Driver::begin_snapshot(const SnapshotOptions& options, SnapshotEvents& events) {
  if (state_->failed) return fail(BOP_E_MACHINE, state_->name() + " has failed");
  auto handle = state_->snapshots.begin(options, events);
  state_->violated();
  return handle;
}
void Driver::next_part(uint64_t handle) {
  if (state_->failed) return;
  state_->snapshots.next(handle);
  state_->violated();
}
void Driver::end_snapshot(uint64_t handle) {
  if (state_->failed) return;
  state_->snapshots.end(handle);
  state_->violated();
}

Status Driver::begin_restore(const RestoreOptions& options, RestoreEvents& events) {
  if (state_->failed) return fail(BOP_E_MACHINE, state_->name() + " has failed");
  if (state_->last_given.index != 0)
    return fail(BOP_E_INVALID_ARGUMENT, state_->name() + " has a state already");
  const Status begun = state_->snapshots.begin_restore(options, events);
  state_->violated();
  return begun;
}
void Driver::restore_part(const bop_part& part) {
  if (state_->failed) return;
  state_->snapshots.restore(part);
  state_->violated();
}
void Driver::finish_restore(bop_position position) {
  if (state_->failed) return;
  state_->last_given = position;
  state_->snapshots.finish_restore(position);
  state_->violated();
}

void Driver::stable(uint64_t index) {
  State& state = *state_;
  if (state.failed || state.table.stable == nullptr || index <= state.stable) return;
  state.stable = index;
  state.in_machine = true;
  state.table.stable(state.machine, index);
  state.in_machine = false;
  state.violated();
}

bop_position Driver::applied() const { return state_->table.applied(state_->machine); }
bop_position Driver::durable() const {
  return in_memory() ? bop_position{0, 0} : state_->table.durable(state_->machine);
}
bool Driver::in_memory() const { return state_->table.durable == nullptr; }

std::optional<bop_state_hash> Driver::state_hash() {
  bop_state_hash hash{};
  if (state_->failed || state_->call(state_->table.state_hash, &hash) != BOP_OK) return {};
  return hash;
}

bool Driver::verified() const { return state_->verified; }

Driver::Verification Driver::verification() const {
  const bop_machine_integrity now = state_->integrity();
  return {now.verified_bytes, now.verify_bytes, now.scrubbed_bytes, now.scrub_passes};
}

bool Driver::scrub(uint64_t bytes) {
  State& state = *state_;
  if (state.failed || !state.verified || state.table.scrub == nullptr) return false;
  if (!state.scrubbing) state.scrub(bytes);
  return !state.failed;
}

uint32_t Driver::version() const { return state_->table.version; }
const char* Driver::kind() const { return state_->table.kind; }
bool Driver::has_failed() const { return state_->failed; }

}  // namespace bop::machine

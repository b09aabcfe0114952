#include "machine/driver.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/logging.h"
#include "machine/work_queues.h"

namespace bop::machine {

namespace {

// A token contains the kind of its call, so that a completion can be checked.
enum class Call : uint64_t { apply = 1, query = 2, sync = 3 };
constexpr unsigned call_shift = 60;
constexpr unsigned generation_shift = 32;
constexpr uint64_t generation_mask = (1u << 28) - 1;

uint64_t token_of(Call call, uint64_t generation, uint32_t slot) {
  return static_cast<uint64_t>(call) << call_shift |
         (generation & generation_mask) << generation_shift | slot;
}

bool is_status(int32_t status) {
  switch (status) {
    case BOP_OK:
#define BOP_ERROR_CASE(name, number, text) case number:
      BOP_ERROR_MAP(BOP_ERROR_CASE)
#undef BOP_ERROR_CASE
      return true;
    default: return false;
  }
}

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
  const std::array<std::pair<bool, const char*>, 9> needed{{
      {table.open != nullptr, "open"},
      {table.apply != nullptr, "apply"},
      {table.query != nullptr, "query"},
      {table.sync != nullptr, "sync"},
      {table.applied != nullptr, "applied"},
      {table.durable != nullptr, "durable"},
      {table.stable != nullptr, "stable"},
      {table.state_hash != nullptr, "state_hash"},
      {table.close != nullptr, "close"},
  }};
  for (const auto& [present, name] : needed)
    if (!present)
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

struct Driver::State {
  State(const bop_machine_table& original, const DriverOptions& driver_options, Offload& offload,
        DriverEvents& receiver)
      : table(copy_of(original)), options(driver_options), queues(offload), events(receiver) {}

  const bop_machine_table table;
  const DriverOptions options;
  WorkQueues queues;
  DriverEvents& events;
  bop_machine_host host{};
  bop_machine* machine = nullptr;

  bool in_machine = false;  // a function of the table is on the stack
  bool failed = false;
  std::string violation;  // the rule of bop/machine.h that the call on the stack broke; empty: none

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

  // ---- calls into the machine ----

  template <class Function, class... Args>
  auto call(Function function, Args... arguments) {
    BOP_ASSERT(!in_machine);
    in_machine = true;
    auto result = function(machine, arguments...);
    in_machine = false;
    return result;
  }

  std::string name() const { return "group " + options.group + ": machine " + table.kind; }

  void fail_with(bop_status code, const std::string& what) {
    if (failed) return;
    failed = true;
    applying = false;
    syncing = false;
    const Error error{code, name() + ": " + what};
    logging::error("{}", error.to_string());
    bop_reply reply;
    clear(reply);
    reply.status = BOP_E_MACHINE;
    for (Query& query : queries) {
      if (!query.open) continue;
      close_query(query);
      events.answered(query.token, reply);
    }
    events.failed(error);
  }

  // A function of the table returned an error that is not a reply: the machine has failed.
  void fail_with_status(const char* function, int32_t status) {
    if (is_status(status))
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
    if (failed) return refuse_query(token, BOP_E_MACHINE);
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
    if (failed) return;
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
    const auto slot = static_cast<uint32_t>(token);
    switch (static_cast<Call>(token >> call_shift)) {
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
    }
    fail_with(BOP_E_MACHINE,
              "host->complete was called for a call that is not open, or with the wrong number of "
              "replies (" +
                  std::to_string(given.size()) + ")");
  }

  // ---- bop_machine_host ----

  static State& of(void* context) { return *static_cast<State*>(context); }

  static void host_offload(void* context, bop_work_queue queue, void (*work)(void*),
                           void (*done)(void*), void* argument) {
    of(context).queues.submit(queue, work, done, argument);
  }
  static void host_complete(void* context, uint64_t token, int32_t status, const bop_reply* replies,
                            size_t count) {
    of(context).complete(token, status, {replies, count});
  }
  // Any thread: it only reads members that never change.
  static void host_log(void* context, int32_t level, const char* text) {
    logging::line(level_of(level), "{}: {}", of(context).name(), text);
  }

  Status open(const bop_machine_table& original) {
    host.size = sizeof host;
    host.context = this;
    host.offload = host_offload;
    host.complete = host_complete;
    host.log = host_log;
    host.directory = options.directory.empty() ? nullptr : options.directory.c_str();
    bop_machine_options given{};
    given.size = sizeof given;
    given.group = options.group.c_str();
    given.memory_bytes = options.machine.memory_bytes;
    const std::string& configuration = options.machine.configuration;
    given.configuration = configuration.empty() ? nullptr : configuration.c_str();

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
  if (state_->failed || state_->table.obstacle == nullptr) return nullptr;
  return state_->call(state_->table.obstacle);
}

Driver::~Driver() = default;

void Driver::apply(std::span<const bop_entry> entries) { state_->apply(entries); }
bool Driver::applying() const { return state_->applying; }
bop_status Driver::check(Bytes command) {
  State& state = *state_;
  if (state.failed || state.table.check == nullptr) return BOP_OK;
  const int32_t status = state.call(state.table.check, bop_bytes{command.data(), command.size()});
  if (!state.violated() && !is_status(status)) state.fail_with_status("check", status);
  return state.failed ? BOP_E_MACHINE : static_cast<bop_status>(status);
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

void Driver::stable(uint64_t index) {
  State& state = *state_;
  if (state.failed || index <= state.stable) return;
  state.stable = index;
  state.in_machine = true;
  state.table.stable(state.machine, index);
  state.in_machine = false;
  state.violated();
}

bop_position Driver::applied() const { return state_->table.applied(state_->machine); }
bop_position Driver::durable() const { return state_->table.durable(state_->machine); }

std::optional<bop_state_hash> Driver::state_hash() {
  bop_state_hash hash{};
  if (state_->failed || state_->call(state_->table.state_hash, &hash) != BOP_OK) return {};
  return hash;
}

uint32_t Driver::version() const { return state_->table.version; }
const char* Driver::kind() const { return state_->table.kind; }
bool Driver::has_failed() const { return state_->failed; }

}  // namespace bop::machine

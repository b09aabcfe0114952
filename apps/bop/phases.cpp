#include "phases.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kv.h"

namespace {

constexpr uint32_t job_window = 16;
constexpr double ns_per_second = 1e9;
// How long a phase goes on without a success: long enough for an election or two.
constexpr double patience_seconds = 15;
// The same before the first success, when there is probably no cluster; usually --timeout is longer.
constexpr double first_patience_seconds = 2;

void bump(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

std::string_view body_of(const bop_completion& completion) {
  return {reinterpret_cast<const char*>(completion.body.data), completion.body.size};
}

// SplitMix64.
uint64_t next_random(uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Number of keys per message: messages have about 256 KiB.
uint32_t batch_of(uint32_t size_bytes) {
  const uint32_t one = size_bytes + static_cast<uint32_t>(Ledger::key_bytes) + 16;
  return std::clamp(262144u / one, 1u, 512u);
}

uint32_t job_count(uint32_t keys, uint32_t batch) { return (keys + batch - 1) / batch; }

}  // namespace

int64_t monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// ---- Phase ----

void Phase::finish() {
  // Notifies while it holds the lock: the waiting thread may destroy the phase once the lock is released.
  const std::lock_guard lock(mutex_);
  finished_ = true;
  over_.notify_all();
}

bool Phase::wait(double limit_seconds) {
  std::unique_lock lock(mutex_);
  return over_.wait_for(lock, std::chrono::duration<double>(limit_seconds),
                        [this] { return finished_; });
}

// ---- BenchClient ----

BenchClient::BenchClient(const Globals& globals, const BenchArguments& arguments)
    : globals_(globals) {
  bop_client_options options{};
  options.size = sizeof options;
  options.endpoints = globals.endpoints.c_str();
  options.connections = arguments.clients;
  options.max_in_flight = arguments.clients * arguments.pipeline + 2 * job_window;
  options.callback = [](void* context, const bop_completion* completion) {
    static_cast<BenchClient*>(context)->phase_.load()->complete(*completion);
  };
  options.context = this;
  char error[1024] = "";
  opened_ = bop_client_open(&options, &client_, error, sizeof error);
  error_ = error;
}

BenchClient::~BenchClient() { bop_client_close(client_); }

std::string BenchClient::causes() const {
  char text[4096] = "";
  bop_client_causes(client_, text, sizeof text);
  return text;
}

bop_request BenchClient::request(const std::string& payload, uint64_t tag,
                                 uint32_t connection) const {
  bop_request request{};
  request.size = sizeof request;
  request.timeout_ms = globals_.timeout_ms;
  request.group_name = globals_.group.c_str();
  request.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  request.tag = tag;
  request.connection = connection;
  return request;
}

int32_t BenchClient::propose(const std::string& command, uint64_t tag, uint32_t connection) {
  const bop_request asked = request(command, tag, connection);
  return bop_client_propose(client_, &asked);
}

int32_t BenchClient::query(const std::string& question, uint64_t tag, uint32_t connection) {
  const bop_request asked = request(question, tag, connection);
  return bop_client_query(client_, &asked);
}

// ---- JobPhase ----

JobPhase::JobPhase(BenchClient& client, uint32_t jobs, double first_seconds)
    : jobs_(jobs), window_(std::min(job_window, jobs)), client_(client) {
  be_patient(first_seconds);
  client.set_phase(this);
}

void JobPhase::be_patient(double seconds) {
  const double at_least = std::max(seconds, client_.timeout_seconds());
  until_ns_ = std::max(until_ns_, monotonic_ns() + static_cast<int64_t>(at_least * ns_per_second));
}

void JobPhase::run() {
  {
    const std::lock_guard lock(mutex_);
    under_way_ = window_;
    next_ = window_;
    for (uint32_t job = 0; job < window_; ++job) start_or_finish(job);
  }
  wait(1e9);
  client_.drain();
}

void JobPhase::start_or_finish(uint32_t job) {
  const int32_t started = start(job);
  if (started == BOP_OK) return;
  bop_completion failed{};
  failed.tag = job;
  failed.status = started;
  failed.detail = "";
  complete(failed);
}

void JobPhase::complete(const bop_completion& completion) {
  const std::lock_guard lock(mutex_);
  const auto job = static_cast<uint32_t>(completion.tag);
  if (completion.status == BOP_OK && succeeded(job, completion)) {
    ++succeeded_;
    be_patient(patience_seconds);
    return go_on();
  }
  last_error_ =
      std::string(bop_error_name(completion.status)) + ": " +
      (*completion.detail != '\0' ? completion.detail : bop_error_text(completion.status));
  // A usage error would repeat immediately.
  if (exit_of(completion.status) == usage || monotonic_ns() > until_ns_) return go_on();
  start_or_finish(job);
}

void JobPhase::go_on() {
  if (next_ < jobs_ && monotonic_ns() < until_ns_) return start_or_finish(next_++);
  if (--under_way_ == 0) finish();
}

// ---- Preload ----

Preload::Preload(BenchClient& client, const BenchArguments& arguments, Ledger& ledger)
    : JobPhase(client, job_count(ledger.keys(), batch_of(arguments.size_bytes)),
               first_patience_seconds),
      client_(client),
      arguments_(arguments),
      ledger_(ledger),
      batch_(batch_of(arguments.size_bytes)) {}

int32_t Preload::start(uint32_t job) {
  const uint32_t first = job * batch_;
  const uint32_t end = std::min(first + batch_, ledger_.keys());
  std::vector<std::string> texts;
  texts.reserve(end - first);
  std::vector<kv::Operation> operations;
  const std::string value = Ledger::value_text(0, arguments_.size_bytes);
  for (uint32_t key = first; key < end; ++key) {
    texts.push_back(Ledger::key_text(key));
    kv::Operation operation;
    operation.key = texts.back();
    operation.value = value;
    operations.push_back(operation);
  }
  return client_.propose(kv::command(operations), job, job);
}

bool Preload::succeeded(uint32_t job, const bop_completion& completion) {
  const auto done = kv::read_items(body_of(completion));
  if (!done) return false;
  const uint32_t first = job * batch_;
  const uint32_t end = std::min(first + batch_, ledger_.keys());
  for (uint32_t key = first; key < end; ++key) ledger_.acknowledged(key, done->position, 0);
  return true;
}

// ---- ReadBack ----

ReadBack::ReadBack(BenchClient& client, const BenchArguments& arguments, const Ledger& ledger)
    : JobPhase(client, job_count(ledger.keys(), batch_of(arguments.size_bytes)), patience_seconds),
      client_(client),
      arguments_(arguments),
      ledger_(ledger),
      batch_(batch_of(arguments.size_bytes)) {}

int32_t ReadBack::start(uint32_t job) {
  const uint32_t first = job * batch_;
  const uint32_t end = std::min(first + batch_, ledger_.keys());
  std::vector<std::string> texts;
  texts.reserve(end - first);
  std::vector<std::string_view> keys;
  for (uint32_t key = first; key < end; ++key)
    keys.push_back(texts.emplace_back(Ledger::key_text(key)));
  return client_.query(kv::get(keys), job, job);
}

bool ReadBack::succeeded(uint32_t job, const bop_completion& completion) {
  const auto found = kv::read_items(body_of(completion));
  const uint32_t first = job * batch_;
  const uint32_t end = std::min(first + batch_, ledger_.keys());
  if (!found || found->items.size() != end - first) return false;
  for (uint32_t key = first; key < end; ++key) {
    if (!ledger_.holds(key, found->items[key - first], arguments_.size_bytes)) ++missing_;
  }
  return true;
}

uint64_t ReadBack::unread() const { return uint64_t{unfinished()} * batch_; }

// ---- Load ----

Load::Load(BenchClient& client, const BenchArguments& arguments, Ledger& ledger)
    : client_(client),
      arguments_(arguments),
      ledger_(ledger),
      read_below_(static_cast<uint64_t>(arguments.read_ratio * 4294967296.0)),
      slots_(size_t{arguments.clients} * arguments.pipeline) {
  client.set_phase(this);
  const std::string key = Ledger::key_text(0);
  const std::string value = Ledger::value_text(0, arguments.size_bytes);
  kv::Operation put;
  put.key = key;
  put.value = value;
  const std::string command = kv::command({put});
  const std::string question = kv::get({key});
  value_in_command_ = command.size() - value.size();
  key_in_command_ = value_in_command_ - key.size();
  key_in_question_ = question.size() - key.size();
  uint64_t seed = static_cast<uint64_t>(monotonic_ns());
  for (Slot& slot : slots_) {
    slot.command = command;
    slot.question = question;
    slot.random = next_random(seed);
  }
}

void Load::run() {
  running_ = static_cast<uint32_t>(slots_.size());
  // This thread uses a slot until the slot's first request is submitted, afterwards only the client's thread does.
  // Each slot has its own sequence of numbers, so nothing is shared.
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) next(slot);
}

void Load::end() {
  stop();
  wait(1e9);
  client_.drain();
}

void Load::next(uint32_t index) {
  Slot& slot = slots_[index];
  if (stopping_.load(std::memory_order_relaxed)) {
    if (running_.fetch_sub(1) == 1) finish();
    return;
  }
  const uint64_t random = next_random(slot.random);
  slot.key = static_cast<uint32_t>((random >> 32) * ledger_.keys() >> 32);
  slot.reading = (random & UINT32_MAX) < read_below_;
  slot.started_ns = monotonic_ns();
  const uint32_t connection = index / arguments_.pipeline;
  int32_t started;
  if (slot.reading) {
    Ledger::write_key(slot.key, slot.question.data() + key_in_question_);
    started = client_.query(slot.question, index, connection);
  } else {
    slot.number += slots_.size();
    Ledger::write_key(slot.key, slot.command.data() + key_in_command_);
    Ledger::write_number(slot.number + index, slot.command.data() + value_in_command_,
                         arguments_.size_bytes);
    started = client_.propose(slot.command, index, connection);
  }
  if (started != BOP_OK) {
    // The request would fail again immediately: this loop ends.
    count_error(started);
    if (running_.fetch_sub(1) == 1) finish();
  }
}

void Load::complete(const bop_completion& completion) {
  const auto index = static_cast<uint32_t>(completion.tag);
  const Slot& slot = slots_[index];
  const bool counts = !stopping_.load(std::memory_order_relaxed);
  if (completion.status == BOP_OK) {
    if (!slot.reading && completion.body.size >= sizeof(uint64_t)) {
      uint64_t revision = 0;
      for (size_t i = 0; i < sizeof revision; ++i) {
        revision |= uint64_t{completion.body.data[i]} << (8 * i);
      }
      ledger_.acknowledged(slot.key, revision, slot.number + index);
    }
    if (counts) {
      latencies_.record(static_cast<uint64_t>(monotonic_ns() - slot.started_ns));
      bump(slot.reading ? reads_ : writes_);
    }
  } else {
    count_error(completion.status);
  }
  next(index);
}

void Load::count_error(int32_t status) {
  const std::lock_guard lock(errors_mutex_);
  bump(errors_);
  ++errors_by_name_[bop_error_name(status)];
}

Load::Counts Load::counts() const {
  return {reads_.load(std::memory_order_relaxed), writes_.load(std::memory_order_relaxed),
          errors_.load(std::memory_order_relaxed)};
}

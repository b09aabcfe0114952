#include "capi/node/runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "base/logging.h"
#include "bop/bop.h"
#include "capi/node/handshake.h"
#include "capi/node/listeners.h"
#include "capi/node/space_watch.h"
#include "io/directory_lock.h"
#include "io/file/file_system.h"
#include "io/loop.h"
#include "io/thread.h"
#include "io/worker.h"
#include "mem/address_space.h"
#include "mem/allocate.h"
#include "net/peer_transport.h"
#include "node/directory.h"
#include "node/incarnations.h"
#include "node/node.h"
#include "node/placement.h"

namespace bop::capi {

namespace {

// Upper limit for the time at the end of a stop in which clients receive their last replies.
constexpr Duration longest_goodbye = 500 * milliseconds;

node::Identity expected_identity(const Settings& settings) {
  node::Identity identity;
  identity.cluster = settings.node.cluster;
  identity.node = settings.node.self;
  std::vector<node::FormationGroup> groups;
  for (const GroupSpec& group : settings.node.groups)
    groups.push_back({group.id, group.name, group.machine, group.voters});
  identity.bootstrap = node::bootstrap_digest(groups);
  identity.formation = node::formation_digest(groups);
  return identity;
}

// Random, not from a clock: two formattings, or starts, in the same instant differ. Not 0.
uint64_t random_number() {
  std::random_device device;
  uint64_t number = 0;
  while (number == 0) number = uint64_t{device()} << 32 | device();
  return number;
}

node::ShardOptions shard_options(const Settings& settings, const node::Identity& identity,
                                 const port::Introduction& introduction) {
  node::ShardOptions options = settings.node;
  options.incarnation = identity.incarnation;
  options.version = bop_version();
  options.address = introduction.address;
  options.native = introduction.native;
  options.fresh = !identity.served;
  options.seed = identity.incarnation;
  return options;
}

Result<net::PeerOptions> peer_options(const Settings& settings) {
  const node::ShardOptions& node = settings.node;
  net::PeerOptions options;
  options.self = node.self;
  BOP_TRY_ASSIGN(options.listen, net::parse_address(settings.listen_peer));
  for (const Peer& peer : node.peers) {
    BOP_TRY_ASSIGN(net::Address address, net::parse_address(peer.address));
    options.peers.push_back({peer.id, std::move(address)});
  }
  options.frames = {.magic = proto::peer_magic,
                    .min_bytes = proto::peer_header_bytes,
                    .max_bytes = proto::max_peer_frame_bytes};
  options.max_queued_bulk_bytes = node.peer_queue_bytes;
  options.silence_limit = 3 * node.raft.election_timeout;
  // A group that elects over a long round trip connects over it, too.
  options.connect_limit = std::max(options.connect_limit, 2 * node.raft.election_timeout);
  options.identity_patience = node.raft.election_timeout;
  options.max_bulk_delay = node.raft.election_timeout / 4;
  options.local_only = !settings.insecure;
  options.seed = node.self;
  return options;
}

constexpr Duration save_again_after = 1 * seconds;
constexpr Duration return_memory_every = 2 * seconds;
constexpr Duration return_more_after = 100 * milliseconds;
constexpr uint64_t least_log_segments = 4;  // as config_check.cpp has it

// What a start takes, with some to spare. Without it an allocation on one of the node's threads would end the process.
constexpr uint64_t node_bytes = 24 << 20;  // buffers, connections
constexpr uint64_t shard_bytes = 8 << 20;  // stacks, log buffers
constexpr uint64_t group_bytes = 4 << 20;  // stacks, memtables
constexpr uint64_t least_memtable_bytes = 1 << 20;
constexpr uint64_t store_mapped_bytes = 16 << 20;  // of a kv machine's file, at least

Status check_memory(const Settings& settings) {
  uint64_t memory = node_bytes + settings.node.shards * shard_bytes;
  uint64_t mapped = 0;
  for (const GroupSpec& group : settings.node.groups) {
    if (!std::ranges::binary_search(group.voters, settings.node.self)) continue;
    memory += group_bytes;
    if (group.machine == "kv") mapped += store_mapped_bytes;
  }
  if (mem::memory_has(memory) && mem::address_space_has(memory + mapped)) return {};
  return fail(BOP_E_OVERLOADED,
              "to start, a node of this configuration needs " + std::to_string(memory >> 20) +
                  " MiB more memory and " + std::to_string((memory + mapped) >> 20) +
                  " MiB more address space; raise the limit of the address space (ulimit -v) or "
                  "of memory (vm.overcommit_memory)");
}

// Where the address space is limited, memtables and the cache of log entries use at most an eighth of what is left each;
// the stores' maps and the flushes need some, too. The configured memory may be more than there is.
Settings fitted(Settings settings) {
  const uint64_t groups = std::max<uint64_t>(settings.node.groups.size(), 1);
  const uint64_t share = std::max(mem::address_space_left() / 8 / groups, least_memtable_bytes);
  settings.node.raft.cache_bytes = std::min<uint64_t>(settings.node.raft.cache_bytes, share);
  for (GroupSpec& group : settings.node.groups) {
    uint64_t& memory = group.machine_options.memory_bytes;
    if (group.machine != "kv" || memory <= share) continue;
    memory = share;
    logging::info("group {}: its memtables use at most {} MiB, a share of what ulimit -v leaves",
                  group.name, memory >> 20);
  }
  return settings;
}

// The transport of a node without peers.
class NoPeers final : public port::Transport {
 public:
  void set_receiver(port::TransportReceiver*) override {}
  bool send(NodeId, port::Channel, std::span<const mem::Buffer>) override { return false; }
  uint64_t queued_bytes(NodeId, port::Channel) const override { return 0; }
};

}  // namespace

// The thread of a shard and what runs on it. Members are destroyed in reverse order, which must be safe.
struct ShardRuntime {
  io::Loop loop;
  std::unique_ptr<io::FileSystem> files;
  std::unique_ptr<net::Streams> streams;
  std::unique_ptr<port::Timer> memory_timer;
  io::Thread thread;

  void run();
};

struct Runtime::State {
  explicit State(const Settings& given) : settings(given) {}
  ~State();

  Status prepare(FindMachine find_machine);
  Status open_directory();
  Status open_shards();
  Status open_peers();
  Status run();
  Status open_node();
  Histogram& log_write_ns(uint32_t shard);
  void watch_space();
  void return_memory(ShardRuntime& runtime);
  port::Introduction introduction() const;
  Status take_part();
  void halt();
  void save(const node::Incarnations& incarnations);

  Settings settings;  // constant once the shards are open
  node::Identity identity;
  std::optional<io::DirectoryLock> lock;
  metrics::Registry registry;
  std::vector<std::unique_ptr<ShardRuntime>> runtimes;
  std::unique_ptr<port::Worker>
      worker;  // blocking work on the data directory; completes on the first shard's loop
  std::unique_ptr<SpaceWatch> space;
  std::unique_ptr<port::Timer> save_timer;  // retries a failed save of the incarnations
  bool saving_fails = false;                // since the last save, which was logged
  std::unique_ptr<Handshake> handshake;
  NoPeers no_peers;
  std::unique_ptr<net::PeerTransport> transport;  // nullptr: no peer listener
  std::unique_ptr<node::Node> node;
  std::unique_ptr<Listeners> listeners;
  std::string peer_address;  // HOST:PORT of the peer listener
};

// ---- starting ----

// What this process tells its peers: the addresses of its entry in `peers`, else those it listens on.
port::Introduction Runtime::State::introduction() const {
  port::Introduction out;
  out.instance = random_number();
  out.address = settings.listen_peer;
  out.native = settings.listen_native;
  for (const Peer& peer : settings.peers) {
    if (peer.id != settings.node.self) continue;
    if (!peer.address.empty()) out.address = peer.address;
    if (!peer.native.empty()) out.native = peer.native;
  }
  return out;
}

Status Runtime::State::prepare(FindMachine find_machine) {
  BOP_TRY(open_directory());
  BOP_TRY(open_shards());
  BOP_TRY(open_peers());
  std::vector<node::ShardContext> contexts;
  for (const auto& runtime : runtimes) {
    io::Loop& loop = runtime->loop;
    contexts.push_back({.clock = loop,
                        .timers = loop,
                        .post = loop,
                        .files = *runtime->files,
                        .make_worker = [&loop] { return io::make_worker(loop, "bop-machine"); },
                        .log_write_ns = &log_write_ns(static_cast<uint32_t>(contexts.size()))});
  }
  port::Transport& peers = transport ? static_cast<port::Transport&>(*transport) : no_peers;
  node =
      std::make_unique<node::Node>(shard_options(settings, identity, introduction()),
                                   std::move(contexts), peers, std::move(find_machine), &registry);
  watch_space();
  // Binds the ports before recovery: a port in use must be reported at once.
  std::vector<ListenOn> listen_on;
  for (const auto& runtime : runtimes)
    listen_on.push_back({&runtime->loop, runtime->streams.get()});
  BOP_TRY_ASSIGN(listeners, Listeners::open(settings, identity, registry, listen_on));
  BOP_TRY(run());
  return open_node();
}

Status Runtime::State::open_directory() {
  auto taken = io::DirectoryLock::take(settings.data_directory);
  if (!taken && taken.error().code == BOP_E_NOT_FOUND)
    return fail(BOP_E_NOT_FORMATTED,
                settings.data_directory + " does not exist; run `bopd format --config FILE` first");
  if (!taken) return std::unexpected(taken.error());
  lock.emplace(std::move(*taken));
  return {};
}

Status Runtime::State::open_shards() {
  for (uint32_t shard = 0; shard < settings.node.shards; ++shard) {
    auto runtime = std::make_unique<ShardRuntime>();
    BOP_TRY_ASSIGN(runtime->files,
                   io::open_file_system(runtime->loop, settings.data_directory, settings.files));
    runtime->streams = std::make_unique<net::Streams>(runtime->loop);
    runtimes.push_back(std::move(runtime));
  }
  port::FileSystem& files = *runtimes.front()->files;
  BOP_TRY_ASSIGN(identity, node::read_identity(files));
  BOP_TRY(node::check_identity(files, identity, expected_identity(settings)));
  BOP_TRY(node::place_groups(files, settings.node.shards, settings.node.groups));
  BOP_TRY_ASSIGN(worker, io::make_worker(runtimes.front()->loop, "bop-directory"));
  return {};
}

Status Runtime::State::open_peers() {
  if (settings.listen_peer.empty()) return {};
  BOP_TRY_ASSIGN(node::Incarnations known, node::Incarnations::load(*runtimes.front()->files));
  save_timer = runtimes.front()->loop.make_timer([this] { handshake->save_if_changed(); });
  handshake = std::make_unique<Handshake>(identity, introduction(), std::move(known),
                                          [this](const node::Incarnations& all) { save(all); });
  BOP_TRY_ASSIGN(const net::PeerOptions options, peer_options(settings));
  BOP_TRY_ASSIGN(transport, net::PeerTransport::open(*runtimes.front()->streams, options,
                                                     *handshake, registry));
  peer_address = transport->address().to_string();
  return {};
}

Histogram& Runtime::State::log_write_ns(uint32_t shard) {
  return registry.histogram("bop_log_write_seconds",
                            "From a log write's submission to its completion",
                            metrics::seconds_of_ns, {{"shard", std::to_string(shard)}});
}

void Runtime::State::watch_space() {
  std::vector<SpaceWatch::Store> stores;
  for (const GroupSpec& group : settings.node.groups)
    stores.push_back({group.name, group.shard,
                      settings.data_directory + "/shard" + std::to_string(group.shard) + "/group-" +
                          std::to_string(group.id)});
  space = std::make_unique<SpaceWatch>(
      runtimes.front()->loop, *worker, registry, settings.data_directory, std::move(stores),
      [this](uint64_t free_bytes) { node->set_free_bytes(free_bytes); });
}

// A failed save (a full disk) is retried until it succeeds. Otherwise a peer that is reformatted could, after a restart
// of this node, pass for the one before.
void Runtime::State::save(const node::Incarnations& incarnations) {
  auto status = std::make_shared<Status>();
  worker->submit(
      [this, copy = incarnations, status] { *status = copy.save(*runtimes.front()->files); },
      [this, status] {
        if (!*status) save_timer->arm(runtimes.front()->loop.now() + save_again_after);
        if (*status && saving_fails) logging::info("the incarnations of peers are saved again");
        if (!*status && !saving_fails)
          logging::error("the incarnations of peers could not be saved, retrying every {} s: {}",
                         save_again_after / seconds, status->error().to_string());
        saving_fails = !*status;
        handshake->saved(*status);
      });
}

// Runs the loop until it is stopped, then until no I/O uses the log's memory: a seal or another write may still be in
// flight.
void ShardRuntime::run() {
  loop.run();
  while (!files->at_rest()) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    loop.run_turn(loop.now());
  }
}

// Returns memory that shards no longer use to the system, such as that of replies to many slow clients.
void Runtime::State::return_memory(ShardRuntime& runtime) {
  mem::release_thread_cache();
  const auto arm = [&runtime](Duration after) {
    runtime.memory_timer->arm(runtime.loop.now() + after);
  };
  if (&runtime != runtimes.front().get()) return arm(return_memory_every);
  auto more = std::make_shared<bool>(false);
  worker->submit([more] { *more = mem::release_unused(); },
                 [arm, more] { arm(*more ? return_more_after : return_memory_every); });
}

Status Runtime::State::run() {
  for (auto& runtime : runtimes) {
    runtime->memory_timer =
        runtime->loop.make_timer([this, &runtime = *runtime] { return_memory(runtime); });
    runtime->memory_timer->arm(runtime->loop.now() + return_memory_every);
  }
  for (size_t shard = 0; shard < runtimes.size(); ++shard) {
    ShardRuntime& runtime = *runtimes[shard];
    BOP_TRY_ASSIGN(runtime.thread, io::start_thread(("bop-shard-" + std::to_string(shard)).c_str(),
                                                    [&runtime] { runtime.run(); }));
  }
  return {};
}

Status Runtime::State::open_node() {
  std::promise<Status> opened;
  node->open([&](Status status) { opened.set_value(status ? take_part() : std::move(status)); });
  return opened.get_future().get();
}

// On the first loop, once all shards are open and the first entries of new groups are durable.
Status Runtime::State::take_part() {
  if (!identity.served) BOP_TRY(node::mark_served(*runtimes.front()->files, identity));
  node->start();
  if (transport) transport->start();
  listeners->serve(*node);
  space->start();
  return {};
}

// ---- stopping ----

void Runtime::State::halt() {
  for (auto& runtime : runtimes) runtime->loop.stop();
  for (auto& runtime : runtimes)
    if (runtime->thread.joinable()) runtime->thread.join();
}

Runtime::State::~State() {
  halt();
  // Callers are destroyed before what they call.
  listeners.reset();
  node.reset();
  transport.reset();
  worker.reset();
  space.reset();
  save_timer.reset();
}

namespace {

// Creates the directories of the path that do not exist, durably.
Status make_directories(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  const std::filesystem::path above = path.has_parent_path() ? path.parent_path() : ".";
  if (above != path) BOP_TRY(make_directories(above));
  std::filesystem::create_directory(path, error);
  if (error) return fail(BOP_E_IO, path.string() + " cannot be created: " + error.message());
  io::Loop loop;
  BOP_TRY_ASSIGN(const auto files,
                 io::open_file_system(loop, above.string(), {.backend = io::FileBackend::pool}));
  return files->sync_directory_now(".");
}

}  // namespace

Status Runtime::format(const Settings& settings) {
  BOP_TRY(make_directories(settings.data_directory));
  BOP_TRY_ASSIGN(const io::DirectoryLock lock, io::DirectoryLock::take(settings.data_directory));
  io::Loop loop;
  BOP_TRY_ASSIGN(const auto files, io::open_file_system(loop, settings.data_directory,
                                                        {.backend = io::FileBackend::pool}));
  node::Identity identity = expected_identity(settings);
  identity.incarnation = random_number();
  const Status formatted = node::format_directory(*files, identity);
  if (formatted || formatted.error().code != BOP_E_ALREADY_FORMATTED) return formatted;
  // Formatted for this node, or for another?
  BOP_TRY_ASSIGN(const node::Identity found, node::read_identity(*files));
  BOP_TRY(node::check_identity(*files, found, identity));
  return formatted;
}

Result<std::unique_ptr<Runtime>> Runtime::start(const Settings& settings,
                                                FindMachine find_machine) {
  static std::once_flag warned;  // the allocator is the process's, which may have several nodes
  if (mem::address_space_is_short()) {
    std::call_once(warned, [] {
      logging::warning(
          "address space is limited (ulimit -v, overcommit): using the system's allocator");
    });
  }
  BOP_TRY(check_memory(settings));
  auto state = std::make_unique<State>(fitted(settings));
  BOP_TRY(state->prepare(std::move(find_machine)));
  return std::unique_ptr<Runtime>(new Runtime(std::move(state)));
}

Runtime::Runtime(std::unique_ptr<State> state) : state_(std::move(state)) {}

Runtime::~Runtime() = default;

void Runtime::stop(Duration grace) {
  std::promise<void> stopped;
  state_->runtimes.front()->loop.post([&] {
    state_->listeners->close();
    const Duration goodbye = std::min(longest_goodbye, grace / 4);
    state_->node->stop(grace - goodbye, [this, goodbye, &stopped] {
      state_->listeners->finish(goodbye, [&stopped] { stopped.set_value(); });
    });
  });
  // A machine's sync may take longer than the grace period; what it did not make durable is replayed from the log.
  stopped.get_future().wait();
  state_->halt();
}

void Runtime::reload(const Settings& settings) {
  state_->runtimes.front()->loop.post([state = state_.get(), settings] {
    state->listeners->reload(settings);
    state->node->set_scrub_bytes_per_s(settings.node.scrub_bytes_per_s);
    // The segments keep their size until a restart.
    const uint64_t least = least_log_segments * state->settings.node.log.segment_bytes;
    if (settings.node.log.max_bytes >= least)
      state->node->set_log_max_bytes(settings.node.log.max_bytes);
    else
      logging::warning(
          "log.max_bytes: {} is less than {} segments of the size in use; it takes effect when the "
          "node is restarted",
          settings.node.log.max_bytes, least_log_segments);
  });
}

uint32_t Runtime::shards() const { return static_cast<uint32_t>(state_->runtimes.size()); }

void Runtime::on_shard(uint32_t shard, std::function<void(node::Service&)> task) {
  state_->runtimes[shard]->loop.post(
      [node = state_->node.get(), shard, task = std::move(task)] { task(node->service(shard)); });
}

void Runtime::on_any_shard(std::function<void(node::Service&)> task) {
  auto taken = std::make_shared<std::atomic<bool>>(false);
  for (uint32_t shard = 0; shard < shards(); ++shard)
    on_shard(shard, [taken, task](node::Service& service) {
      if (!taken->exchange(true)) task(service);
    });
}

uint32_t Runtime::shard_of(GroupId group) const {
  for (const GroupSpec& spec : state_->settings.node.groups)
    if (spec.id == group) return spec.shard;
  return shards();
}

Result<GroupId> Runtime::find_group(std::string_view name) const {
  for (const GroupSpec& spec : state_->settings.node.groups)
    if (spec.name == name) return spec.id;
  return fail(BOP_E_NO_GROUP, "there is no group " + std::string(name));
}

const std::string& Runtime::address(std::string_view listener) const {
  return listener == "peer" ? state_->peer_address : state_->listeners->address(listener);
}

metrics::Registry& Runtime::registry() { return state_->registry; }

}  // namespace bop::capi

// bop-floor: the floor that bop's benchmarks compare with.
//
//   bop-floor run --dir DIR --clients 1,16,64,256        all of it: a JSON object a line
//   bop-floor server --port 7500 --follower 7501 --follower 7502 --file F1
//   bop-floor server --port 7501 --file F2               a follower: start these first or last
//   bop-floor load --port 7500 --clients 64
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "cluster.h"
#include "load.h"
#include "server.h"

using namespace bench_floor;

int main(int argc, char** argv) {
  CLI::App app("the simplest durable replication: its floor under any other");
  app.require_subcommand(1);

  ServerOptions server;
  LoadOptions load;
  std::string directory = ".";
  std::vector<size_t> clients = {1, 16, 64, 256};
  uint64_t file_mib = 64;
  uint16_t base_port = 7500;

  auto add_load = [&](CLI::App* command) {
    command->add_option("--pipeline", load.pipeline, "requests under way a connection");
    command->add_option("--size", load.value_bytes, "bytes of a value");
    command->add_option("--time", load.seconds, "seconds");
  };

  CLI::App* serve = app.add_subcommand("server", "a leader, or without --follower a follower");
  serve->add_option("--port", server.port, "of the clients, or of the leader")->required();
  serve->add_option("--follower", server.followers, "a follower's port");
  serve->add_option("--file", server.path, "written round and round")->required();
  serve->add_option("--file-mib", file_mib, "its size");

  CLI::App* drive = app.add_subcommand("load", "closed loop against a leader");
  drive->add_option("--port", load.port, "of the leader")->required();
  drive->add_option("--clients", load.clients, "connections");
  add_load(drive);

  CLI::App* run = app.add_subcommand("run", "starts the three, loads them, prints a line a run");
  run->add_option("--dir", directory, "where the files are made, on a real file system");
  run->add_option("--clients", clients, "connections, one run each")->delimiter(',');
  run->add_option("--base-port", base_port, "the first of three");
  run->add_option("--file-mib", file_mib, "of each file");
  add_load(run);

  CLI11_PARSE(app, argc, argv);

  server.file_bytes = file_mib << 20;
  if (*serve) server.followers.empty() ? run_follower(server) : run_leader(server);
  if (*drive) {
    std::puts(run_load(load).c_str());
    return 0;
  }
  const Cluster cluster(directory, base_port, file_mib << 20);
  load.port = base_port;
  load.servers = cluster.processes();
  for (const size_t count : clients) {
    load.clients = count;
    std::puts(run_load(load).c_str());
    std::fflush(stdout);
  }
  return 0;
}

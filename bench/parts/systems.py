"""The systems that are compared: how each is started, loaded with keys, and measured.

All are closed loops of `clients` clients with `pipeline` requests under way each, keys of 16 bytes drawn
uniformly from those preloaded, and all keep their data below one folder on one file system. Where a system
has a leader, its clients call it there: nobody is charged for a detour. Nobody warms up: every loader counts
from its first request, and servers' CPU time from before the loader starts until it has ended.
"""

import json
import os
import socket
import urllib.request

from parts.processes import cpu_us, run_json, start, stop, wait_until

HOST = "127.0.0.1"
VALUE_BYTES = 256
PRELOAD_TIMEOUT_S = 900


class System:
    """One of those compared. `name` is how the table calls it."""

    name = ""
    reads = True  # whether gets are measured too; linearizable ones, where there is a choice

    def __init__(self, root, folder):
        self.root = root  # of the source tree
        self.folder = folder  # for its data and logs
        os.makedirs(folder)

    def bin(self, program):
        return os.path.join(os.environ.get("BOP_BIN", os.path.join(self.root, "build/release/bin")), program)

    def pids(self):
        raise NotImplementedError

    def measure(self, load):
        """One round: the output of the loader, and the servers' CPU time an operation."""
        before = cpu_us(self.pids())
        result = run_json(self.loader(load), load.seconds + 60)
        spent = cpu_us(self.pids()) - before
        return {"errors": 0, **result, "cpu_us_per_op": spent / max(result["ops"], 1)}


class Bop(System):
    """Three nodes of bop; measured over its native protocol and over RESP."""

    name = "bop"

    def __init__(self, root, folder, base_port, programs=None):
        super().__init__(root, folder)
        self.programs = programs  # the folder of its programs; None: this build's
        ready = os.path.join(folder, "ready.json")
        self.process = start([self.bin("bopd"), "dev", "--nodes", 3, "--data", os.path.join(folder, "data"),
                              "--base-port", base_port, "--ready-file", ready], os.path.join(folder, "log"))
        def is_ready():
            if self.process.poll() is not None:
                raise RuntimeError("bopd dev ended at its start")
            return os.path.exists(ready)
        wait_until(is_ready, "bopd dev is ready")
        with open(ready, encoding="utf-8") as file:
            self.nodes = json.load(file)["nodes"]

    def bin(self, program):
        return os.path.join(self.programs, program) if self.programs else super().bin(program)

    def pids(self):
        return [node["pid"] for node in self.nodes]

    def stop(self):
        stop(self.process)

    def leader(self):
        def found():
            for node in self.nodes:
                with urllib.request.urlopen(f"http://{node['http']}/v1/status", timeout=5) as answer:
                    if json.load(answer)["groups"][0]["role"] == "leader":
                        return node
            return None
        return wait_until(found, "bop has a leader")


class BopNative(System):
    """Its loader, `bop bench`, is of the same build: the client is part of what is compared."""

    def __init__(self, bop, name="bop native"):
        self.bop = bop
        self.name = name
        self.root = bop.root

    def pids(self):
        return self.bop.pids()

    def stop(self):
        pass

    def arguments(self, load):
        return [self.bop.bin("bop"), "--endpoint", self.bop.leader()["native"], "bench", "kv", "--keys", load.keys,
                "--size", VALUE_BYTES, "-o", "json"]

    def preload(self, load):
        pass  # Bop's RESP side has done it: the store is the same

    def loader(self, load):
        return [*self.arguments(load), "--clients", load.clients, "--pipeline", load.pipeline, "--time",
                load.seconds, "--read-ratio", load.read_ratio, "--no-preload", "--no-verify"]


class Resp(System):
    """Whatever speaks RESP."""

    def endpoint(self):
        raise NotImplementedError

    def common(self, load):
        return [self.bin("bench_resp"), "--endpoint", self.endpoint(), "--keys", load.keys, "--size", VALUE_BYTES]

    def preload(self, load):
        run_json([*self.common(load), "--preload", "--clients", 64, "--pipeline", 16], PRELOAD_TIMEOUT_S)

    def loader(self, load):
        return [*self.common(load), "--clients", load.clients, "--pipeline", load.pipeline, "--time",
                load.seconds, "--read-ratio", load.read_ratio]


class BopResp(Resp):
    def __init__(self, bop, name="bop RESP"):
        self.bop = bop
        self.name = name
        self.root = bop.root

    def pids(self):
        return self.bop.pids()

    def stop(self):
        pass

    def endpoint(self):
        return self.bop.leader()["resp"]


class Redis(Resp):
    """One Redis, no replica, every write fsynced before its answer; its gets ask nobody else."""

    name = "redis always"

    def __init__(self, root, folder, base_port):
        super().__init__(root, folder)
        self.port = base_port
        self.process = start(
            ["redis-server", "--port", self.port, "--bind", HOST, "--dir", folder, "--appendonly", "yes",
             "--appendfsync", "always", "--save", ""], os.path.join(folder, "log"))
        def answers():
            if self.process.poll() is not None:
                raise RuntimeError("redis-server ended at its start")
            with open(os.path.join(folder, "log"), encoding="utf-8", errors="replace") as file:
                return "Ready to accept connections" in file.read()
        wait_until(answers, "redis-server is ready")

    def endpoint(self):
        return f"{HOST}:{self.port}"

    def pids(self):
        return [self.process.pid]

    def stop(self):
        stop(self.process)


class Etcd(System):
    """Three etcd with their default settings, except for their space: a round must not reach the quota of 2 GB."""

    name = "etcd"
    CONNECTIONS = 4  # that the clients share; more were slower, one was no faster

    def __init__(self, root, folder, base_port, loader):
        super().__init__(root, folder)
        self.program = loader
        self.clients = [f"http://{HOST}:{base_port + 2 * i}" for i in range(3)]
        peers = [f"http://{HOST}:{base_port + 2 * i + 1}" for i in range(3)]
        cluster = ",".join(f"node{i}={peer}" for i, peer in enumerate(peers))
        self.processes = [
            start(["etcd", "--name", f"node{i}", "--data-dir", os.path.join(folder, str(i)),
                   "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
                   "--listen-client-urls", self.clients[i], "--advertise-client-urls", self.clients[i],
                   "--initial-cluster", cluster, "--initial-cluster-state", "new",
                   "--quota-backend-bytes", 8 << 30], os.path.join(folder, f"log{i}"))
            for i in range(3)]
        self.leader()

    def pids(self):
        return [process.pid for process in self.processes]

    def stop(self):
        for process in self.processes:
            stop(process)

    def leader(self):
        """The leader's endpoint, HOST:PORT."""
        def found():
            for client in self.clients:
                request = urllib.request.Request(f"{client}/v3/maintenance/status", b"{}")
                try:
                    with urllib.request.urlopen(request, timeout=5) as answer:
                        status = json.load(answer)
                except OSError:
                    continue
                if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                    return client.removeprefix("http://")
            return None
        return wait_until(found, "etcd has a leader")

    def common(self, load):
        return [self.program, "--endpoints", self.leader(), "--keys", load.keys, "--size", VALUE_BYTES]

    def preload(self, load):
        run_json([*self.common(load), "--preload", "--connections", self.CONNECTIONS], PRELOAD_TIMEOUT_S)

    def loader(self, load):
        return [*self.common(load), "--clients", load.clients, "--pipeline", load.pipeline, "--connections",
                min(load.clients, self.CONNECTIONS), "--time", f"{load.seconds}s", "--read-ratio", load.read_ratio]


class Floor(System):
    """The simplest possible durable replication: three processes that keep nothing (bench/floor)."""

    name = "floor"
    reads = False

    def __init__(self, root, folder, base_port):
        super().__init__(root, folder)
        self.port = base_port
        followers = [base_port + 1, base_port + 2]
        self.processes = [self.server(port, []) for port in followers]
        self.processes.append(self.server(base_port, followers))
        wait_until(self.answers, "the floor answers")

    def server(self, port, followers):
        """A follower, or the leader of these followers."""
        options = [word for follower in followers for word in ("--follower", follower)]
        path = os.path.join(self.folder, str(port))
        return start([self.bin("bop-floor"), "server", "--port", port, "--file", path, *options], f"{path}.log")

    def answers(self):
        if any(process.poll() is not None for process in self.processes):
            raise RuntimeError("bop-floor ended at its start")
        try:
            socket.create_connection((HOST, self.port)).close()
        except OSError:
            return False
        return True

    def pids(self):
        return [process.pid for process in self.processes]

    def stop(self):
        for process in reversed(self.processes):
            stop(process)

    def preload(self, load):
        pass  # it keeps nothing

    def loader(self, load):
        return [self.bin("bop-floor"), "load", "--port", self.port, "--clients", load.clients, "--pipeline",
                load.pipeline, "--size", VALUE_BYTES, "--time", load.seconds]

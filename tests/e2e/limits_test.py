#!/usr/bin/env python3
"""Limits: a full log, a full disk, commands larger than a segment, too many connections."""

import http.client
import json
import os
import resource
import select
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import frames
from harness.case import Case, main
from harness.dev import DevCluster
from harness.hand import HandCluster
from harness.process import program, run
from harness.resp import RespError, encode
from harness.waiting import wait_until

FULL_SOON = {"log.segment_bytes": 2 << 20, "log.max_bytes": 8 << 20}
VALUE = b"v" * 60_000


def write_until_refused(node, kind, value=VALUE, most=3000, unknown=1):
    """Writes until a write is refused, and returns the last acknowledged key. If the followers are full before the
    leader, the leader learns it by a write that they cannot store, and its outcome is unknown."""
    last = None
    with node.client(30) as client:
        for number in range(most):
            key = f"fill {len(value)} {number}"
            try:
                client.call("SET", key, value)
                last = key
            except RespError as error:
                if error.kind == kind:
                    return last
                assert error.kind == "UNKNOWNOUTCOME" and unknown > 0, error
                unknown -= 1
    raise AssertionError(f"{most} writes of {len(value)} bytes were taken")


class AFullLog(Case):
    """The logs of the other nodes keep the entries that an absent node lacks."""

    def setUp(self):
        self.cluster = self.use(HandCluster(settings=FULL_SOON))
        self.leader = self.cluster.wait_for_leader()
        self.away = self.cluster.followers()[0]
        self.away.kill()
        self.last = write_until_refused(self.leader, "LOGFULL")
        write_until_refused(self.leader, "LOGFULL", b"to the brim")

    def test_refuses_writes_by_name_and_serves_reads(self):
        for node in self.cluster.nodes:
            if node is not self.away:
                self.assertTrue(node.alive())
                self.assertEqual(node.call("GET", self.last), VALUE)
        code, body = self.leader.ask("PUT", "/v1/kv/one-more", VALUE)
        self.assertIn(code, (503, 507))
        self.assertIn(b"LOG_FULL", body)
        self.assertIsNone(self.leader.call("GET", "one-more"))

    def test_permits_elections_and_accepts_writes_once_all_nodes_are_back(self):
        self.leader.pause()
        self.cluster.restart(self.away)
        successor = self.cluster.wait_for_leader(other_than=self.leader)
        self.assertEqual(successor.call("GET", self.last), VALUE)
        self.leader.resume()
        def taken():
            try:
                return successor.call("SET", "one more", VALUE)
            except RespError:
                return None
        wait_until(taken, "a write is taken again")


class ASmallLog(Case):
    def test_accepts_any_number_of_writes_while_all_nodes_run(self):
        cluster = self.use(HandCluster(settings=FULL_SOON))
        with cluster.wait_for_leader().client(30) as client:
            for number in range(600):  # more than four times the capacity
                client.call("SET", f"key {number % 3}", VALUE)


class MoreConnectionsThanTheLimit(Case):
    LIMIT = 8

    def one_too_many(self, address):
        """What a node sends to a connection beyond its limit, which sends nothing."""
        host, _, port = address.rpartition(":")
        connections = []
        for _ in range(self.LIMIT + 1):
            connections.append(socket.create_connection((host, int(port)), timeout=20))
            self.addCleanup(connections[-1].close)
        return self.everything(connections[-1])

    @staticmethod
    def everything(connection):
        received = bytearray()
        while piece := connection.recv(1 << 16):
            received += piece
        return bytes(received)

    def request(self, node, target, keep=False):
        """A connection with an HTTP request on it."""
        host, _, port = node.http.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=20)
        self.addCleanup(connection.close)
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" %
                           (target, node.http.encode(), b"" if keep else b"Connection: close\r\n"))
        return connection

    def test_are_accepted_over_http_in_the_place_of_idle_ones(self):
        node = self.use(DevCluster(nodes=1, settings={"limits.connections": self.LIMIT})).nodes[0]
        idle = [self.request(node, b"/livez", keep=True) for _ in range(self.LIMIT)]
        for connection in idle:
            self.assertTrue(connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK"))
        for path in ("/v1/status", "/metrics", "/livez", "/readyz") * 3:
            self.assertEqual(node.ask("GET", path)[0], 200, path)
        self.assertEqual(idle[0].recv(1 << 16), b"", "the one that was idle for longest is closed")

    def test_are_refused_in_the_form_of_each_protocol(self):
        node = self.use(DevCluster(nodes=1, settings={"limits.connections": self.LIMIT})).nodes[0]
        self.assertEqual(self.one_too_many(node.resp), b"-ERR max number of clients reached\r\n")

        goodbye = self.one_too_many(node.native)
        self.assertEqual(goodbye, frames.goodbye(-6, b"too many connections (limits.connections)"))

    def test_are_refused_over_http_when_the_others_have_requests_in_flight(self):
        cluster = self.use(HandCluster(settings={"limits.connections": self.LIMIT}))
        node = cluster.nodes[0]
        for other in cluster.nodes[1:]:
            other.kill()
        slow = b"/v1/kv/key?timeout_ms=60000"
        for _ in range(self.LIMIT):
            self.request(node, slow)
        def refused():
            reply = self.everything(self.request(node, b"/livez"))
            if b" 200 OK" not in reply:
                return reply
            self.request(node, slow)  # one was closed because its request had not been read yet
            return None
        head, _, body = wait_until(refused, "a connection is refused").partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), head)
        self.assertIn(b"\r\nConnection: close", head)
        self.assertIn(b"\r\nContent-Length: %d\r\n" % len(body), head)
        answer = json.loads(body)
        self.assertEqual(answer["outcome"], "not_executed")
        self.assertEqual(answer["error"]["code"], "BOP_E_OVERLOADED")


class ANodeWithFewDescriptorsLeft(Case):
    def test_serves_status_and_metrics_when_it_refuses_other_clients(self):
        node = self.use(DevCluster(nodes=1)).nodes[0]
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (256, 256))
        for address in (node.resp, node.native):
            host, _, port = address.rpartition(":")
            connections = []
            for _ in range(250):
                connections.append(socket.create_connection((host, int(port)), timeout=20))
                self.addCleanup(connections[-1].close)
            refused, _, _ = select.select(connections, [], [], 20)  # accepted connections send nothing
            self.assertTrue(refused)
        # Clients that keep their HTTP connections, more than the descriptors that are left.
        kept = []
        for _ in range(100):
            kept.append(http.client.HTTPConnection(node.http, timeout=20))
            self.addCleanup(kept[-1].close)
            kept[-1].request("GET", "/livez")
            self.assertEqual(kept[-1].getresponse().read(), b"ok\n")
        self.assertIsNotNone(kept[-1].sock, "it is kept alive")
        for path in ("/v1/status", "/metrics", "/livez", "/readyz"):
            self.assertEqual(node.ask("GET", path)[0], 200, path)


def built_with_sanitizers():
    with open(program("bopd"), "rb") as file:
        image = file.read()
    return b"__asan_init" in image or b"__tsan_init" in image


class TheMemoryOfSlowReaders(Case):
    CLIENTS = 500

    @unittest.skipIf(built_with_sanitizers(), "a sanitizer's allocator keeps what is freed")
    def test_is_returned_to_the_system_after_they_closed(self):
        node = self.use(DevCluster(nodes=1)).nodes[0]
        with node.client(30) as client:
            for number in range(10):
                client.call("SET", f"large {number}", b"v" * 100_000)
        before = node.memory_bytes()

        requests = b"".join(encode("GET", f"large {number % 10}") for number in range(50))
        clients = [node.client(30) for _ in range(self.CLIENTS)]
        for client in clients:
            self.addCleanup(client.close)
            client.send(requests)
        held = wait_until(lambda: node.memory_bytes() if node.memory_bytes() > before + (150 << 20) else None,
                          "the replies are in memory")
        for client in clients:
            client.close()
        wait_until(lambda: node.memory_bytes() < 1.5 * before + (64 << 20),
                   f"the node, with {before >> 20} MiB before and {held >> 20} MiB at the peak, returns memory", 60)


class ALargeCommand(Case):
    def test_larger_than_a_segment_is_refused_on_every_node_and_later_ones_are_not(self):
        cluster = self.use(DevCluster(settings={"log.segment_bytes": 2 << 20}))
        largest = b"x" * (1 << 20)
        for node in cluster.nodes:  # through the leader, and forwarded to it
            with node.client(30) as client:
                with self.assertRaisesRegex(RespError, "too large for a segment"):
                    client.call("MSET", "one", b"x" * 900_000, "other", b"y" * 900_000)
                self.assertEqual(client.call("MGET", "one", "other"), [None, None])
                self.assertEqual(client.call("SET", "k" * 1024, largest), "OK")
                self.assertEqual(client.call("GET", "k" * 1024), largest)


class ALittleAddressSpace(Case):
    """1 GiB (`ulimit -v`): far less than snmalloc and a large map of a store reserve."""

    LIMITED = ["bash", "-c", 'ulimit -v 1048576 && exec "$0" "$@"']

    def test_every_program_prints_its_version(self):
        for name in ("bop", "bopd"):
            self.assertRegex(run([*self.LIMITED, program(name), "--version"]).stdout, f"^{name} [0-9.]+")

    def test_a_node_starts_with_one_warning_serves_and_starts_again(self):
        cluster = self.use(LimitedCluster(nodes=1))
        node = cluster.nodes[0]
        with node.client(30) as client:
            for number in range(2000):
                client.call("SET", f"key {number}", VALUE[:20_000])
        self.assertEqual(node.call("GET", "key 1234"), VALUE[:20_000])
        self.assertEqual(run([*self.LIMITED, program("bop"), "--endpoint", node.native, "get", "key 7"]).stdout.strip(),
                         VALUE[:20_000].decode())
        self.assertEqual(cluster.output().count("address space is limited"), 1)
        node.kill()
        wait_until(lambda: not node.alive(), "the node is dead")
        cluster.start_node(node)
        wait_until(node.ready, "it is ready again")
        self.assertEqual(node.call("GET", "key 1234"), VALUE[:20_000])


    def test_a_store_that_may_not_grow_is_reported_and_commands_are_refused_until_it_may(self):
        cluster = self.use(LimitedCluster(nodes=1, kib=250_000))
        node = cluster.nodes[0]
        last = write_until_refused(node, "OVERLOADED", VALUE[:20_000], most=20_000, unknown=2)

        def behind():
            conditions = json.loads(node.ask("GET", "/v1/status")[1])["conditions"]
            return [each["detail"] for each in conditions if each["condition"] == "behind"]
        wait_until(behind, "the node reports it")
        self.assertIn("flushing waits for space: ", behind()[0])
        self.assertIn("ulimit -v", behind()[0])
        self.assertEqual(node.ask("GET", "/readyz")[0], 503)
        with node.client(30) as client:
            self.assertRaisesRegex(RespError, "held up: flushing waits for space", client.call, "SET", "k", "v")
        self.assertEqual(cluster.output().count("machine kv: flushing waits for space"), 1)
        for stops, kib in ((1, 250_000), (2, 1_048_576)):  # under the same limit it starts, too
            os.kill(node.pid, signal.SIGTERM)
            wait_until(lambda: not node.alive(), "the node stopped")
            self.assertEqual(cluster.output(1000).count("info    stopped\n"), stops)
            cluster.kib = kib
            cluster.start_node(node)
            wait_until(lambda: node.alive() and node.status() is not None, "it answers again")
        wait_until(node.ready, "it is ready again")
        self.assertEqual(node.call("GET", last), VALUE[:20_000])
        self.assertEqual(node.call("SET", "k", "v"), "OK")


class LimitedCluster(HandCluster):
    def __init__(self, nodes, kib=1_048_576):
        super().__init__(nodes)
        self.kib = kib

    def start_node(self, node):
        node.pid = self.start_process(f"node{node.id}", [
            "bash", "-c", f'ulimit -v {self.kib} && exec "$0" "$@"', program("bopd"), "start", "--config",
            node.configuration]).pid


class AFullDisk(Case):
    """The data of all nodes on a small disk, part of which is occupied by the test."""

    def setUp(self):
        self.cluster = DevCluster()
        os.makedirs(self.cluster.data)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", self.cluster.data],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.cluster.stop()
            raise unittest.SkipTest("a disk of a size of our own needs the right to mount one")
        self.addCleanup(subprocess.run, ["umount", "-l", self.cluster.data], check=True)
        self.ballast = os.path.join(self.cluster.data, "ballast")
        with open(self.ballast, "wb") as file:
            file.write(bytes(32 << 20))
        self.use(self.cluster)

    def reads(self, node, key):
        try:
            self.assertEqual(node.call("GET", key), VALUE)
            return True
        except RespError as refused:
            self.assertIn("did not receive the leader's entries", str(refused))
            return False

    def test_refuses_writes_by_name_serves_reads_and_votes_and_recovers_with_space(self):
        leader = self.cluster.wait_for_leader()
        last = write_until_refused(leader, "DISKFULL", unknown=9)  # freed space admits a write now and then
        # The disk is full for all three nodes, but not at the same entry: one may lack entries that the others committed.
        # A leader has them all; the first one may have handed over.
        leader = self.cluster.wait_for_leader()
        read = [node for node in self.cluster.nodes if self.reads(node, last)]
        self.assertGreaterEqual(len(read), 2)
        for node in self.cluster.nodes:
            self.assertEqual(node.group()["health"], "ok")

        # Where one node has no space for a command that the others committed, those two are needed.
        successor = leader
        if len({node.group()["last_index"] for node in self.cluster.nodes}) == 1:
            leader.pause()
            successor = self.cluster.wait_for_leader(other_than=leader)
            self.assertEqual(successor.call("GET", last), VALUE)
            leader.resume()

        os.remove(self.ballast)
        def taken():
            try:
                return successor.call("SET", "with space", VALUE) == "OK"
            except RespError as refused:
                self.assertIn(refused.kind, ("DISKFULL", "CLUSTERDOWN", "UNKNOWNOUTCOME"), refused)
                return False
        wait_until(taken, "writes are taken again")
        self.cluster.wait_until_equal()
        for node in self.cluster.nodes:
            self.assertEqual(node.call("GET", "with space"), VALUE)


class AFullDiskOfItsOwn(Case):
    """A node with its data on its own full disk (ext4: tmpfs is more lenient when full)."""

    disk_bytes = 300 << 20
    settings = {}

    def setUp(self):
        self.cluster = HandCluster(nodes=1, settings=self.settings)
        self.node = self.cluster.nodes[0]
        image = tempfile.NamedTemporaryFile(prefix="bop-disk-")
        self.addCleanup(image.close)
        image.truncate(self.disk_bytes)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image.name], capture_output=True, check=False)
        mounted = made.returncode == 0 and subprocess.run(
            ["mount", "-o", "loop", image.name, self.cluster.scratch], capture_output=True, check=False).returncode == 0
        if not mounted:
            self.cluster.stop()
            raise unittest.SkipTest("a disk of a size of our own needs the right to mount one")
        self.addCleanup(subprocess.run, ["umount", "-l", self.cluster.scratch], check=True)
        self.use(self.cluster)
        self.ballast = os.path.join(self.cluster.scratch, "ballast")

    def fill_disk(self):
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
            os.fsync(file.fileno())
        self.assertEqual(os.statvfs(self.cluster.scratch).f_bavail, 0)

    def takes_writes(self):
        try:
            return self.node.call("SET", "with space", VALUE) == "OK"
        except RespError as refused:
            self.assertIn(refused.kind, ("DISKFULL", "OVERLOADED", "UNKNOWNOUTCOME"), refused)
            return False


class AFullDiskAtTheStart(AFullDiskOfItsOwn):
    def restart(self):
        self.node.kill()
        wait_until(lambda: not self.node.alive(), "the node is dead")
        # Punches out space that was allocated and never written, as after a power loss.
        run(["fallocate", "--dig-holes", os.path.join(self.node.directory, "data", "shard0", "group-1", "1", "kv.mdbx")])
        self.fill_disk()
        self.cluster.start_node(self.node)
        wait_until(self.node.serves, "the node serves reads")  # its log may be full, and then it is not ready

    def test_permits_a_node_to_start_and_serve_reads_and_writes_once_there_is_space(self):
        last = None
        with self.node.client(30) as client:
            for number in range(600):
                last = f"key {number}"
                client.call("SET", last, VALUE)
        for _ in range(3):
            self.restart()
            self.assertEqual(self.node.call("GET", last), VALUE)
            self.assertEqual(self.node.group()["health"], "ok")
        last = write_until_refused(self.node, "DISKFULL")
        self.restart()
        self.assertEqual(self.node.call("GET", last), VALUE)
        os.remove(self.ballast)
        wait_until(self.takes_writes, "writes are taken again")


class AFullDiskDuringAFlush(AFullDiskOfItsOwn):
    """The store has many pages to write when its disk is full, and the log still has segments to reuse."""

    disk_bytes = 64 << 20
    settings = {"log.segment_bytes": 2 << 20, "log.max_bytes": 16 << 20, "kv.memory_bytes": 1 << 20}

    def test_postpones_the_flush_and_nothing_is_lost_once_there_is_space(self):
        with open(self.ballast, "wb") as file:
            file.write(bytes(16 << 20))
        written, refused = [], 0
        for number in range(3000):
            try:
                with self.node.client(10) as client:
                    client.call("SET", f"key {number}", VALUE)
                written.append(f"key {number}")
            except (RespError, OSError):
                refused += 1
                if refused == 3:
                    break
        self.assertEqual(refused, 3, "the disk never filled up")
        self.assertEqual(self.node.group()["health"], "ok")
        self.node.kill()
        wait_until(lambda: not self.node.alive(), "the node is dead")
        self.cluster.start_node(self.node)
        wait_until(lambda: (self.node.group() or {}).get("health") == "ok", "the replica is served on the full disk")
        os.remove(self.ballast)
        wait_until(self.takes_writes, "writes are taken again")
        for key in written:
            self.assertEqual(self.node.call("GET", key), VALUE)


if __name__ == "__main__":
    main()

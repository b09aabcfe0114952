#!/usr/bin/env python3
"""Many clients that read large answers at once: the leader goes on leading, and its memory is bounded."""

import select
import socket
import threading
import time

from harness.case import Case, main
from harness.dev import DevCluster
from harness.resp import encode
from harness.waiting import wait_until

MIB = 1 << 20
VALUES = 8
RANGE = b"GET /v1/kv?prefix=big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# limits.total_output_bytes, the records themselves, and what the allocator keeps of both.
MEMORY_BYTES = 640 * MIB
# The election timeout is 1 s: a turn of the shard's loop must be much shorter, whatever else this machine does.
LIVEZ_S = 3


class Watch:
    """Measures, while clients read, the longest response of /livez and the memory of a node."""

    def __init__(self, node):
        self.node = node
        self.longest_s = 0
        self.memory_bytes = 0
        self.responses = 0
        self.failures = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def run(self):
        while not self.stopped.wait(0.02):
            began = time.monotonic()
            try:
                code, _ = self.node.ask("GET", "/livez", timeout_s=30)
                if code != 200:
                    self.failures.append(code)
                self.responses += 1
            except OSError as error:
                self.failures.append(error)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.memory_bytes = max(self.memory_bytes, self.node.memory_bytes())


class LargeReads(Case):
    def setUp(self):
        self.cluster = self.use(DevCluster())
        self.leader = self.cluster.wait_for_leader()
        with self.leader.client(30) as client:
            for number in range(VALUES):
                client.call("SET", f"big{number}", bytes([97 + number]) * MIB)
        self.group = self.leader.group(timeout_s=30)
        self.before = self.leader.memory_bytes()

    def connect(self, address, request, receive_bytes=None):
        connection = socket.socket()
        self.addCleanup(connection.close)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        host, _, port = address.rpartition(":")
        connection.settimeout(60)
        connection.connect((host, int(port)))
        connection.sendall(request)
        return connection

    def receive_all(self, connections, done, deadline_s=120):
        """Reads all connections at once until done(received bytes) holds for each, or it is closed."""
        received = dict.fromkeys(connections, b"")
        sizes = dict.fromkeys(connections, 0)
        left = set(connections)
        deadline = time.monotonic() + deadline_s
        while left:
            self.assertLess(time.monotonic(), deadline, f"{len(left)} clients have no whole response")
            for connection in select.select(list(left), [], [], 1)[0]:
                try:
                    piece = connection.recv(1 << 20)
                except ConnectionResetError:
                    piece = b""
                received[connection] = received[connection] or piece[:64]
                sizes[connection] += len(piece)
                if not piece or done(sizes[connection]):
                    left.discard(connection)
        return received, sizes

    def check(self, watch):
        self.assertEqual(watch.failures, [])
        self.assertGreater(watch.responses, 1)
        self.assertLess(watch.longest_s, LIVEZ_S)
        grown = watch.memory_bytes - self.before
        self.assertLess(grown, MEMORY_BYTES, f"grown by {grown >> 20} MiB")
        after = self.leader.group(timeout_s=30)
        self.assertEqual((after["role"], after["term"]), (self.group["role"], self.group["term"]))
        print(f"/livez took at most {watch.longest_s:.2f} s, memory grew by {grown >> 20} MiB", flush=True)

    def test_100_ranges_over_http_leave_the_leader_in_office(self):
        with Watch(self.leader) as watch:
            clients = [self.connect(self.leader.http, RANGE) for _ in range(100)]
            received, sizes = self.receive_all(clients, lambda size: False)
        for client in clients:
            self.assertTrue(received[client].startswith(b"HTTP/1.1 200"), received[client])
            self.assertGreater(sizes[client], 3 * MIB)
        self.check(watch)

    def test_200_ranges_that_nobody_reads_leave_the_leader_in_office(self):
        with Watch(self.leader) as watch:
            for _ in range(200):
                self.connect(self.leader.http, RANGE, receive_bytes=4096)
            wait_until(lambda: watch.responses >= 300 or watch.failures, "/livez was answered many times", 120)
        self.check(watch)

    def test_300_mgets_over_resp_leave_the_leader_in_office(self):
        command = encode("MGET", *(f"big{number}" for number in range(VALUES)))
        with Watch(self.leader) as watch:
            clients = [self.connect(self.leader.resp, command) for _ in range(300)]
            self.receive_all(clients, lambda size: size > VALUES * MIB)
        self.check(watch)


if __name__ == "__main__":
    main()

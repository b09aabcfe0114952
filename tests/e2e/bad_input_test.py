#!/usr/bin/env python3
"""Invalid bytes on every port: a named error or a closed connection, an unharmed node, bounded memory."""

import contextlib
import random
import select
import socket
import struct
import subprocess
import time

from harness import frames
from harness.case import SharedDevCase, main
from harness.process import program
from harness.resp import encode
from harness.waiting import wait_until

MEMORY_SLACK_BYTES = 96 << 20  # a connection may use its limits, but not a claimed length
CLOSED_WITHIN_S = 20
STUCK_AFTER_S = 1.0
TOO_LARGE, PROTOCOL = -5, -44  # bop/error.h
UNREAD_BYTES = 22 << 20  # of one connection: limits.input_bytes, unsent replies and replies in progress


class BadInput(SharedDevCase):
    def setUp(self):
        super().setUp()
        self.node = self.cluster.nodes[0]
        self.before = {node.id: node.memory_bytes() for node in self.cluster.nodes}
        self.addCleanup(self.check_unharmed)

    def check_unharmed(self):
        for node in self.cluster.nodes:
            self.assertTrue(node.alive(), f"{node} died")
            wait_until(node.serves, f"{node} serves")
            grown = node.memory_bytes() - self.before[node.id]
            self.assertLess(grown, MEMORY_SLACK_BYTES, f"{node} grew by {grown >> 20} MiB")

    # ---- sending ----

    def connect(self, address):
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=CLOSED_WITHIN_S)
        self.addCleanup(connection.close)
        return connection

    def exchange(self, address, data, end=False):
        """Sends data and reads until the node closes the connection. Fails if it stays open."""
        connection = self.connect(address)
        try:
            connection.sendall(data)
            if end:
                with contextlib.suppress(OSError):  # already closed by the node
                    connection.shutdown(socket.SHUT_WR)
            answer = bytearray()
            while piece := connection.recv(1 << 16):
                answer += piece
            return bytes(answer)
        except (ConnectionResetError, BrokenPipeError):
            return b""  # it closed before it read everything
        finally:
            connection.close()

    def random_bytes(self, seed, size):
        return random.Random(seed).randbytes(size)

    # ---- RESP ----

    def test_resp_lengths_beyond_the_limit_are_refused_by_name(self):
        for data in (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$999999999999\r\n", b"*1000000000\r\n",
                     b"$5\r\nhello\r\n\r\n*2\r\n$99999999999999999999999999\r\n", b"*1\r\n$-5\r\n"):
            with self.subTest(data=data):
                answer = self.exchange(self.node.resp, data)
                self.assertTrue(answer.split(b"\r\n")[-2].startswith(b"-ERR Protocol error"), answer)

    def test_resp_without_an_end_of_line_is_refused(self):
        answer = self.exchange(self.node.resp, b"x" * (1 << 20))
        self.assertTrue(answer == b"" or answer.startswith(b"-ERR Protocol error"), answer)

    def test_resp_random_bytes_close_the_connection_or_get_errors(self):
        for seed in range(40):
            answer = self.exchange(self.node.resp, self.random_bytes(seed, 4096), end=True)
            for line in answer.split(b"\r\n"):
                self.assertTrue(line == b"" or line.startswith(b"-"), (seed, line))

    def test_resp_commands_cut_short_change_nothing(self):
        whole = encode("SET", "cut short", "value")
        for size in range(1, len(whole)):
            self.assertEqual(self.exchange(self.node.resp, whole[:size], end=True), b"")
        self.assertIsNone(self.node.call("GET", "cut short"))

    def test_resp_commands_that_arrive_byte_by_byte_are_executed(self):
        connection = self.connect(self.node.resp)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode("SET", "by bytes", "1") + encode("GET", "by bytes"):
            connection.sendall(bytes([byte]))
        answer = b""
        while len(answer) < len(b"+OK\r\n$1\r\n1\r\n"):
            answer += connection.recv(100)
        self.assertEqual(answer, b"+OK\r\n$1\r\n1\r\n")

    def test_resp_values_and_keys_over_the_limit_are_refused_and_the_connection_goes_on(self):
        with self.node.client() as client:
            key, value = b"k" * 1025, b"v" * ((1 << 20) + 1)
            replies = client.pipeline([("SET", key, "x"), ("GET", key), ("PING",)])
            self.assertEqual([str(reply).split()[0] for reply in replies], ["ERR", "ERR", "PONG"])
            reply = client.pipeline([("SET", "too long", value)])[0]
            self.assertEqual(reply.kind, "ERR")
        self.assertIsNone(self.node.call("GET", "too long"))

    def test_unknown_resp_commands_get_the_error_of_redis(self):
        with self.node.client() as client:
            for command in (("FLUSHALL",), ("EVAL", "return 1", "0"), ("SUBSCRIBE", "x"), ("",)):
                reply = client.pipeline([command])[0]
                self.assertRegex(str(reply), r"^ERR unknown command")
            self.assertRegex(str(client.pipeline([("SET", "only a key")])[0]), r"^ERR wrong number of arguments")
            self.assertEqual(client.call("PING"), "PONG")

    # ---- HTTP ----

    def http_code(self, answer):
        self.assertTrue(answer.startswith(b"HTTP/1."), answer[:100])
        return int(answer.split()[1])

    def test_malformed_http_requests_get_the_status_of_their_fault(self):
        for data, codes in (
                (b"NONSENSE\r\n\r\n", (400,)),
                (b"GET /v1/status HTTP/9.9\r\n\r\n", (400, 505)),
                (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: " + b"b" * (1 << 17) + b"\r\n\r\n", (400, 431)),
                (b"PUT /v1/kv/big HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", (413,)),
                (b"PUT /v1/kv/big HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", (400,)),
                (b"PUT /v1/kv/big HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", (400,))):
            with self.subTest(data=data[:60]):
                self.assertIn(self.http_code(self.exchange(self.node.http, data)), codes)

    def test_endless_http_bodies_are_cut_off_at_the_limit(self):
        connection = self.connect(self.node.http)
        connection.sendall(b"PUT /v1/kv/endless HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        answer = b""
        try:
            for _ in range(8192):  # up to 512 MiB; the node discards 256 MiB
                connection.sendall(chunk)
                answer += self.what_is_there(connection)
            self.fail("the node took 512 MiB of a value of at most 1 MiB")
        except (ConnectionResetError, BrokenPipeError):
            pass
        self.assertEqual(self.http_code(answer), 413)
        self.assertEqual(self.node.ask("GET", "/v1/kv/endless")[0], 404)

    def what_is_there(self, connection):
        if not select.select([connection], [], [], 0)[0]:
            return b""
        return connection.recv(1 << 16)

    def test_http_values_and_keys_over_the_limit_are_refused(self):
        self.assertIn(self.node.ask("PUT", "/v1/kv/" + "k" * 1025, b"x")[0], (413, 414))
        self.assertEqual(self.node.ask("PUT", "/v1/kv/long", b"x" * ((1 << 20) + 1))[0], 413)
        self.assertEqual(self.node.ask("GET", "/v1/kv/long")[0], 404)

    def test_http_requests_cut_short_change_nothing(self):
        whole = b"PUT /v1/kv/http-cut HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nvalue"
        for size in range(1, len(whole), 3):
            self.exchange(self.node.http, whole[:size], end=True)
        self.assertEqual(self.node.ask("GET", "/v1/kv/http-cut")[0], 404)

    def test_unknown_http_paths_and_methods_get_404_and_501(self):
        self.assertEqual(self.node.ask("GET", "/no/such/path")[0], 404)
        self.assertEqual(self.node.ask("BREW", "/v1/kv/coffee")[0], 501)
        self.assertEqual(self.node.ask("GET", "/v1/kv/%zz")[0], 400)

    # ---- native and peers ----

    def test_native_and_peer_ports_close_connections_of_other_protocols(self):
        for address in (self.node.native, self.node.peer):
            for data in (b"GET / HTTP/1.1\r\n\r\n" * 100, encode("PING") * 100, b"\0" * 4096, b"\xff" * 4096,
                         struct.pack("<I", 0xFFFFFFFF) * 64, struct.pack("<Q", 1 << 40) * 64):
                with self.subTest(address=address, data=data[:8]):
                    self.exchange(address, data)

    def test_native_and_peer_ports_survive_random_bytes_of_any_length(self):
        for address in (self.node.native, self.node.peer):
            for seed in range(40):
                self.exchange(address, self.random_bytes(seed, 1 + seed * 100), end=True)

    def test_connections_that_send_nothing_do_no_harm(self):
        for address in (self.node.native, self.node.peer):
            connections = [self.connect(address) for _ in range(50)]
            for connection in connections:
                connection.close()

    def test_native_frames_of_impossible_sizes_are_refused_by_name(self):
        rest = frames.request(frames.PING, b"x" * 1000)[12:]
        for size, error in ((0xFFFFFFFF, TOO_LARGE), (9 << 20, TOO_LARGE), (15, PROTOCOL)):
            with self.subTest(size=size):
                answer = self.exchange(self.node.native, frames.hello() + frames.frame(frames.CLIENT, rest, size))
                self.assertEqual(self.goodbye(answer), error)

    def goodbye(self, answer):
        """The status in the goodbye, which must be the last frame."""
        position = 0
        while position < len(answer):
            magic, size, _, _, kind = struct.unpack_from("<4sIIBB", answer, position)
            self.assertEqual(magic, frames.CLIENT)
            last, position = position, position + size
        self.assertEqual(kind, 5, "a goodbye comes last")
        return struct.unpack_from("<i", answer, last + 16)[0]

    def test_frames_inside_other_frames_are_refused(self):
        one, other = frames.get(b"one"), frames.get(b"other")
        mixed = frames.hello() + one[:20] + other + one[20:]
        self.assertLess(len(self.exchange(self.node.native, mixed)), 300)
        ours = frames.peer_hello(self.cluster.cluster_id, 2, 1)
        self.assertEqual(self.exchange(self.node.peer, ours[:30] + ours + ours[30:]), b"")
        answer = self.exchange(self.node.resp, b"*2\r\n$3" + encode("PING") + b"\r\nGET\r\n$3\r\none\r\n")
        self.assertTrue(answer.startswith(b"-ERR Protocol error"), answer)

    def test_peer_frames_of_another_cluster_or_of_impossible_sizes_get_no_answer(self):
        for data in (frames.peer_hello("00" * 16, 2, 1), frames.peer_hello(self.cluster.cluster_id, 2, 3),
                     frames.peer_hello(self.cluster.cluster_id, 77, 1),
                     *(frames.peer_hello(self.cluster.cluster_id, 2, 1, size=size)
                       for size in (0xFFFFFFFF, 9 << 20, 15))):
            with self.subTest(data=data):
                self.exchange(self.node.peer, data + b"\0" * 4096)

    def test_real_frames_with_flipped_bits_are_refused(self):
        recorded = self.record_native()
        self.assertGreater(len(recorded), 100)
        for position in range(0, min(len(recorded), 300)):
            damaged = bytearray(recorded)
            damaged[position] ^= 1 << (position % 8)
            self.exchange(self.node.native, bytes(damaged), end=True)
        for size in range(0, len(recorded), 7):
            self.exchange(self.node.native, recorded[:size], end=True)

    def record_native(self):
        """Records what `bop put` sends, with a proxy."""
        sent = bytearray()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            bop = subprocess.Popen([program("bop"), "--endpoint", f"127.0.0.1:{port}", "put", "recorded", "value"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            listener.settimeout(30)
            near, _ = listener.accept()
            far = self.connect(self.node.native)
            with near:
                near.setblocking(False)
                far.setblocking(False)
                def passed():
                    for source, target, copy in ((near, far, sent), (far, near, bytearray())):
                        try:
                            data = source.recv(1 << 16)
                        except BlockingIOError:
                            continue
                        copy += data
                        target.sendall(data)
                    return bop.poll() is not None
                wait_until(passed, "bop put ends", poll_s=0.002)
            self.assertEqual(bop.returncode, 0)
        return bytes(sent)

    # ---- clients that do not read ----

    def fill_until_stuck(self, address, first, again, count=4):
        """Connections send `first` and then `again` repeatedly, until the node reads from none of them."""
        connections = [self.connect(address) for _ in range(count)]
        left = {}
        for connection in connections:
            connection.setblocking(False)
            left[connection] = first
        taken, moved = 0, time.monotonic()
        while time.monotonic() < moved + STUCK_AFTER_S:
            for connection in connections:
                try:
                    sent = connection.send(left[connection])
                except BlockingIOError:
                    continue
                taken, moved = taken + sent, time.monotonic()
                left[connection] = left[connection][sent:] or again
            self.assertLess(taken, count * (64 << 20), "the node accepts unlimited requests whose replies are not read")
        return connections

    def check_unread(self, address, small, large, greeting=b""):
        """Checks the memory that clients use that request much and read nothing. They begin with small requests."""
        self.node.call("SET", "large", b"x" * 1_000_000)
        before = self.node.memory_bytes()
        connections = self.fill_until_stuck(address, greeting + small * 1000 + large * 100, large * 100)
        grown = self.node.memory_bytes() - before
        self.assertLess(grown, len(connections) * UNREAD_BYTES, f"it grew by {grown >> 20} MiB")

    def test_a_resp_client_that_never_reads_costs_bounded_memory(self):
        self.check_unread(self.node.resp, encode("GET", "small"), encode("GET", "large"))

    def test_an_http_client_that_never_reads_costs_bounded_memory(self):
        def get(key):
            return b"GET /v1/kv/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % key
        self.check_unread(self.node.http, get(b"small"), get(b"large"))

    def test_a_native_client_that_never_reads_costs_bounded_memory(self):
        self.check_unread(self.node.native, frames.get(b"small"), frames.get(b"large"), frames.hello())

    def test_clients_that_never_read_do_not_delay_those_that_do(self):
        self.node.call("SET", "large", b"x" * 1_000_000)
        self.fill_until_stuck(self.node.resp, encode("GET", "large") * 100, encode("GET", "large") * 100)
        with self.node.client(60) as client:
            values = client.pipeline([("GET", "small")] * 1000 + [("GET", "large")] * 100)
        self.assertEqual(values, [None] * 1000 + [b"x" * 1_000_000] * 100)

    def test_hundreds_of_idle_connections_are_accepted_and_closed(self):
        connections = [self.connect(self.node.resp) for _ in range(900)]
        self.assertTrue(self.node.serves())
        for connection in connections:
            connection.close()


if __name__ == "__main__":
    main()

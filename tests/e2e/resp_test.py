#!/usr/bin/env python3
"""Redis clients: users, transactions, pipelines, and clients that do not read."""

import re
import socket

from harness.case import Case, SharedDevCase, main
from harness.dev import DevCluster
from harness.resp import RespError, encode
from harness.waiting import wait_until

KILOBYTE = b"v" * 1000


class ARedisClient(SharedDevCase):
    def test_logs_in_as_the_default_user_while_no_password_is_configured(self):
        node = self.cluster.nodes[0]
        self.assertEqual(node.call("AUTH", "default", ""), "OK")
        self.assertEqual(node.call("AUTH", "default", "anything"), "OK")
        self.assertIn(b"proto", node.call("HELLO", "2", "AUTH", "default", "x"))
        with self.assertRaisesRegex(RespError, "WRONGPASS"):
            node.call("AUTH", "other", "x")

    def test_executes_no_command_of_a_refused_transaction(self):
        node = self.cluster.nodes[0]
        with node.client() as client:
            replies = client.pipeline([("MULTI",), ("INCR", "in a transaction"), ("EXEC",)])
            self.assertEqual([type(reply) for reply in replies], [RespError] * 3)
            self.assertEqual(replies[-1].kind, "EXECABORT")
            self.assertIsNone(client.call("GET", "in a transaction"))

    def test_reads_its_own_writes_within_a_pipeline_on_every_node(self):
        for node in self.cluster.nodes:
            with node.client(60) as client:
                commands, expected = [], []
                for number in range(300):
                    key, value = f"own {node.id} {number % 7}", b"%d" % number
                    commands += [("SET", key, value), ("GET", key), ("APPEND", key, "!"), ("GET", key),
                                 ("MSET", "own a", value, "own b", value), ("MGET", "own a", "own b", key),
                                 ("DEL", key), ("EXISTS", key)]
                    expected += ["OK", value, len(value) + 1, value + b"!",
                                 "OK", [value, value, value + b"!"], 1, 0]
                self.assertEqual(client.pipeline(commands), expected)


class AClientThatWritesBeforeItReads(Case):
    def test_gets_all_replies_to_a_pipeline_of_many_megabytes(self):
        node = self.use(DevCluster(nodes=1)).nodes[0]
        node.call("SET", "key", KILOBYTE)
        count = 100_000
        with node.client(120) as client:
            client.send(encode("GET", "key") * count)  # 100 MB of replies, unread until all is written
            for _ in range(count):
                self.assertEqual(client.reply(), KILOBYTE)
            self.assertEqual(client.call("PING"), "PONG")

    def test_above_its_limit_gets_an_error_after_the_replies_and_is_disconnected(self):
        cluster = self.use(DevCluster(nodes=1, settings={"limits.input_bytes": 65536}))
        node = cluster.nodes[0]
        node.call("SET", "key", KILOBYTE)
        with node.client(120) as client:
            client.send(encode("GET", "key") * 1_000_000)  # 31 MB of commands
            replies = 0
            with self.assertRaises(RespError) as refused:
                while client.reply() == KILOBYTE:
                    replies += 1
            self.assertEqual(refused.exception.kind, "OVERLOADED")
            self.assertIn("limits.input_bytes", str(refused.exception))
            self.assertGreater(replies, 1000)
            with self.assertRaises(ConnectionError):
                client.reply()
        self.assertEqual(node.call("GET", "key"), KILOBYTE)


class ManySlowReaders(Case):
    """Clients that request much and read nothing."""

    COUNT = 200
    LIMIT = 32 << 20

    def metric(self, node, name):
        text = node.ask("GET", "/metrics")[1].decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def slow_reader(self, node, commands):
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = node.resp.rpartition(":")
        connection.connect((host, int(port)))
        connection.settimeout(30)
        connection.sendall(commands)
        return connection

    def test_together_use_at_most_the_limit_of_memory_and_return_it(self):
        cluster = self.use(DevCluster(nodes=1, settings={"limits.total_output_bytes": self.LIMIT}))
        node = cluster.nodes[0]
        node.call("SET", "key", b"v" * 100_000)
        before = node.memory_bytes()
        commands = encode("GET", "key") * 100  # 10 MB of replies
        readers = [self.slow_reader(node, commands) for _ in range(self.COUNT)]
        wait_until(lambda: self.metric(node, "bop_client_disconnects_total") > self.COUNT / 2,
                   "the largest are disconnected", deadline_s=60)
        self.assertLessEqual(self.metric(node, "bop_client_output_bytes"), self.LIMIT)
        self.assertLess(node.memory_bytes() - before, 6 * self.LIMIT)
        self.assertEqual(node.call("SET", "other", "1"), "OK")  # those that read are served
        output = cluster.output()
        self.assertIn("limits.total_output_bytes", output)
        self.assertRegex(output, r"127\.0\.0\.1:\d+: disconnected: it holds \d+ bytes of replies")
        wait_until(lambda: "more lines about clients that held too much were not logged" in cluster.output(),
                   "one line stands for the others")
        for reader in readers:
            reader.close()
        wait_until(lambda: self.metric(node, "bop_client_output_bytes") < 1 << 20, "what they held is free")
        wait_until(lambda: node.memory_bytes() - before < 2 * self.LIMIT, "the memory is returned",
                   deadline_s=60)


if __name__ == "__main__":
    main()

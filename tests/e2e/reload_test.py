#!/usr/bin/env python3
"""SIGHUP: a running node takes over what it can of a changed configuration and names the rest."""

import signal
import socket

from harness.case import Case, main
from harness.hand import HandCluster
from harness.process import send_signal
from harness.resp import Resp, RespError
from harness.waiting import wait_until

VALUE = b"v" * 60_000
SMALL_LOG = {"log.segment_bytes": 2 << 20, "log.max_bytes": 8 << 20}


class Reload(Case):
    def start(self, nodes=1, settings=None):
        self.cluster = self.use(HandCluster(nodes, settings))
        self.node = self.cluster.nodes[0]

    def log(self, node=None):
        number = (node or self.node).id
        return "\n".join(p.text() for p in self.cluster.processes if p.log.endswith(f"-node{number}.log"))

    def reload(self, settings, node=None, message="configuration reloaded"):
        """Gives the node these settings, too, and waits until it has read them."""
        node = node or self.node
        self.cluster.settings |= settings
        with open(node.configuration, "w", encoding="utf-8") as file:
            file.write(self.cluster.configuration_text(node))
        before = self.log(node).count(message)
        send_signal(node.pid, signal.SIGHUP)
        wait_until(lambda: self.log(node).count(message) > before, f"the node logs: {message}")
        self.assertTrue(node.alive())

    # ---- names of HTTP clients ----

    def by_name(self, name):
        return self.node.ask("GET", "/v1/status", headers={"Host": name})[0]

    def test_http_hosts_are_taken_over_and_taken_back(self):
        self.start()
        self.assertEqual(self.by_name("kv.example"), 421)
        self.reload({"http.hosts": '["kv.example"]'})
        wait_until(lambda: self.by_name("kv.example") == 200, "the new name is known")
        self.assertEqual(self.by_name("other.example"), 421)
        self.assertEqual(self.by_name(self.node.http), 200)
        self.reload({"http.hosts": "[]"})
        wait_until(lambda: self.by_name("kv.example") == 421, "the name is refused again")

    # ---- limits of clients ----

    def test_limits_connections_is_taken_over(self):
        self.start(settings={"limits.connections": 2})
        kept = [self.node.client() for _ in range(2)]
        for client in kept:
            self.addCleanup(client.close)
            self.assertEqual(client.call("PING"), "PONG")
        with self.node.client() as third:
            with self.assertRaises((RespError, ConnectionError, OSError)):
                third.call("PING")
        self.reload({"limits.connections": 3})
        self.assertIn("limits.connections changed from 2 to 3", self.log())
        def accepted():
            with Resp(self.node.resp) as client:
                try:
                    return client.call("PING") == "PONG"
                except (RespError, OSError):
                    return False
        wait_until(accepted, "a third connection is accepted")
        for client in kept:
            self.assertEqual(client.call("PING"), "PONG")

    def test_limits_in_flight_and_input_bytes_change_under_a_pipeline(self):
        self.start()
        with self.node.client(30) as client:
            for number, in_flight in enumerate((4, 1, 1000)):
                self.reload({"limits.in_flight": in_flight, "limits.input_bytes": 1 << (18 - number)})
                replies = client.pipeline([("SET", f"k{i}", "v") for i in range(3000)])
                self.assertEqual(set(replies), {"OK"})
                with self.node.client(30) as other:
                    self.assertEqual(set(other.pipeline([("SET", f"k{i}", "v") for i in range(3000)])), {"OK"})

    def test_limits_total_output_bytes_is_taken_over_by_connections_that_exist(self):
        self.start()
        self.node.call("SET", "large", bytes(900_000))
        with self.node.client(30) as greedy:
            greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(12):
                greedy.send(b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n")
            held = lambda: b'bop_client_output_bytes{shard="0"} 0\n' not in self.node.ask("GET", "/metrics")[1]
            wait_until(held, "replies wait")
            self.reload({"limits.total_output_bytes": 1 << 20})
            disconnected = lambda: b'limit="total_output_bytes",shard="0"} 1\n' in self.node.ask("GET", "/metrics")[1]
            wait_until(disconnected, "the connection that holds most is closed")

    # ---- the size of the log ----

    def write(self, node, number):
        try:
            return node.call("SET", f"fill {number}", VALUE, timeout_s=30) == "OK"
        except RespError as refused:
            return refused

    def test_a_full_log_that_may_grow_takes_writes_again_without_a_restart(self):
        self.start(nodes=3, settings=SMALL_LOG)
        leader = self.cluster.wait_for_leader()
        away = self.cluster.followers()[0]
        away.kill()  # the others' logs have to keep what it lacks
        def full():
            refused = self.write(leader, full.number)
            full.number += 1
            return isinstance(refused, RespError) and refused.kind == "LOGFULL"
        full.number = 0
        wait_until(full, "the log is full", poll_s=0)
        written = full.number
        for node in self.cluster.nodes:
            if node is not away:
                self.reload({"log.max_bytes": 32 << 20}, node)
        wait_until(lambda: self.write(leader, 0) is True, "writes are taken again")
        for number in range(written // 2):
            self.assertIs(self.write(leader, number), True)
        self.assertIn(b'bop_log_limit_bytes{shard="0"} %d\n' % (32 << 20), leader.ask("GET", "/metrics")[1])
        wait_until(lambda: not (leader.status() or {"conditions": [1]})["conditions"] or
                   all(c["condition"] not in ("log_full", "log_nearly_full") for c in leader.status()["conditions"]),
                   "no condition of the log holds")

    # ---- what is not taken over ----

    def test_other_keys_are_named_and_a_bad_file_changes_nothing(self):
        self.start()
        self.reload({"raft.heartbeat_ms": 77, "log.segment_bytes": 8 << 20})
        for key in ("raft.heartbeat_ms", "log.segment_bytes"):
            self.assertIn(f"{key} changed; the new value takes effect when the node is restarted", self.log())
        self.reload({"limits.connections": '"many"'}, message="configuration not reloaded: ")
        self.reload({"limits.connections": 0}, message="configuration not reloaded: ")
        self.assertEqual(self.node.call("PING"), "PONG")
        self.reload({"limits.connections": 5})
        self.assertIn("limits.connections changed from 4096 to 5", self.log())


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Three nodes keep one key-value store, which all protocols and nodes serve."""

import json
import os
import re

from harness.case import SharedDevCase, main
from harness.process import program, run


class OneStore(SharedDevCase):
    def redis_cli(self, node, *words):
        port = node.resp.rpartition(":")[2]
        return run(["redis-cli", "-p", port, *words]).stdout.rstrip("\n")

    def bop(self, *words, check=True):
        return run([program("bop"), "--endpoint", self.cluster.endpoints(), *words], check=check)

    def curl(self, node, method, path, body=None):
        data = ["--data-binary", body] if body is not None else []
        done = run(["curl", "-sS", "-X", method, "-w", "\n%{http_code}", *data, f"http://{node.http}{path}"])
        text, _, code = done.stdout.rpartition("\n")
        return int(code), text

    def test_redis_cli_reads_on_every_node_what_it_set_on_one(self):
        for writer in self.cluster.nodes:
            self.assertEqual(self.redis_cli(writer, "SET", f"from {writer.id}", f"value {writer.id}"), "OK")
            for reader in self.cluster.nodes:
                self.assertEqual(self.redis_cli(reader, "GET", f"from {writer.id}"), f"value {writer.id}")

    def test_curl_reads_and_deletes_on_every_node_what_it_put_on_one(self):
        first, second, third = self.cluster.nodes
        self.assertIn(self.curl(first, "PUT", "/v1/kv/over-http", "raw value")[0], (200, 201, 204))
        self.assertEqual(self.curl(second, "GET", "/v1/kv/over-http"), (200, "raw value"))
        self.assertIn(self.curl(third, "DELETE", "/v1/kv/over-http")[0], (200, 204))
        self.assertEqual(self.curl(first, "GET", "/v1/kv/over-http")[0], 404)

    def test_bop_puts_and_gets_and_reports_the_outcome_by_its_exit_code(self):
        self.bop("put", "over-native", "native value")
        self.assertEqual(self.bop("get", "over-native").stdout.rstrip("\n"), "native value")
        self.bop("delete", "over-native")
        self.assertEqual(self.bop("get", "over-native", check=False).returncode, 1)
        self.assertEqual(self.bop("no-such-command", check=False).returncode, 2)

    def test_bop_names_the_cause_of_each_endpoint_when_none_answers(self):
        done = run([program("bop"), "--endpoint", "127.0.0.1:1,127.0.0.1:2", "get", "x"], check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("127.0.0.1:1", done.stderr)
        self.assertIn("127.0.0.1:2", done.stderr)

    def test_all_protocols_share_one_store(self):
        first, second, third = self.cluster.nodes
        self.redis_cli(first, "SET", "shared", "seven")
        self.assertEqual(self.curl(second, "GET", "/v1/kv/shared"), (200, "seven"))
        self.assertEqual(self.bop("get", "shared").stdout.rstrip("\n"), "seven")
        self.bop("put", "shared", "eight")
        self.assertEqual(self.redis_cli(third, "GET", "shared"), "eight")

    def test_values_of_any_bytes_are_returned_unchanged(self):
        value = bytes(range(256)) * 64
        first, second, third = self.cluster.nodes
        self.assertEqual(first.call("SET", "any bytes", value), "OK")
        self.assertEqual(second.call("GET", "any bytes"), value)
        self.assertEqual(third.ask("GET", "/v1/kv/any%20bytes"), (200, value))
        self.assertIn(third.ask("PUT", "/v1/kv/more%00bytes", value)[0], (200, 201, 204))
        self.assertEqual(first.call("GET", b"more\0bytes"), value)

    def test_a_counter_incremented_on_every_node_counts_every_increment(self):
        for _ in range(20):
            for node in self.cluster.nodes:
                node.call("INCR", "counter")
        self.assertEqual(self.cluster.nodes[0].call("GET", "counter"), b"60")

    def test_pipelined_commands_are_answered_in_order(self):
        for node in self.cluster.nodes:
            with node.client() as client:
                commands = [word for i in range(200) for word in (("SET", "order", i), ("GET", "order"))]
                expected = [word for i in range(200) for word in ("OK", str(i).encode())]
                self.assertEqual(client.pipeline(commands), expected)

    def test_every_node_names_the_same_leader_and_cluster(self):
        leader = self.cluster.wait_for_leader()
        for node in self.cluster.nodes:
            status = node.status()
            self.assertEqual(status["cluster_id"], self.cluster.cluster_id)
            self.assertEqual(status["node_id"], node.id)
            group = node.group()
            self.assertEqual(group["leader"], leader.id)
            self.assertEqual(group["health"], "ok")
            self.assertEqual(group["role"], "leader" if node is leader else "follower")

    def test_bop_status_equals_the_status_over_http(self):
        done = self.bop("status", "-o", "json")
        self.assertIn(self.cluster.cluster_id, done.stdout)
        json.loads(done.stdout)

    def compare(self, documented, actual, path="status"):
        """Members must agree. Lists that are empty and values that are null in either cannot be compared."""
        if isinstance(documented, dict) and isinstance(actual, dict):
            self.assertEqual(list(documented), list(actual), path)
            for name in documented:
                self.compare(documented[name], actual[name], f"{path}.{name}")
        if isinstance(documented, list) and isinstance(actual, list) and documented and actual:
            self.compare(documented[0], actual[0], path + "[]")

    def test_the_documented_status_has_the_members_of_the_real_one(self):
        page = os.path.join(os.path.dirname(__file__), "../../docs/formats/http.md")
        with open(page, encoding="utf-8") as file:
            examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", file.read(), re.S)]
        (documented,) = [example for example in examples if "cluster_id" in example]
        self.compare(documented, self.cluster.nodes[1].status())

    def test_health_and_metrics_are_served(self):
        for node in self.cluster.nodes:
            self.assertEqual(node.ask("GET", "/livez")[0], 200)
            self.assertEqual(node.ask("GET", "/readyz")[0], 200)
            code, body = node.ask("GET", "/metrics")
            self.assertEqual(code, 200)
            self.assertRegex(body.decode(), r"(?m)^# TYPE bop_\w+ (counter|gauge|histogram)$")
            self.assertRegex(body.decode(), r'(?m)^bop_log_writes_total\{shard="0"\} [1-9]\d*$')
            self.assertRegex(body.decode(), r'(?m)^bop_log_used_bytes\{shard="0"\} [1-9]\d*$')
            self.assertRegex(body.decode(), r'(?m)^bop_client_output_limit_bytes\{shard="0"\} 268435456$')
            self.assertRegex(body.decode(), r'(?m)^bop_peer_received_frames_total\{peer="[1-3]"\} [1-9]\d*$')
            self.assertRegex(body.decode(), r'(?m)^bop_peer_connects_total\{peer="[1-3]"\} [1-9]\d*$')

    def test_redis_benchmark_runs_against_a_follower(self):
        follower = self.cluster.followers()[0]
        port = follower.resp.rpartition(":")[2]
        done = run(["redis-benchmark", "-p", port, "-t", "set,get,incr", "-n", "10000", "-c", "50", "-P", "4",
                    "-d", "256", "-r", "100000", "--csv"])
        rows = [line for line in done.stdout.splitlines() if line.startswith(('"SET"', '"GET"', '"INCR"'))]
        self.assertEqual(len(rows), 3, done.stdout + done.stderr)
        self.assertNotIn("Error", done.stdout + done.stderr)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""`bop snapshot`, and nodes whose machine keeps its state in memory alone. First argument: memory_node."""

import glob
import json
import os
import sys

from harness.case import Case, main
from harness.dev import DevCluster
from harness.hand import HandCluster
from harness.process import program, run
from harness.waiting import wait_until

MEMORY_NODE = ""
KEYS = 250  # more than two parts


class MemoryCluster(HandCluster):
    def program_of(self, node):
        return [MEMORY_NODE]


class Snapshots(Case):
    def setUp(self):
        self.cluster = self.use(MemoryCluster(settings={
            "groups": '[{name = "m", id = 1, machine = "memory"}]'}))
        self.nodes = self.cluster.nodes

    def bop(self, *arguments, nodes=None, code=0, text=None):
        endpoints = ",".join(node.native for node in nodes or self.nodes)
        done = run([program("bop"), "--endpoint", endpoints, "--group", "m", *arguments], check=False, input=text)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def put(self, key, value):
        self.bop("propose", f"{key}={value}")

    def get(self, key, node):
        return self.bop("query", key, nodes=[node]).stdout.strip()

    def wait_until_equal(self):
        def equal():
            groups = [node.group("m") for node in self.nodes]
            return all(groups) and len({group["applied"] for group in groups}) == 1
        wait_until(equal, "all nodes have applied the same entries")

    def take(self, node):
        return json.loads(self.bop("-o", "json", "snapshot", "take", nodes=[node]).stdout)

    def parts_of(self, node):
        return sorted(glob.glob(os.path.join(node.directory, "data", "shard0", "snap", "group-1", "parts", "*")))

    def test_are_taken_listed_and_verified_and_restored_after_a_restart(self):
        for number in range(KEYS):
            self.put(f"key-{number:03}", number)
        self.wait_until_equal()
        self.assertIsNone(self.nodes[0].group("m")["snapshot"])
        self.assertEqual(json.loads(self.bop("-o", "json", "snapshot", "list").stdout),
                         [{"node": node.id, "group": "m", "snapshots": []} for node in self.nodes])

        taken = [self.take(node) for node in self.nodes]
        for node, snapshot in zip(self.nodes, taken):
            self.assertEqual(set(snapshot), {"index", "term", "bytes", "id"})
            self.assertEqual(node.group("m")["snapshot"], snapshot)
            self.assertEqual(node.group("m")["machine_durable_index"], snapshot["index"])
            self.assertIn('bop_snapshot_taken_total{group="m"} 1', node.ask("GET", "/metrics")[1].decode())
        table = self.bop("snapshot", "list").stdout.split("\n")
        self.assertEqual(table[0].split(), ["NODE", "INDEX", "TERM", "BYTES", "PARTS", "ID"])
        self.assertEqual([line.split()[0] for line in table[1:4]], ["1", "2", "3"])
        self.assertEqual({line.split()[4] for line in table[1:4]}, {"3"})
        verified = json.loads(self.bop("-o", "json", "snapshot", "verify").stdout)
        self.assertEqual([(one["node"], one["ok"], one["snapshot"]) for one in verified],
                         [(node.id, True, snapshot) for node, snapshot in zip(self.nodes, taken)])

        self.put("key-000", "after")
        self.wait_until_equal()
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            self.cluster.start_node(node)
        self.cluster.wait_until_ready()
        for node in self.nodes:
            self.assertEqual(self.get("key-000", node), "after")
            self.assertEqual(self.get("key-249", node), "249")
            self.assertIn("restores its machine from the snapshot at entry", self.cluster.output())

    def test_a_damaged_part_is_named(self):
        self.put("key", "value")
        self.wait_until_equal()
        for node in self.nodes:
            self.take(node)
        (path,) = self.parts_of(self.nodes[1])
        with open(path, "r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))
        done = self.bop("snapshot", "verify", code=1)
        self.assertIn("node 2: ", done.stderr)
        self.assertIn(os.path.basename(path), done.stderr)
        self.assertEqual([line.split()[-1] for line in done.stdout.strip().split("\n")[1:]],
                         ["ok", "BOP_E_DAMAGED", "ok"])
        # The log has the entries that the snapshot had.
        self.nodes[1].kill()
        self.cluster.start_node(self.nodes[1])
        self.cluster.wait_until_ready()
        self.assertEqual(self.get("key", self.nodes[1]), "value")

    def test_a_node_that_does_not_answer_is_reported(self):
        self.put("key", "value")
        self.nodes[2].kill()
        done = self.bop("--timeout", "2s", "snapshot", "verify", nodes=self.nodes[:2], code=3)
        self.assertIn("node 3: ", done.stderr)
        self.assertIn("node 3: ", self.bop("--timeout", "2s", "snapshot", "list", nodes=self.nodes[:2]).stderr)


class Errors(Case):
    def test_have_a_name(self):
        node = self.use(DevCluster(nodes=1)).nodes[0]
        done = run([program("bop"), "--endpoint", node.native, "--group", "nobody", "snapshot", "take"], check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("there is no group nobody; the groups are: kv", done.stderr)
        done = run([program("bop"), "--endpoint", "127.0.0.1:1", "--timeout", "1s", "snapshot", "list"], check=False)
        self.assertEqual(done.returncode, 3, done.stderr)


if __name__ == "__main__":
    MEMORY_NODE = sys.argv.pop(1)
    main()

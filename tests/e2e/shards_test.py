#!/usr/bin/env python3
"""Two shards per node with groups on both: every group is served through every node, whatever its shard."""

import json

from harness.case import Case, main
from harness.dev import DevCluster
from harness.hand import HandCluster
from harness.process import program, run
from harness.waiting import wait_until

GROUPS = {"kv": 0, "accounts": 1, "orders": 1}  # name: shard
LISTED = ", ".join(f'{{name = "{name}", id = {number}, shard = {shard}}}'
                   for number, (name, shard) in enumerate(GROUPS.items(), 1))
HASH_EVERY = 4096  # indexes


class Placement(Case):
    def test_a_group_stays_on_its_shard_whatever_the_configuration_says_later(self):
        groups = '[{name = "kv", id = 1, shard = 0}, {name = "more", id = 2, shard = %d}]'
        cluster = self.use(DevCluster(nodes=1, settings={"shards": 2, "groups": groups % 1}))
        node = cluster.nodes[0]
        run([program("bop"), "--endpoint", node.native, "--group", "more", "put", "key", "kept"])
        cluster.dev.stop()
        with open(node.configuration, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("shard = 1", text)
        with open(node.configuration, "w", encoding="utf-8") as file:
            file.write(text.replace("shard = 1", "shard = 0"))
        process = cluster.start_process("moved", [program("bopd"), "start", "--config", node.configuration])
        wait_until(node.ready, "the node is ready")
        self.assertIn("group more: stays on shard 1; the configuration's shard 0 is ignored", process.text())
        self.assertEqual(run([program("bop"), "--endpoint", node.native, "--group", "more", "get", "key"]).stdout.strip(),
                         "kept")


class Shards(Case):
    def bop(self, nodes, group, *arguments, code=0):
        done = run([program("bop"), "--endpoint", ",".join(node.native for node in nodes), "--group", group,
                    *arguments], check=False)
        self.assertEqual(done.returncode, code, f"{group} {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def write_and_read_everywhere(self, nodes, stamp):
        """Writes a key of each group through each node; every node then has it, in that group only."""
        for group in GROUPS:
            for node in nodes:
                self.bop([node], group, "put", f"{stamp}-{node.id}", f"{group} by {node.id}")
            for node in nodes:
                for writer in nodes:
                    self.assertEqual(self.bop([node], group, "get", f"{stamp}-{writer.id}").strip(),
                                     f"{group} by {writer.id}")
        self.bop(nodes, "kv", "put", f"{stamp}-alone", "here")
        for group in set(GROUPS) - {"kv"}:
            self.bop(nodes, group, "get", f"{stamp}-alone", code=1)

    def load(self, nodes, group):
        """Writes until the group has passed another index at which hashes are recorded."""
        start = nodes[0].group(group)["last_index"]
        while nodes[0].group(group)["last_index"] < (start // HASH_EVERY + 1) * HASH_EVERY + 1:
            reported = json.loads(self.bop(nodes, group, "-o", "json", "bench", "kv", "--clients", "8", "--pipeline", "8",
                                       "--keys", "500", "--time", "1s"))
            self.assertEqual(reported["missing"], 0)

    def wait_for_equal_states(self, nodes, group, least):
        """Waits until all nodes report the hash at one index above `least`, and returns that index."""
        def same():
            reported = [(node.group(group) or {}).get("state_hash") for node in nodes]
            if not all(reported) or len({hash_["index"] for hash_ in reported}) != 1 or reported[0]["index"] <= least:
                return None
            return reported
        reported = wait_until(same, f"all replicas of {group} tell the state of one index")
        self.assertEqual(len({hash_["hash"] for hash_ in reported}), 1, f"replicas of {group} differ: {reported}")
        return reported[0]["index"]

    def test_every_group_is_written_read_and_compared_through_every_node_and_survives_a_killed_one(self):
        cluster = self.use(HandCluster(settings={"shards": 2, "groups": f"[{LISTED}]"}))
        nodes = cluster.nodes
        self.write_and_read_everywhere(nodes, "before")
        self.bop(nodes, "nobody", "get", "x", code=2)
        for node in nodes:
            reported = node.status()["groups"]
            self.assertEqual([group["name"] for group in reported], list(GROUPS))
            self.assertEqual({group["health"] for group in reported}, {"ok"})
        for group in GROUPS:
            self.load(nodes, group)
        compared = {group: self.wait_for_equal_states(nodes, group, 0) for group in GROUPS}

        dead = cluster.node(nodes[0].group("accounts")["leader"])
        dead.kill()
        left = [node for node in nodes if node is not dead]
        # Until the nodes notice, writes that they forward to the dead one have an unknown outcome.
        wait_until(lambda: all(node.group(group)["leader"] not in (None, dead.id) for node in left for group in GROUPS),
                   "every group has a leader that lives")
        cluster.wait_until_ready(left)
        self.write_and_read_everywhere(left, "without")
        for group in GROUPS:
            self.load(left, group)

        cluster.restart(dead)
        self.write_and_read_everywhere(nodes, "again")
        for group in GROUPS:
            self.wait_for_equal_states(nodes, group, compared[group])
            for node in nodes:
                self.assertEqual(self.bop([node], group, "get", f"before-{dead.id}").strip(), f"{group} by {dead.id}")


if __name__ == "__main__":
    main()

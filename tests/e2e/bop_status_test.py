#!/usr/bin/env python3
"""What `bop status` tells by its exit code and its table: no group serves, replicas differ.

    bop_status_test.py PROGRAM      that edits a store (edit_store.cpp)
"""

import json
import os
import signal
import subprocess
import sys

from harness.case import Case, main
from harness.hand import HandCluster
from harness.process import program, run, send_signal
from harness.resp import RespError
from harness.waiting import wait_until

EDIT_STORE = sys.argv.pop(1) if len(sys.argv) > 1 and os.path.exists(sys.argv[1]) else None


class BopStatus(Case):
    def setUp(self):
        self.cluster = self.use(HandCluster())

    def bop_status(self, *options, endpoints=None):
        return subprocess.run([program("bop"), "--endpoint", endpoints or self.cluster.endpoints(), *options, "status"],
                              capture_output=True, text=True, check=False)

    def stop(self, node):
        send_signal(node.pid, signal.SIGTERM)
        wait_until(lambda: not node.alive(), f"{node} has stopped")

    # ---- no group serves ----

    def test_exits_with_3_while_no_group_serves_and_with_0_while_one_does(self):
        first, *others = self.cluster.nodes
        self.assertEqual(self.bop_status().returncode, 0)
        others[0].kill()
        wait_until(lambda: self.bop_status().returncode == 0, "two of three serve")
        others[1].kill()
        # The node that is left answers; the table has all three.
        def none_serves():
            done = self.bop_status(endpoints=first.native)
            return done if done.returncode == 3 else None
        done = wait_until(none_serves, "bop status exits with 3")
        self.assertIn("no group serves (BOP_E_UNAVAILABLE)", done.stderr)
        def told():
            return self.bop_status(endpoints=first.native).stdout
        wait_until(lambda: "node 1, group kv: quorum_lost: 1 of 3 voters are heard" in told(), "it says why")
        rows = [line.split() for line in told().splitlines()]
        health = {row[0]: row[4] for row in rows if len(row) > 4 and row[0] in ("1", "2", "3")}
        self.assertEqual(health, {"1": "failing", "2": "unreachable", "3": "unreachable"})
        done = self.bop_status("-o", "json", endpoints=first.native)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(json.loads(done.stdout)["node_id"], 1)
        self.assertIn("no group serves", json.loads(done.stderr)["error"]["text"])
        for node in others:
            wait_until(lambda node=node: not node.alive(), f"{node} is dead")
            self.cluster.start_node(node)
        wait_until(lambda: self.bop_status(endpoints=first.native).returncode == 0, "it exits with 0 again")

    def test_exits_with_3_when_no_node_answers(self):
        for node in self.cluster.nodes:
            node.kill()
        def silent():
            done = self.bop_status()
            return done if done.returncode == 3 else None
        done = wait_until(silent, "bop status exits with 3")
        self.assertEqual(done.stdout, "")
        self.assertIn("no status from", done.stderr)

    # ---- replicas that differ ----

    def set(self, key, value):
        def taken():
            try:
                return self.cluster.wait_for_leader().call("SET", key, value) == "OK"
            except RespError:
                return False
        wait_until(taken, f"SET {key} {value}")

    def verdicts(self):
        out = {}
        for node in self.cluster.nodes:
            hashes = (node.group() or {}).get("state_hashes")
            out[node.id] = (hashes["verdict"], hashes["nodes"]) if hashes else None
        return out

    def test_replicas_whose_states_differ_at_one_index_are_reported_on_all_nodes(self):
        self.assertIsNotNone(EDIT_STORE, __doc__)
        self.set("k", "as it was")
        self.cluster.wait_until_equal()
        every = {1: ("equal", [1, 2, 3]), 2: ("equal", [1, 2, 3]), 3: ("equal", [1, 2, 3])}
        wait_until(lambda: self.verdicts() == every, "the states are equal")
        self.assertNotIn("differs", self.bop_status().stdout)
        edited = self.cluster.node(3)
        self.stop(edited)  # which makes durable what its machine applied
        run([EDIT_STORE, os.path.join(edited.directory, "data", "shard0", "group-1", "1"), "k", "as it never was"])
        self.cluster.start_node(edited)
        wait_until(edited.ready, f"{edited} is back")
        self.assertEqual(edited.call("GET", "k"), b"as it never was")
        # Not by "k": what replaces the record takes its hash out of the sum.
        self.set("another", "value")
        every = {n: ("differs", [1, 2, 3]) for n in (1, 2, 3)}
        wait_until(lambda: self.verdicts() == every, "all nodes report that the states differ")
        def shown():
            rows = [line.split() for line in self.bop_status().stdout.splitlines()]
            hashes = [row[-1] for row in rows if row and row[0] in ("1", "2", "3")]
            return len(hashes) == 3 and all(h.startswith("differs@") for h in hashes) and len(set(hashes)) == 1
        wait_until(shown, "bop status shows differs for each of them, at one index")
        for node in self.cluster.nodes:
            self.assertIn(b'bop_group_state_differs{group="kv"} 1\n', node.ask("GET", "/metrics")[1])


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A device that fails, stalls or is full is reported everywhere by name, costs no more than its node, and the report ends
with the fault."""

import re
import subprocess

from harness.case import Case, main
from harness.faults import LOG, NEW_SEGMENT, FaultyCluster
from harness.process import program
from harness.resp import RespError
from harness.status import conditions, metric
from harness.waiting import wait_until

VALUE = b"v" * 60_000


class Conditions(Case):
    def setUp(self):
        self.cluster = self.use(FaultyCluster(settings={"log.segment_bytes": 2 << 20}))
        self.written = 0

    def log_of(self, node):
        return "\n".join(p.text() for p in self.cluster.processes if p.log.endswith(f"-node{node.id}.log"))

    def write(self, node, value=b"v"):
        """One write that has to succeed, whoever leads by now."""
        self.written += 1
        def taken():
            try:
                return node.call("SET", f"key {self.written}", value) == "OK"
            except RespError as refused:
                self.assertIn(refused.kind, ("CLUSTERDOWN", "UNKNOWNOUTCOME", "TRYAGAIN"), refused)
                return False
        wait_until(taken, f"{node} takes a write")

    def bop_status(self, node):
        return subprocess.run([program("bop"), "--endpoint", node.native, "status"],
                              capture_output=True, text=True, check=False)

    def wait_until_reported(self, node, name, detail):
        """In the status, by `bop status`, /readyz, the log and the metric."""
        found = wait_until(lambda: conditions(node).get(name), f"{node} reports {name}")
        self.assertTrue(found["blocks"], found)
        self.assertRegex(found["detail"], detail)
        def refused():
            code, body = node.ask("GET", "/readyz")
            return code == 503 and f"{name}: " in body.decode()
        wait_until(refused, f"/readyz of {node} says {name}")
        wait_until(lambda: re.search(rf" {name}: this node: .*{detail}", self.log_of(node)), f"{node} logs {name}")
        self.assertEqual(metric(node, f'bop_condition{{condition="{name}"}}'), 1)
        self.assertEqual(metric(node, "bop_node_ready"), 0)
        def shown():
            done = self.bop_status(node)
            line = f"node {node.id}: {name}: {found['detail']}"
            return done.returncode == 0 and line in done.stdout  # 0, since the others serve
        wait_until(shown, f"bop status shows {name}")
        other = next(o for o in self.cluster.nodes if o is not node)
        wait_until(lambda: next(n for n in other.status()["nodes"] if n["id"] == node.id)["health"] == "failing",
                   f"{other} hears that {node} is failing")

    def wait_until_over(self, node, name, logged=True):
        wait_until(lambda: node.ready() and name not in conditions(node), f"{node} is ready and {name} is over")
        self.assertEqual(metric(node, f'bop_condition{{condition="{name}"}}'), 0)
        if logged:
            wait_until(lambda: f" {name}: this node: over" in self.log_of(node), f"{node} logs that {name} is over")

    def serve_without(self, node):
        for other in self.cluster.nodes:
            if other is not node:
                self.write(other)

    # ---- a write that fails ----

    def latch(self, node, rule, value=b"v"):
        self.cluster.faults[node.id].set(rule)
        other = next(o for o in self.cluster.nodes if o is not node)
        def latched():
            self.write(other, value)
            return "log_latched" in conditions(node)
        wait_until(latched, f"{node} reports log_latched")
        self.wait_until_reported(node, "log_latched", r"a write failed: .*\.seg")
        self.assertEqual(metric(node, 'bop_log_latched{shard="0"}'), 1)
        self.assertEqual(node.status()["log"]["health"], "latched")
        self.serve_without(node)
        # Only a restart ends it: what the device says afterwards proves nothing of what it lost.
        self.cluster.faults[node.id].clear()
        self.serve_without(node)
        self.assertIn("log_latched", conditions(node))
        node.kill()
        wait_until(lambda: not node.alive(), f"{node} is dead")
        self.cluster.start_node(node)
        self.wait_until_over(node, "log_latched", logged=False)
        self.assertEqual(node.group()["health"], "ok")
        self.cluster.wait_until_equal()

    def test_a_followers_failed_write_is_log_latched_until_a_restart(self):
        self.latch(self.cluster.followers()[0], f"write {LOG} fail EIO")

    def test_a_leaders_failed_write_is_log_latched_and_another_leads(self):
        self.latch(self.cluster.wait_for_leader(), f"write {LOG} fail EIO")

    def test_a_torn_write_is_log_latched_and_its_end_is_cut_at_the_restart(self):
        node = self.cluster.followers()[0]
        self.latch(node, f"write {LOG} tear 4096 EIO", VALUE)
        self.assertIn("cut an unacknowledged end at", self.log_of(node))

    # ---- a write that does not end ----

    def stall(self, node):
        self.cluster.faults[node.id].set(f"write {LOG} hold")
        other = next(o for o in self.cluster.nodes if o is not node)
        def stalled():
            self.write(other)
            return "log_stalled" in conditions(node)
        wait_until(stalled, f"{node} reports log_stalled")
        self.wait_until_reported(node, "log_stalled", "takes longer than half an election timeout")
        self.serve_without(node)
        self.cluster.faults[node.id].clear()
        self.wait_until_over(node, "log_stalled")
        self.cluster.wait_until_equal()

    def test_a_followers_write_that_does_not_end_is_log_stalled_until_it_does(self):
        self.stall(self.cluster.followers()[0])

    def test_a_leaders_write_that_does_not_end_is_log_stalled_and_another_leads(self):
        leader = self.cluster.wait_for_leader()
        self.stall(leader)

    # ---- no space ----

    def test_a_followers_full_disk_is_disk_full_until_there_is_space(self):
        leader = self.cluster.wait_for_leader()
        node = self.cluster.followers()[0]
        self.cluster.faults[node.id].set(f"allocate {NEW_SEGMENT} fail ENOSPC", f"write {NEW_SEGMENT} fail ENOSPC")
        def full():
            self.write(leader, VALUE)
            return "disk_full" in conditions(node)
        wait_until(full, f"{node} reports disk_full")
        self.wait_until_reported(node, "disk_full", "cannot grow and takes no more commands")
        self.serve_without(node)
        self.cluster.faults[node.id].clear()
        self.wait_until_over(node, "disk_full")
        self.cluster.wait_until_equal()

    def test_little_space_is_disk_nearly_full_and_the_node_stays_ready(self):
        node = self.cluster.followers()[0]
        self.cluster.faults[node.id].set(f"space * set {5 << 20}")
        found = wait_until(lambda: conditions(node).get("disk_nearly_full"), f"{node} reports disk_nearly_full")
        self.assertFalse(found["blocks"])
        self.assertIn("5 MiB are free", found["detail"])
        self.assertTrue(node.ready())
        self.cluster.faults[node.id].clear()
        self.wait_until_over(node, "disk_nearly_full")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Links that lose large packets or are slow, with real packets: each node has a network namespace of its own."""

import subprocess
import threading
import time
import unittest

from harness import netns
from harness.case import Case, main
from harness.node import UNREACHABLE
from harness.process import program
from harness.resp import RespError
from harness.waiting import wait_until

AVAILABLE = netns.enter()
PATIENT = {"raft.election_timeout_ms": 2000}  # a busy machine alone costs nobody the leadership
LARGE = b"x" * 5000  # a command that no packet of 700 bytes carries


@unittest.skipUnless(AVAILABLE, "network namespaces need unprivileged user namespaces and iproute2")
class Links(Case):
    def write(self, node, key, value, timeout_s=10):
        """Whether it was acknowledged."""
        try:
            return node.call("SET", key, value, timeout_s=timeout_s) == "OK"
        except (RespError, *UNREACHABLE):
            return False

    def test_a_leader_whose_large_packets_vanish_is_deposed_and_the_cluster_commits(self):
        cluster = self.use(netns.NetnsCluster())
        leader = cluster.wait_for_leader()
        self.assertTrue(self.write(leader, "before", LARGE))
        before = cluster.node(leader.id).group()["term"]
        cluster.lose_large(leader)
        others = [node for node in cluster.nodes if node is not leader]
        began = time.monotonic()
        # A command of the leader's own clients, which no follower can get.
        threading.Thread(target=self.write, args=(leader, "lost", LARGE)).start()
        successor = cluster.wait_for_leader_among(others)
        took = time.monotonic() - began
        self.assertGreater(cluster.dropped(leader), 0)
        wait_until(lambda: self.write(successor, "after", LARGE), "the others commit large commands")
        print(f"\n    another leader after {took:.1f} s", flush=True)
        self.assertGreater(successor.group()["term"], before)
        # Small packets passed all the time: the nodes hear each other.
        wait_until(lambda: "bulk channel: down" in cluster.output(), "the stalled connection is reopened")
        cluster.mend(leader)
        cluster.wait_until_ready()
        cluster.wait_until_equal()
        self.assertEqual(leader.call("GET", "after"), LARGE)

    def test_a_large_entry_on_a_slow_link_costs_nobody_the_leadership(self):
        cluster = self.use(netns.NetnsCluster(settings=PATIENT))
        leader = cluster.wait_for_leader()
        cluster.wait_until_ready()
        for node in cluster.nodes:
            if node is not leader:
                cluster.limit_to(node, "rate", "800kbit", "burst", "4000", "latency", "300ms")
        term = leader.group()["term"]
        began = time.monotonic()
        put = subprocess.Popen([program("bop"), "--endpoint", leader.native, "--timeout", "60s", "put", "large", "-"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = put.communicate(bytes(1_000_000), timeout=90)
        print(f"\n    1 MB at 100 kB/s to each follower: {time.monotonic() - began:.1f} s", flush=True)
        self.assertEqual(put.returncode, 0, out)
        self.assertGreater(time.monotonic() - began, 5, "the link is not slow")
        cluster.wait_until_equal()
        for node in cluster.nodes:
            self.assertEqual(node.group()["term"], term)
            self.assertNotIn("stepped down", self.log_of(cluster, node))

    def test_heartbeats_pass_a_slow_link_that_is_full_of_entries(self):
        cluster = self.use(netns.NetnsCluster(settings=PATIENT))
        leader = cluster.wait_for_leader()
        cluster.wait_until_ready()
        # A buffer of 4 s, as in cheap routers, takes what the sender does not hold back.
        for node in cluster.nodes:
            if node is not leader:
                cluster.limit_to(node, "rate", "800kbit", "burst", "4000", "latency", "4s")
        term = leader.group()["term"]
        end = time.monotonic() + 25
        written = []
        def write(writer):
            number = 0
            while time.monotonic() < end:
                number += 1
                written.append(self.write(leader, f"{writer} {number}", bytes(100_000)))
        writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        print(f"\n    {sum(written)} of {len(written)} writes of 100 kB in 25 s at 100 kB/s", flush=True)
        self.assertGreater(sum(written), 15)
        for node in cluster.nodes:
            self.assertEqual(node.group()["term"], term, self.log_of(cluster, leader))
            self.assertNotIn("stepped down", self.log_of(cluster, node))

    def log_of(self, cluster, node):
        return "\n".join(p.text() for p in cluster.processes if p.log.endswith(f"-node{node.id}.log"))


if __name__ == "__main__":
    main()

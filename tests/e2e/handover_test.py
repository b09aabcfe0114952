#!/usr/bin/env python3
"""A leader that cannot serve, though its log works, hands over to a node that can: writes go on, and status, log and
metric give the reason."""

import glob
import os
import re
import time

from harness.case import Case, main
from harness.faults import NEW_SEGMENT, FaultyCluster
from harness.resp import RespError
from harness.status import conditions, metric
from harness.waiting import wait_until

STORE = "*/kv.mdbx"
VALUE = b"v" * 60_000
ELECTION_TIMEOUT_S = 1.0
NOISE_S = 1.5  # that other programs on this machine may cost


class Handover(Case):
    def setUp(self):
        self.written = 0

    def use_cluster(self, **settings):
        self.cluster = self.use(FaultyCluster(settings={"log.segment_bytes": 2 << 20, **settings}))

    def use_small_memory(self):
        """The machines wait for their stores soon."""
        self.use_cluster(**{"kv.memory_bytes": 1 << 20})

    def log_of(self, node):
        return "\n".join(p.text() for p in self.cluster.processes if p.log.endswith(f"-node{node.id}.log"))

    def write(self, client):
        """Whether one more write was acknowledged."""
        try:
            return client.call("SET", f"key {self.written}", VALUE) == "OK"
        except RespError as refused:
            self.assertNotIn(refused.kind, ("ERR",), refused)
            return False

    def write_until_another_leads(self, leader):
        """Through a follower. The longest time without an acknowledged write from the first refusal or leader change on."""
        other = next(node for node in self.cluster.nodes if node is not leader)
        longest, last, handed_over = 0.0, time.monotonic(), None
        with other.client(30) as client:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                taken = self.write(client)
                now = time.monotonic()
                if taken:
                    self.written += 1
                    longest = max(longest, now - last)
                    last = now
                if handed_over is None and self.written % 8 == 0:
                    group = other.group()
                    if group and group["leader"] not in (0, None, leader.id):
                        handed_over = self.written
                if handed_over is not None and self.written > handed_over + 50:
                    return longest
        raise AssertionError(f"{leader} leads on, after {self.written} writes")

    def check_handover(self, cause, reason, *rules):
        leader = self.cluster.wait_for_leader()
        self.cluster.faults[leader.id].set(*rules)
        longest = self.write_until_another_leads(leader)
        print(f"{cause}: the longest gap between two writes was {longest:.2f} s")
        self.assertLess(longest, 2 * ELECTION_TIMEOUT_S + NOISE_S)
        self.assertRegex(self.log_of(leader), rf"this replica cannot serve as leader: {reason}")
        self.assertRegex(self.log_of(leader), r"stepped down as leader of term \d+: .*; node \d should take over")
        self.assertEqual(metric(leader, f'bop_raft_leader_changes_total{{group="kv",cause="{cause}"}}'), 1)
        return leader

    def check_recovery(self, leader):
        self.cluster.faults[leader.id].clear()
        self.cluster.wait_until_ready()
        self.cluster.wait_until_equal()

    def test_a_leader_whose_store_has_no_space(self):
        self.use_small_memory()
        leader = self.check_handover("machine_held_up", "the machine is held up: flushing waits for space",
                                     f"write {STORE} fail ENOSPC", f"allocate {STORE} fail ENOSPC")
        wait_until(lambda: "flushing waits for space" in conditions(leader).get("behind", {}).get("detail", ""),
                   f"{leader} reports it")
        self.check_recovery(leader)

    def test_a_leader_whose_store_takes_seconds_for_each_write(self):
        self.use_small_memory()
        leader = self.check_handover("machine_behind", "the machine has not applied entry",
                                     f"write {STORE} delay 3000", f"sync {STORE} delay 3000")
        self.check_recovery(leader)

    def test_a_leader_whose_log_cannot_grow(self):
        self.use_cluster()
        leader = self.check_handover("disk_full", "the disk is full", f"allocate {NEW_SEGMENT} fail ENOSPC",
                                     f"write {NEW_SEGMENT} fail ENOSPC")
        wait_until(lambda: "disk_full" in conditions(leader), f"{leader} reports it")
        self.check_recovery(leader)

    def test_a_leader_whose_store_fails_halts_and_another_leads(self):
        self.use_small_memory()
        leader = self.cluster.wait_for_leader()
        self.cluster.faults[leader.id].set(f"write {STORE} fail EIO")
        longest = self.write_until_another_leads(leader)
        self.assertLess(longest, 2 * ELECTION_TIMEOUT_S + NOISE_S)
        wait_until(lambda: "halted" in conditions(leader), f"{leader} reports it")
        self.assertRegex(self.log_of(leader), r"stepped down as leader of term \d+: it halted; node \d should take over")
        self.assertEqual(metric(leader, 'bop_raft_leader_changes_total{group="kv",cause="halted"}'), 1)

    def test_all_nodes_without_space_keep_their_leader(self):
        self.use_cluster()
        leader = self.cluster.wait_for_leader()
        for node in self.cluster.nodes:
            self.cluster.faults[node.id].set(f"allocate {NEW_SEGMENT} fail ENOSPC", f"write {NEW_SEGMENT} fail ENOSPC")
        with leader.client(30) as client:
            wait_until(lambda: not self.write(client) and all("disk_full" in conditions(n) for n in self.cluster.nodes),
                       "all nodes are full")
        wait_until(lambda: self.cluster.leader() is not None, "there is a leader")
        terms = {node.group()["term"] for node in self.cluster.nodes}
        time.sleep(3 * ELECTION_TIMEOUT_S)
        self.assertEqual({node.group()["term"] for node in self.cluster.nodes}, terms)
        self.assertIsNone(self.cluster.leader().call("GET", "no such key"))
        for node in self.cluster.nodes:
            self.cluster.faults[node.id].clear()
        self.cluster.wait_until_ready()


class AnUnreadableLog(Case):
    def setUp(self):
        self.cluster = self.use(FaultyCluster(settings={"log.segment_bytes": 2 << 20}))

    def log_of(self, node):
        return "\n".join(p.text() for p in self.cluster.processes if p.log.endswith(f"-node{node.id}.log"))

    def test_its_leader_hands_over_after_one_failure_and_the_follower_catches_up(self):
        cluster = self.cluster
        absent = cluster.followers()[0]
        absent.kill()
        wait_until(lambda: not absent.alive(), f"{absent} is dead")
        others = [node for node in cluster.nodes if node is not absent]
        leader = cluster.wait_for_leader_among(others)
        with leader.client(30) as client:
            for number in range(3000):
                self.assertEqual(client.call("SET", f"key {number}", b"x" * 1000), "OK")
        # Restarted, so that what the absent node lacks is in no memory.
        for node in others:
            node.kill()
        for node in others:
            wait_until(lambda node=node: not node.alive(), f"{node} is dead")
        for node in others:
            cluster.start_node(node)
        leader = cluster.wait_for_leader_among(others)
        self.damage_first_segment(leader)
        cluster.start_node(absent)
        begun = time.monotonic()
        wait_until(absent.ready, f"{absent} is ready", 30)
        last = wait_until(cluster.wait_until_equal, "all are equal", 30)
        print(f"{absent} had all {last} entries {time.monotonic() - begun:.1f} s after its start")
        self.assertEqual(absent.call("GET", "key 17"), b"x" * 1000)
        self.assertIsNot(cluster.leader(), leader)
        lines = re.findall(r"cannot be read: BOP_E_DAMAGED", self.log_of(leader))
        self.assertLessEqual(len(lines), 2, self.log_of(leader))
        self.assertEqual(metric(leader, 'bop_raft_leader_changes_total{group="kv",cause="entry_unreadable"}'), 1)
        found = wait_until(lambda: conditions(leader).get("unreadable"), f"{leader} reports it")
        self.assertFalse(found["blocks"])
        self.assertRegex(found["detail"], r"entry \d+ cannot be read: .*\.seg at \d+")

    def damage_first_segment(self, node):
        first = min(glob.glob(os.path.join(node.directory, "**", "*.seg"), recursive=True))
        with open(first, "r+b") as file:
            for block in range(16, os.path.getsize(first) // 4096, 8):
                file.seek(block * 4096 + 2000)
                file.write(b"ROT" * 4)


if __name__ == "__main__":
    main()

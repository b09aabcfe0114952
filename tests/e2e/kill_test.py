#!/usr/bin/env python3
"""kill -9 of nodes under load: what was acknowledged stays."""

import json
import os
import subprocess

from harness.case import Case, main
from harness.dev import DevCluster
from harness.load import HistoryLoad, UniqueLoad, wait_for_writes
from harness.process import is_alive, program
from harness.waiting import holds_for, wait_until


class Kill(Case):
    def setUp(self):
        self.cluster = self.use(DevCluster())

    def test_killing_the_leader_under_load_loses_nothing_that_was_acknowledged(self):
        with UniqueLoad(self.cluster.nodes) as load:
            load.wait_for_progress(1000)
            leader = self.cluster.wait_for_leader()
            leader.kill()
            survivors = [node for node in self.cluster.nodes if node is not leader]
            self.cluster.wait_for_leader(other_than=leader)
            load.wait_for_progress(1000)
        for node in survivors:
            self.assertEqual(load.missing(node), [])
        self.cluster.restart(leader)
        self.assertEqual(load.missing(leader), [])

    def test_histories_are_linearizable_while_leaders_are_killed_and_come_back(self):
        with HistoryLoad(self.cluster.nodes) as load:
            for _ in range(2):
                load.wait_for_progress(500)
                leader = self.cluster.wait_for_leader()
                leader.kill()
                self.cluster.wait_for_leader(other_than=leader)
                load.wait_for_progress(500)
                self.cluster.restart(leader)
            load.wait_for_progress(500)
        load.history.check(self.cluster.scratch)

    def test_bop_bench_misses_nothing_when_the_leader_is_killed_while_it_runs(self):
        bench = subprocess.Popen(
            [program("bop"), "--endpoint", self.cluster.endpoints(), "bench", "kv", "--clients", "16",
             "--time", "6", "--keys", "2000", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: bench.poll() is None and bench.kill())
        wait_for_writes(self.cluster, 5000)  # 2,000 of them preload
        self.cluster.wait_for_leader().kill()
        out, err = bench.communicate(timeout=90)
        result = json.loads(out)
        self.assertEqual(result["missing"], 0, err)
        self.assertGreater(result["acked"], 3000)

    def test_a_follower_that_dies_is_not_missed_and_stays_dead(self):
        follower = self.cluster.followers()[0]
        with UniqueLoad([node for node in self.cluster.nodes if node is not follower]) as load:
            load.wait_for_progress(500)
            follower.kill()
            wait_until(lambda: not follower.alive(), "the follower is dead")
            load.wait_for_progress(1000)
            # Nobody starts it again: its listeners stay closed, whoever would hold them.
            holds_for(lambda: follower.status() is None, 1.5, "the follower stays dead")
        self.assertTrue(self.cluster.dev.running())
        self.assertEqual(load.missing(self.cluster.wait_for_leader()), [])

    def test_killing_all_nodes_at_once_keeps_everything_that_was_acknowledged(self):
        with UniqueLoad(self.cluster.nodes) as load:
            load.wait_for_progress(3000)
            self.cluster.kill_all()
            load.stop()
        self.cluster.start()
        for node in self.cluster.nodes:
            self.assertEqual(load.missing(node), [])
        self.assertEqual(self.cluster.nodes[0].call("SET", "after", "all"), "OK")

    def test_two_of_three_nodes_dead_means_no_answer_rather_than_a_wrong_one(self):
        survivor, *others = self.cluster.nodes
        self.assertEqual(survivor.call("SET", "before", "1"), "OK")
        for node in others:
            node.kill()
        wait_until(lambda: not any(node.alive() for node in others), "two nodes are dead")
        self.assertFalse(survivor.serves())
        self.assertEqual(survivor.ask("GET", "/livez")[0], 200)
        wait_until(lambda: survivor.ask("GET", "/readyz")[0] == 503, "it says that it is not ready")
        self.cluster.restart(others[0])
        wait_until(survivor.serves, "two of three serve again")
        self.assertEqual(survivor.call("GET", "before"), b"1")

    def test_the_pids_of_the_ready_file_are_the_nodes(self):
        for node in self.cluster.nodes:
            self.assertTrue(is_alive(node.pid))
            self.assertTrue(os.path.samefile(f"/proc/{node.pid}/exe", program("bopd")))


if __name__ == "__main__":
    main()
